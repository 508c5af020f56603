"""The behaviour table, `behaviour.toml`, as data; its head says what each member means."""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

HERE: Final = Path(__file__).parent


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """What the scripted server does with one request."""

    how: str = "accept"
    refuse: dict[str, int] = {}
    problem: int = 0
    page: int = 0
    limit: int = 0
    by_proxy: bool = False
    retry_after: str | int | None = None
    retry_date: int | None = None
    clock: int = 0
    accept: bool = True


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that a program does, or that happens to it."""

    send: list[str] | int | None = None
    send_many: list[str] | int | None = None
    start: list[str] | int | None = None
    fork: list[str] | None = None
    bytes: int = 0
    larger: dict[str, int] = {}
    impossible: list[str] = []
    half_character: list[str] = []
    until: int | None = None
    until_spooled: list[str] | int | None = None
    until_sent: list[str] | None = None
    release: bool = False
    finish: bool = False
    close: float | None = None
    kill: bool = False
    open: bool = False
    second: bool = False
    deafen: bool = False
    listen: bool = False
    answer: str | None = None
    tear: str | None = None

    @property
    def calls(self) -> list[list[str]]:
        """The ids of events, by call."""
        if self.send_many is not None:
            return [_ids(self.send_many)]
        given = self.send if self.send is not None else self.start if self.start is not None else self.fork
        return [] if given is None else [[each] for each in _ids(given)]


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One row of the table. Times are seconds."""

    name: str
    program: list[Step]
    answers: list[Answer | str | int]
    timeout: float = 30
    request_timeout: float = 15
    spool: bool = False
    spool_bytes: int | None = None
    without: dict[str, str] = {}
    requests: list[list[str]] | None = None
    requests_at_least: int = 0
    requests_at_most: int | None = None
    sent: list[str] | None = None
    results: dict[str, str | int] = {}
    results_all: str | None = None
    retry_after: float | None = None
    pauses: list[float] = []
    unsent: list[str] | None = None
    spooled: list[str] | None = None

    def answer(self, number: int) -> Answer:
        """The answer to a request, by its number from 0."""
        return as_answer(self.answers[min(number, len(self.answers) - 1)])


def as_answer(told: Answer | str | int) -> Answer:
    """Return an answer that the table gives in short."""
    match told:
        case Answer():
            return told
        case int():
            return Answer(problem=told)
        case _:
            return Answer(how=told)


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    case: list[Case]


def cases() -> list[Case]:
    """Return all cases, in the table's order."""
    return msgspec.convert(tomllib.loads((HERE / "behaviour.toml").read_text()), _Table).case


def _ids(given: list[str] | int) -> list[str]:
    return [str(number) for number in range(given)] if isinstance(given, int) else given
