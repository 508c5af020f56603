"""The pace of a provider that all workers share: up to which instant its rate is used, and until when it rests.

This state decides nothing about a message: where it can't be shared, each process goes by its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

import structlog
from redis.exceptions import RedisError

from notifier.domain.clock import SECOND, Clock
from notifier.domain.errors import StoreUnavailable

TIMEOUT: Final = 0.25
"""Seconds for Redis to answer: a hundred times the usual, and short enough not to matter where Redis is down."""
ASK_AGAIN: Final = 5 * SECOND
"""How long Redis is not asked after a failure."""

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Taken(NamedTuple):
    """What is known of a provider, in milliseconds: for how long it rests and whether a breaker opened; where it
    doesn't rest, each message's wait or, less than zero, how far away the slot is that it doesn't wait for."""

    rests: float
    tripped: bool
    waits: Sequence[float]


class Kept(Protocol):
    """A store of provider state shared by all processes: Redis or the database."""

    async def take(
        self, key: str, rate: float, ramps: bool, ahead: float, asked: Sequence[tuple[float, float]]
    ) -> Taken:
        """Slots for messages by what they count and how long they wait, at most (ms).

        `rate` is 0 where there is none. For `ahead` milliseconds this process has given out slots already: what forgot
        them is reminded.
        """

    async def rest(self, key: str, milliseconds: int, *, tripped: bool) -> None:
        """Let no call begin for so long; a longer rest stands."""

    async def close(self) -> None: ...


class Shared:
    """One channel's providers, as all know them. Calls end within `timeout` seconds; where nobody answers they come to
    nothing."""

    def __init__(self, kept: Kept, clock: Clock, timeout: float = TIMEOUT) -> None:
        self._kept = kept
        self._clock = clock
        self._timeout = timeout
        self._away_until = 0

    async def take(
        self, key: str, rate: float, ramps: bool, ahead: float, asked: Sequence[tuple[float, float]]
    ) -> Taken | None:
        """Take slots as `Kept.take` does; None if the store doesn't answer."""
        return await self._answer(lambda: self._kept.take(key, rate, ramps, ahead, asked))

    async def rest(self, key: str, milliseconds: int, *, tripped: bool) -> None:
        """Tell the other processes to send nothing to a provider for so long."""
        await self._answer(lambda: self._kept.rest(key, milliseconds, tripped=tripped))

    async def close(self) -> None:
        await self._kept.close()

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        if self._clock.now() < self._away_until:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await ask()
        except (RedisError, StoreUnavailable, OSError, TimeoutError) as error:
            self._away_until = self._clock.now() + ASK_AGAIN
            log.warning("providers.not_shared", error=type(error).__name__)
            return None
