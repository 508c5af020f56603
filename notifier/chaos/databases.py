"""The database can't be written: nothing is accepted meanwhile, and nobody has to restart anything afterwards."""

import msgspec

RESUMED = 60  # seconds in which reports are taken again and everything is done
EVERY = 0.1  # seconds between two reports


class Answer(msgspec.Struct, frozen=True):
    """How one report was answered: status 0 where it was not. Times of the monotonic clock."""

    asked: float
    answered: float
    status: int
    event: str = ""
