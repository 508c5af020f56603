"""Deliver: claim a batch, check again, render, send as many at once as connections allow, and
settle as answers come."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

import msgspec
import structlog

from notifier import metrics
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import Channel, Reason, State, check_moves
from notifier.domain.errors import OutcomeUnknown, RenderError, SendError, StoreUnavailable
from notifier.domain.messages import Message, Receipt
from notifier.domain.twins import is_test
from notifier.pipeline.claim_batcher import Claim, OnWire, Settlement
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.prepare import Prepared, closed_by, is_open, prepare
from notifier.pipeline.settle import Unsent, attempt, bad_address, lost_address, paid, settle, was_tried
from notifier.pipeline.traces import tell_delivered
from notifier.providers.fence import BEGIN_WITHIN, Lease, check, is_over, leased
from notifier.runtime.stages import Stage, meter, metered
from notifier.store.delivery.deliveries import Ready
from notifier.store.delivery.heard import heard
from notifier.store.delivery.leases import Settled

SETTLE_EVERY = 0.2  # seconds: a slow answer delays the outcomes of quick ones by no more than this
ASK_AGAIN = 0.5  # seconds between attempts to reach a database that did not answer
# one message in so many is measured for all: a send waits several times, and each measurement reads the clock twice
METERED = 16

log = structlog.get_logger(__name__)
T = TypeVar("T")


class _Tried(msgspec.Struct, frozen=True):
    """A claimed delivery and its outcome."""

    prepared: Prepared
    claim: Claim
    outcome: Receipt | SendError | Unsent
    started_at: int
    ended_at: int
    lease_ends: int


async def deliver(engine: WorkerEngine, channel: Channel, ids: Sequence[str]) -> int:
    """Send those of the deliveries that are pending and due; how many there were.

    A second call with the same ids finds nothing to claim, so a signal may come as often as it likes. A worker that
    dies before the claim has sent nothing, and the rows are pending still; after it the provider may have them.
    """
    return await hand_over(engine, channel, await engine.claims.claim(ids))


async def hand_over(engine: WorkerEngine, channel: Channel, held: Sequence[Claim]) -> int:
    """Send deliveries that this process has claimed; returns how many."""
    lease_ends = min((each.ends_at for each in held), default=0)
    untold = await _while_leased(engine, lease_ends, lambda: _untold(engine, [each.ready for each in held]))
    began_at = engine.clock.now()
    with leased((lease_ends - engine.hold.fence - began_at) / SECOND) as lease:
        with meter(Stage.RENDER):
            prepared = [_prepare(engine, each.ready, told=each.ready.id not in untold) for each in held]
        batch = _Batch(engine, channel, lease, deque(zip(prepared, held, strict=True)), began_at)
        sending = asyncio.create_task(batch.send())
    try:
        done, _ = await asyncio.wait({sending}, timeout=engine.hold.lasts / SECOND / 2)
    except asyncio.CancelledError:
        sending.cancel()
        raise
    if done:
        sending.result()
    elif held:
        # Mail servers may take ten minutes for an answer. Other messages must not wait for them.
        engine.dispatcher.let_linger((channel, held[0].ready.lane), sending)
    return len(held)


class _Batch:
    """Deliveries sent under one lease, which is renewed for each while it is being sent."""

    def __init__(
        self, engine: WorkerEngine, channel: Channel, lease: Lease, waiting: deque[tuple[Prepared, Claim]],
        began_at: int,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._channel = channel
        self._lease = lease
        self._waiting = waiting
        self._began_at = began_at
        self._tried: list[_Tried] = []
        self._leases: dict[asyncio.Task[None] | None, Lease] = {}

    async def send(self) -> None:
        """Send the whole batch, and settle as answers come. Once settling fails, nothing more is sent."""
        count = len(self._waiting)
        at_once = int(min(count, self._engine.at_once.get(self._channel, count)))
        under_way = {asyncio.create_task(self._send_in_turn()) for _ in range(at_once)}
        try:
            while under_way:
                done, under_way = await asyncio.wait(under_way, timeout=SETTLE_EVERY)
                self._end_lost(under_way)
                if self._waiting and asyncio.get_running_loop().time() > self._lease.began + BEGIN_WITHIN:
                    # Slow answers occupy all senders: for the remaining messages it is too late, and this one is
                    # settled as such.
                    under_way.add(asyncio.create_task(self._send_in_turn()))
                if self._tried:
                    ended, self._tried = self._tried, []
                    await _settle(self._engine, self._channel, ended, self._began_at)
                for task in done:
                    task.result()
        except BaseException:
            self._waiting.clear()
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            raise

    def _end_lost(self, under_way: Iterable[asyncio.Task[None]]) -> None:
        """Stop waiting for answers to deliveries whose lease is lost."""
        for task in under_way:
            if task in self._leases and self._leases[task].is_over:
                task.cancel()

    async def _send_in_turn(self) -> None:
        """Send what waits, one after the other, beside others that do the same. Cancelled at the lease's end, what is
        under way is unknown; what still waits is refused by the fence."""
        me = asyncio.current_task()
        while self._waiting:
            prepared, claim = self._waiting.popleft()
            wire = self._engine.claims.on_the_wire(claim, self._lease)
            self._leases[me] = wire
            try:
                tried = await _try(self._engine, self._channel, prepared, wire)
            finally:
                self._engine.claims.off_the_wire(wire)
            self._tried.append(tried)  # read after the wait: meanwhile the attempt may be settled already


async def _untold(engine: WorkerEngine, ready: Sequence[Ready]) -> set[str]:
    """Ids of deliveries that close something of which their recipient has not heard."""
    closing = [(each, keys) for each in ready if (keys := closed_by(engine.catalog, each))]
    things = {(each.recipient_id, key) for each, keys in closing for key in (each.subject_key, *keys)}
    found = await heard(engine.database, things)
    return {each.id for each, keys in closing if not is_open(each, keys, found)}


def _prepare(engine: WorkerEngine, ready: Ready, *, told: bool) -> Prepared:
    if not told:
        ready = msgspec.structs.replace(ready, told=False)
    try:
        return prepare(
            engine.catalog, engine.renderer, engine.links, ready, engine.clock.now(), engine.experiments.running
        )
    except RenderError as error:
        log.error("deliver.render_failed", delivery=ready.id, type=ready.type, detail=str(error))
        return Prepared(ready, Unsent(State.FAILED, Reason.RENDER_FAILED))


async def _try(engine: WorkerEngine, channel: Channel, prepared: Prepared, wire: OnWire) -> _Tried:
    started_at, claim = engine.clock.now(), wire.claim
    if isinstance(prepared.message, Unsent):
        return _Tried(prepared, claim, prepared.message, started_at, started_at, wire.ends_at)
    outcome: Receipt | SendError
    try:
        outcome = await _send(engine, channel, prepared.ready.type, prepared.message)
    except asyncio.CancelledError:
        if not is_over():
            raise
        outcome = OutcomeUnknown(channel, "lease_ended", "the lease ran out before the provider answered")
    return _Tried(prepared, claim, outcome, started_at, engine.clock.now(), wire.ends_at)


@metered(Stage.SEND, every=METERED)
async def _send(engine: WorkerEngine, channel: Channel, type_: str, message: Message) -> Receipt | SendError:
    """Send a message while the lease lasts. A worker that was stopped for longer refuses on waking, instead of sending
    what another worker has sent meanwhile."""
    try:
        check(channel)
        receipt: Receipt = await engine.transport(channel, type_).send(message)
    except SendError as error:
        return error
    except Exception as error:
        # An error of ours. The outcomes of the batch's other messages must still be settled.
        log.error("deliver.fault", channel=channel, exc_info=error)
        return OutcomeUnknown(channel, "fault", "an internal error interrupted the send")
    return receipt


@metered(Stage.SETTLE)
async def _settle(engine: WorkerEngine, channel: Channel, tried: list[_Tried], began_at: int) -> None:
    now, lease_ends = engine.clock.now(), min(each.lease_ends for each in tried)
    settlements = [_settlement(each, now, engine.random) for each in tried]
    check_moves((State.SENDING, each.settled.state) for each in settlements)
    taken = await _while_leased(engine, lease_ends, lambda: engine.claims.settle(settlements))
    written = [pair for pair, is_taken in zip(zip(tried, settlements, strict=True), taken, strict=True) if is_taken]
    measured = [(each, settlement.settled) for each, settlement in written if not is_test(each.prepared.ready.type)]
    _measure(channel, measured)
    if engine.tracer is not None:
        ended_at = engine.clock.now()
        for each, settlement in written:
            tell_delivered(engine.tracer, each.prepared.ready, settlement, began_at, ended_at)


def _settlement(tried: _Tried, now: int, random: Random) -> Settlement:
    ready, outcome = tried.prepared.ready, tried.outcome
    settled = settle(
        ready, tried.claim.token, outcome, tried.prepared.words, now, random, together=tried.claim.together
    )
    if isinstance(outcome, Unsent):
        return Settlement(settled)
    return Settlement(
        settled,
        attempt(ready, outcome, tried.started_at, tried.ended_at) if was_tried(ready, outcome) else None,
        lost_address(ready, outcome),
        bad_address(ready, outcome),
        paid(ready, outcome, tried.prepared.words, tried.prepared.segments),
    )


async def _while_leased(engine: WorkerEngine, lease_ends: int, ask: Callable[[], Awaitable[T]]) -> T:
    """The store's answer, retried while the store is away and the lease lasts: a send whose outcome is known must not
    become unknown."""
    while True:
        try:
            return await ask()
        except StoreUnavailable as error:
            if engine.clock.now() >= lease_ends:
                raise
            log.warning("deliver.store_away", error=str(error))
            await asyncio.sleep(ASK_AGAIN)


def _measure(channel: Channel, ended: Sequence[tuple[_Tried, Settled]]) -> None:
    """Record the outcomes of a batch and its duration in the metrics."""
    for (state, reason), count in Counter((row.state, row.reason or "") for _, row in ended).items():
        metrics.settled.labels(channel, state, reason).inc(count)
    answered: dict[str, list[float]] = {}
    handed_over = []
    for each, row in ended:
        ready = each.prepared.ready
        if was_tried(ready, each.outcome):
            answered.setdefault(row.reason or row.state, []).append((each.ended_at - each.started_at) / SECOND)
        if isinstance(each.outcome, Receipt):
            began = ready.accepted_at if ready.redrive_of is None else ready.created_at
            handed_over.append((each.ended_at - began) / SECOND)
    for outcome, seconds in answered.items():
        metrics.observe_all(metrics.provider_seconds.labels(channel, outcome), seconds)
    metrics.observe_all(metrics.handoff_seconds.labels(channel), handed_over)
