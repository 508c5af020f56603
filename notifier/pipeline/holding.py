"""What a process's batches ask of the store at the same moment, asked together: one transaction for all of them.

A statement's own cost is that of some forty rows; under load most batches meet others on their way to the database.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import structlog

from notifier import metrics
from notifier.clock import SECOND, Clock
from notifier.coalesce import Coalescer
from notifier.pipeline.apart import apart
from notifier.store import leases
from notifier.store.database import Database
from notifier.store.deliveries import Ready
from notifier.store.leases import Attempt, Settled
from notifier.store.suppressions import Suppression

LEASE = 23 * SECOND  # a worker's hold on a delivery: longer than any send may take, and soon over where it died
TOGETHER = 500  # deliveries in one transaction: some 20 ms, and by then a statement's own cost is spread

log = structlog.get_logger(__name__)
T = TypeVar("T")
R = TypeVar("R")


class Held(msgspec.Struct, frozen=True):
    """A delivery that this process has claimed: under which token, and until when."""

    token: str
    ends_at: int
    ready: Ready


class Settlement(msgspec.Struct, frozen=True):
    """What is recorded of one delivery: its outcome, the try it took, a device that is gone, an address that is bad."""

    settled: Settled
    attempt: Attempt | None = None
    gone: str | None = None
    bad: Suppression | None = None


class Holding:
    """Claims and settles deliveries for all batches of a process.

    A row that the store can't read or take is left out and logged, and keeps no other back.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._claiming: Coalescer[str, Held | None] = Coalescer(self._claim, TOGETHER)
        self._settling: Coalescer[Settlement, bool | None] = Coalescer(self._settle, TOGETHER)

    async def claim(self, ids: Sequence[str]) -> list[Held]:
        """Those of the deliveries that are this caller's from now on."""
        return [each for each in await self._claiming.add(ids) if each is not None]

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Record outcomes of deliveries, and whether the store could write each. What others hold by now keeps the
        state that they give it."""
        return [bool(taken) for taken in await self._settling.add(settlements)]

    async def _claim(self, ids: Sequence[str]) -> Sequence[Held | None]:
        async def work(part: Sequence[str]) -> Sequence[Held | None]:
            token, now = secrets.token_hex(16), self._clock.now()
            taken = await leases.claim(self._database, list(dict.fromkeys(part)), token, now, now + LEASE)
            held = {ready.id: Held(token, now + LEASE, ready) for ready in taken}
            # Of two who ask for one delivery at the same moment the first one has it.
            return [held.pop(id_, None) for id_ in part]

        return await _each(work, ids)

    async def _settle(self, settlements: Sequence[Settlement]) -> Sequence[bool | None]:
        async def work(part: Sequence[Settlement]) -> Sequence[bool | None]:
            settled = [each.settled for each in part]
            attempts = [each.attempt for each in part if each.attempt is not None]
            gone = [each.gone for each in part if each.gone is not None]
            bad = [each.bad for each in part if each.bad is not None]
            recorded = await leases.settle(self._database, settled, attempts, gone, self._clock.now(), bad)
            if recorded != len(part):
                metrics.leases_lost.inc(len(part) - recorded)
                log.warning("deliver.lease_lost", deliveries=len(part) - recorded)
            return [True] * len(part)

        return await _each(work, settlements)


async def _each(work: Callable[[Sequence[T]], Awaitable[Sequence[R | None]]], items: Sequence[T]) -> list[R | None]:
    """The result of each; None of what the store can't read or take, which is logged."""
    found: list[R | None] = []
    for part, outcome in await apart(work, items):
        if isinstance(outcome, Exception):
            item = part[0]
            row = item.settled.id if isinstance(item, Settlement) else item
            log.error("deliver.row_left_out", row=row, exc_info=outcome)
            found.append(None)
        else:
            found += outcome
    return found
