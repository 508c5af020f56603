"""What the service answers to a batch of events, as plain data."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from notifier.domain.errors import NotifierError, Problem

BATCH: Final = 1000  # the most events in one request that the service accepts
MOST_BYTES: Final = 8 * 1024 * 1024  # the most bytes in one request that it accepts
MOST_ASKED: Final = 3600.0  # seconds that the service is believed to ask for: what is longer is a mistake
TRY_AGAIN: Final = frozenset({408, 429})
"""Statuses below 500 of what passes: a body that came too slowly, too many requests."""


class ServiceUnavailable(NotifierError):
    """The service did not take the events in time; the same events may be sent again later.

    `retry_after` is the seconds that it last asked to wait.
    """

    retry = True

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Result(msgspec.Struct):
    """The service's answer about one event: `accepted` with the id that it has there, or `refused` with a problem."""

    status: str
    event: str = ""
    problem: dict[str, Any] = {}


class _Answer(msgspec.Struct):
    results: list[Result]


def results(url: str, status: int, headers: Mapping[str, str], content: bytes, events: int) -> list[Result]:
    """Return the service's results for so many events, by its answer to the request.

    Raises ServiceUnavailable where the same request may be made again, Problem where the request is refused or
    something else than the service has answered.
    """
    if status >= 500 or status in TRY_AGAIN:
        raise ServiceUnavailable(f"{url} answered {status}", pause_asked(headers))
    told: Any = {}
    try:
        if status == 202:
            answer = msgspec.json.decode(content, type=_Answer)
            if len(answer.results) == events:
                return answer.results
        elif headers.get("Content-Type", "").startswith("application/problem+json"):
            told = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # something that says so, and isn't
    if told:
        raise as_problem(told)
    raise Problem(0, status, "Not a response of this service", f"{url} answered {status}")


def pause_asked(headers: Mapping[str, str]) -> float:
    """Return the seconds that Retry-After (RFC 9110 §10.2.3) asks to wait, an hour at the most.

    A date is held against the answer's own Date, so that it doesn't matter whose clock is right.
    """
    told = headers.get("Retry-After", "")
    if told.isascii() and told.isdecimal():
        return min(float(told), MOST_ASKED)
    try:
        pause = parsedate_to_datetime(told) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):  # no date, or one that names its zone beside one that doesn't
        return 0.0
    return min(max(pause.total_seconds(), 0.0), MOST_ASKED)


def as_problem(told: Mapping[str, Any]) -> Problem:
    """Return the problem that a problem document tells of."""
    known = {"type", "code", "status", "title", "detail", "pointer"}
    return Problem(
        told.get("code", 0),
        told.get("status", 0),
        told.get("title", "Refused"),
        told.get("detail", ""),
        told.get("pointer"),
        **{name: value for name, value in told.items() if name not in known},
    )  # fmt: skip
