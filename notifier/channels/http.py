"""One POST to a provider's HTTP API: its answer, or a SendError that says whether the provider may have the message.

aiohttp repeats only idempotent requests on a pooled connection that turns out to be closed (RFC 9110 §9.2.2), so a
POST goes out once: what is lost after it was written is unknown, and never sent again from here.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from notifier.channels import fence
from notifier.clock import to_instant
from notifier.errors import ConfigurationError, OutcomeUnknown, SendError, Unavailable

TOTAL_TIMEOUT: Final = 10.0
"""Seconds for a whole request: both providers answer in well under one, and a delivery's lease leaves 20 s for all."""
CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a place in the pool, TCP and TLS. Shorter than the total, so that running out of the total always means
that the request was sent."""
KEEP_ALIVE: Final = 15.0
"""Seconds a connection may idle: less than the load balancers' minute, so that a request hardly ever meets a closing
one."""
DNS_TTL: Final = 60
"""Seconds a provider's addresses are remembered."""

T = TypeVar("T")

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/|$)")
_SECONDS = re.compile(r"[0-9]{1,9}")


class Answer(NamedTuple):
    """A provider's whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Timeouts(NamedTuple):
    """Seconds for the connection, and for the whole request."""

    connect: float = CONNECT_TIMEOUT
    total: float = TOTAL_TIMEOUT


TIMEOUTS: Final = Timeouts()


def open_session(connections: int, headers: Mapping[str, str], timeouts: Timeouts) -> aiohttp.ClientSession:
    """A session with a pool of so many connections, on the running loop.

    One connection carries one request at a time: size the pool as rate × round trip. ConfigurationError unless the
    connect time-out is the shorter one.
    """
    if not 0 < timeouts.connect < timeouts.total:
        raise ConfigurationError("the connect time-out must be shorter than the total time-out")
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=DNS_TTL),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        timeout=aiohttp.ClientTimeout(connect=timeouts.connect, total=timeouts.total),
    )


def base_address(url: str) -> str:
    """The URL without a slash at its end; ConfigurationError unless it is http or https with a host."""
    if not _ADDRESS.match(url):
        raise ConfigurationError("a provider's address must be a URL with a host; write it as https://host")
    return url.rstrip("/")


async def post(
    session: aiohttp.ClientSession, provider: str, url: URL, body: bytes, headers: Mapping[str, str] | None = None
) -> Answer:
    """The answer, whatever its status.

    Raises Unavailable where no connection could be made or the lease has ended, and OutcomeUnknown where one was lost
    or fell silent afterwards.
    """
    fence.check(provider)
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        failure: SendError = Unavailable(provider, type(error).__name__, "no connection, so nothing was sent")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        failure = OutcomeUnknown(provider, type(error).__name__, "it was sent, and the answer never came")
    # Not within the except: aiohttp's errors hold the request, with its address and its Authorization header.
    raise failure


async def get(session: aiohttp.ClientSession, provider: str, url: URL) -> Answer:
    """The answer to a question that changes nothing; Unavailable where none came."""
    try:
        async with session.get(url, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        failure = Unavailable(provider, type(error).__name__, "the question was not answered")
    raise failure


def retry_after(headers: Mapping[str, str], now: int) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date (RFC 9110 §10.2.3); None where it can't be read."""
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    instant = to_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return max((instant - now) / 1000, 0.0)


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """What the decoder makes of an answer's body; None where it isn't of that shape."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
