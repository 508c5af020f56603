"""One transaction for the store requests that a process's batches make at the same moment.

A statement's own cost is that of some forty rows; under load most batches meet others on their way to the database.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from notifier import metrics
from notifier.domain.clock import SECOND, Clock, elapsed
from notifier.domain.effects import Effect
from notifier.pipeline.bisect_failures import bisect_failures
from notifier.providers.fence import Lease, keep_to
from notifier.runtime.background import once
from notifier.runtime.coalesce import Coalescer
from notifier.store.core.database import Database
from notifier.store.delivery import leases
from notifier.store.delivery.deliveries import Ready
from notifier.store.delivery.leases import Attempt, Settled
from notifier.store.people.addresses import Gone
from notifier.store.people.suppressions import Suppression

LEASE = (
    23 * SECOND
)  # a worker's lease on a delivery: short in case the worker dies, and renewed while the message is being sent
FENCE = 3 * SECOND  # this long before the lease ends a worker starts no more sends: they could outlive the lease
RENEWALS = 4  # renewals in a lease's time: one or two failed ones lose no lease
TOGETHER = 500  # deliveries in one transaction: some 20 ms, and large enough to spread a statement's fixed cost

log = structlog.get_logger(__name__)
T = TypeVar("T")
R = TypeVar("R")


class Hold(NamedTuple):
    """The duration of a lease unless renewed, and the margin before its end in which nothing is sent."""

    lasts: int = LEASE
    fence: int = FENCE


HOLD = Hold()


class OnWire(Lease):
    """The lease of a delivery being sent: renewed until the send ends, with its expiry in the database."""

    __slots__ = ("claim", "ends_at")

    def __init__(self, claim: "Claim", lease: Lease) -> None:
        self.began = lease.began
        self.ends = lease.ends
        self.claim = claim
        self.ends_at = claim.ends_at


class Claim(msgspec.Struct, frozen=True):
    """A delivery claimed by this process: the lease's token and expiry; `together` if it is one of `batch_leases`."""

    token: str
    ends_at: int
    ready: Ready
    together: bool = False


class Settlement(msgspec.Struct, frozen=True):
    """The record of one delivery: its outcome, the attempt, an address to forget, an address to suppress, what it
    is paid by."""

    settled: Settled
    attempt: Attempt | None = None
    gone: Gone | None = None
    bad: Suppression | None = None
    paid: Effect | None = None


class ClaimBatcher:
    """Claims and settles deliveries for all batches of a process, and renews the leases of those being sent.

    A row that the store can't read or take is left out and logged, and keeps no other back.
    """

    def __init__(self, database: Database, clock: Clock, hold: Hold = HOLD) -> None:
        self._database = database
        self._clock = clock
        self._hold = hold
        self._wire: set[OnWire] = set()
        self._look: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._stopping = False
        self._claiming: Coalescer[str, Claim | None] = Coalescer(self._claim, TOGETHER)
        self._settling: Coalescer[Settlement, bool | None] = Coalescer(self._settle, TOGETHER)

    async def claim(self, ids: Sequence[str]) -> list[Claim]:
        """Claim deliveries; returns those that are this caller's from now on."""
        return [each for each in await self._claiming.add(ids) if each is not None]

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Record outcomes of deliveries; returns whether the store could write each. A delivery whose lease has passed
        to another worker keeps the state that worker gives it."""
        return [bool(taken) for taken in await self._settling.add(settlements)]

    def on_the_wire(self, claim: Claim, lease: Lease) -> OnWire:
        """Start renewing the lease of a delivery that this task sends; call `off_the_wire` when the send has ended.

        No context manager: those cost as much as all the rest, for each message.
        """
        wire = OnWire(claim, lease)
        self._wire.add(wire)
        if self._look is None:
            self._look_later()
        keep_to(wire)
        return wire

    def off_the_wire(self, wire: OnWire) -> None:
        """Stop renewing the lease of a delivery whose send has ended, either way."""
        self._wire.discard(wire)

    def stop_renewing(self) -> None:
        """Let every lease expire, since the process ends and waits for no slow answer. Any thread may call this."""
        self._stopping = True

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(self._hold.lasts / SECOND / RENEWALS, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        if not self._wire or self._stopping:
            return
        if self._renewing is None or self._renewing.done():
            self._renewing = once("renewal", self._renew)
        self._look_later()

    async def _renew(self) -> None:
        """Renew, in one statement, the leases of deliveries being sent since the previous round."""
        now, asked = self._clock.now(), elapsed()
        ends_at = now + self._hold.lasts
        # Half a round's time: rounds don't come exactly on time, and a lease that one leaves out lasts two rounds less.
        young = ends_at - self._hold.lasts // RENEWALS // 2
        old = [each for each in self._wire if each.ends_at <= young and not each.is_over]
        for start in range(0, len(old), TOGETHER):
            part = old[start : start + TOGETHER]
            tokens, together = (
                {each.claim.ready.id: each.claim.token for each in part if each.claim.together is kind}
                for kind in (False, True)
            )
            try:
                kept = await leases.renew(self._database, tokens, together, now, ends_at)
            except Exception as error:  # noqa: BLE001 (the next look may be luckier, and until then each lease lasts)
                log.warning("deliver.not_renewed", deliveries=len(part), error=type(error).__name__)
                metrics.lease_renewals.labels("failed").inc(len(part))
                return
            renewed = [each for each in part if each.claim.ready.id in kept]
            for each in renewed:
                each.ends_at = ends_at
                each.ends = asked + (self._hold.lasts - self._hold.fence) / SECOND
            # One whose send has ended meanwhile needs no lease any more.
            lost = sum(each.claim.ready.id not in kept and each in self._wire for each in part)
            metrics.lease_renewals.labels("renewed").inc(len(renewed))
            metrics.lease_renewals.labels("lost").inc(lost)

    async def _claim(self, ids: Sequence[str]) -> Sequence[Claim | None]:
        async def work(part: Sequence[str]) -> Sequence[Claim | None]:
            token, now = secrets.token_hex(16), self._clock.now()
            taken = await leases.claim(self._database, list(dict.fromkeys(part)), token, now, now + self._hold.lasts)
            held = {ready.id: Claim(token, now + self._hold.lasts, ready) for ready in taken}
            # If two callers claim one delivery at the same moment, the first gets it.
            return [held.pop(id_, None) for id_ in part]

        return await _each(work, ids)

    async def _settle(self, settlements: Sequence[Settlement]) -> Sequence[bool | None]:
        async def work(part: Sequence[Settlement]) -> Sequence[bool | None]:
            settled = [each.settled for each in part]
            attempts = [each.attempt for each in part if each.attempt is not None]
            gone = [each.gone for each in part if each.gone is not None]
            bad = [each.bad for each in part if each.bad is not None]
            paid = [each.paid for each in part if each.paid is not None]
            recorded = await leases.settle(self._database, settled, attempts, gone, self._clock.now(), bad, paid)
            if recorded != len(part):
                metrics.leases_lost.inc(len(part) - recorded)
                log.warning("deliver.lease_lost", deliveries=len(part) - recorded)
            return [True] * len(part)

        return await _each(work, settlements)


async def _each(work: Callable[[Sequence[T]], Awaitable[Sequence[R | None]]], items: Sequence[T]) -> list[R | None]:
    """The result of each item; None, with a log entry, for an item that the store can't read or write."""
    found: list[R | None] = []
    for part, outcome in await bisect_failures(work, items):
        if isinstance(outcome, Exception):
            item = part[0]
            row = item.settled.id if isinstance(item, Settlement) else item
            log.error("deliver.row_left_out", row=row, exc_info=outcome)
            found.append(None)
        else:
            found += outcome
    return found
