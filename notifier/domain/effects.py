"""What messages achieve, as it is counted: so many in an hour, of a type, a channel, a locale and a variant."""

from enum import StrEnum
from typing import Final

import msgspec

from notifier.domain.clock import HOUR
from notifier.domain.deliveries import State

STEPS: Final = 30
"""Parts of the time within which an outcome is awaited, by which it is told how soon one came."""

HOURS_OF_A_DAY: Final = 24
BY_HOUR: Final = 3 * HOURS_OF_A_DAY
"""Hours for which sums are kept by the hour: afterwards by the day (UTC), as of its first hour."""

KEPT: Final = 1100 * HOURS_OF_A_DAY
"""Hours for which sums are kept: three years, so that a month can be set against those of the two years before. They
name nobody, and are few: longer would serve nobody either."""

ANY: Final = ""
"""The channel of what is counted once for each person, however many channels they were to hear by; the type, and the
category, of what is about none."""


class What(StrEnum):
    """What is counted beside the states that deliveries reach.

    `exposed` counts people whom it was decided to tell, and `answered` those of them whose outcome came in time; of an
    experiment's people `enrolled` and `won` count each once, by the first that was awaited of them.
    `complained` counts mails that their recipients called spam.

    What people do is counted once for each delivery: they see it (`opened`), or also `read` it, where it stands in the
    app; they follow a link in it (`clicked`). And once for each choice: by the link in a mail (`unsubscribed`), by a
    text (`stopped`), or in any other way of theirs (`switched_off`).

    `segments` are those that a message is paid by, as it was sent: of a text, the SMS that it takes.
    """

    EXPOSED = "exposed"
    ANSWERED = "answered"
    ENROLLED = "enrolled"
    WON = "won"
    COMPLAINED = "complained"
    OPENED = "opened"
    READ = "read"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    STOPPED = "stopped"
    SWITCHED_OFF = "switched_off"
    SEGMENTS = "segments"


OF_PEOPLE: Final = (What.EXPOSED, What.ANSWERED)
"""What is counted once for each person, as of `ANY` channel, and once for each channel by which they were to hear."""


class Effect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So many more messages of an hour that did something.

    `hour` is since 1970, when the message was decided, whenever it did so: what came of an hour's messages can be set
    against them. `what` is a state or one of `What`; `after` is the part of `STEPS` in which an outcome came, or the
    segments that each of these messages took.

    Choices of which no message is known (`of_choice`) have no type: their hour is when they were made, and `variant` is
    the category.
    """

    hour: int
    type: str
    channel: str
    locale: str
    variant: str
    what: str
    after: int = 0
    number: int = 1


def of_choice(what: What, category: str, channel: str, now: int) -> Effect:
    """A choice that a person makes now about a category on a channel, each of which may be `ANY`.

    Where no message is known that led to it, it has no type.
    """
    return Effect(hour=hour_of(now), type=ANY, channel=channel, locale="", variant=category, what=what)


def hour_of(instant: int) -> int:
    """The hour of an instant, since 1970."""
    return instant // HOUR


def first_by_hour(now: int) -> int:
    """The first hour whose sums are kept by the hour, the first of its day."""
    return (hour_of(now) - BY_HOUR) // HOURS_OF_A_DAY * HOURS_OF_A_DAY


def step_of(waited: int, within: int) -> int:
    """The part of the time within which an outcome is awaited that had begun when it came."""
    return min(max(waited, 0) * STEPS // max(within, 1), STEPS - 1)


COUNTED: Final = frozenset(State) - {State.PENDING, State.SENDING, State.UNKNOWN}
"""The states that are counted: what is open or unknown comes to another one."""

ARRIVED: Final = frozenset({State.DELIVERED, State.UNDELIVERED})
"""The states that say of a message that its provider had it, whether or not that was told before."""
