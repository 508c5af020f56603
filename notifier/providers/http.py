"""What every HTTP API of a provider has in common: addresses, time-outs, answers, and `Retry-After`."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, TypeVar

import msgspec

from notifier.domain.clock import to_instant
from notifier.domain.errors import ConfigurationError
from notifier.runtime.addresses import web_address

TOTAL_TIMEOUT: Final = 10.0
"""Seconds for a whole request: both providers answer in well under one, and a delivery's lease leaves 20 s for all."""
CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a place in the pool, TCP and TLS. Shorter than the total, so a total time-out always means that the
request was sent."""

T = TypeVar("T")

_SECONDS = re.compile(r"[0-9]{1,9}")


class HttpAnswer(NamedTuple):
    """A provider's whole answer; the names of its headers in small letters."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


class HttpTimeouts(NamedTuple):
    """Seconds for the connection, and for the whole request."""

    connect: float = CONNECT_TIMEOUT
    total: float = TOTAL_TIMEOUT


TIMEOUTS: Final = HttpTimeouts()


def base_address(url: str) -> str:
    """The URL without a slash at its end; ConfigurationError unless it is http or https with a host."""
    try:
        return web_address(url)
    except ValueError as error:
        told = str(error)
    raise ConfigurationError(f"a provider's address {told}; write it as https://host")


def retry_after(headers: Mapping[bytes, bytes], now: int) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date (RFC 9110 §10.2.3); None where it can't be read."""
    value = headers.get(b"retry-after", b"").decode("latin-1").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    instant = to_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return max((instant - now) / 1000, 0.0)


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """Decode an answer's body; None if it doesn't have the decoder's shape."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
