"""Deliver: load a batch, look again, render; claim at the last moment; send all at once; settle as answers come."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import SystemRandom

import msgspec
import structlog

from notifier import metrics
from notifier.channels.fence import check, is_over, leased
from notifier.clock import SECOND
from notifier.deliveries import Channel, Reason, State, check_moves
from notifier.errors import OutcomeUnknown, RenderError, SendError, StoreUnavailable
from notifier.messages import Receipt
from notifier.pipeline.engine import LEASE, WorkerEngine
from notifier.pipeline.prepare import Message, Prepared, closed_by, is_open, overtaken, prepare
from notifier.pipeline.settle import Ended, attempt, bad_address, lost_device, settle, was_tried
from notifier.store import deliveries, leases
from notifier.store.deliveries import Ready
from notifier.store.leases import Claimed, Settled
from notifier.store.told import heard

SETTLE_EVERY = 0.2  # seconds: a slow answer keeps the quick ones' outcomes unwritten no longer than this
SETTLE_AGAIN = 0.5  # seconds until outcomes are written again that a database did not take
FENCE = 3 * SECOND  # before its lease ends a worker stops sending: what it starts then could outlive the lease

log = structlog.get_logger(__name__)
_random = SystemRandom()


class _Tried(msgspec.Struct, frozen=True):
    """A claimed delivery and what came of it."""

    prepared: Prepared
    outcome: Receipt | SendError | Ended
    started_at: int
    ended_at: int


async def deliver(engine: WorkerEngine, channel: Channel, ids: Sequence[str], *, again: bool = False) -> int:
    """Send those of the deliveries that are pending and due; how many there were.

    A second call with the same ids finds nothing to claim, so a signal may come as often as it likes. A worker that
    dies before the claim has sent nothing, and the rows are pending still; after it the provider may have them.
    `again` claims first: these rows may be what ended another worker, and only a claim is counted.
    """
    token = secrets.token_hex(16)
    if again:
        claimed, lease_ends = await _claim(engine, ids, token)
        prepared = await _load(engine, list(claimed), State.SENDING)
    else:
        prepared = await _load(engine, ids, State.PENDING)
        claimed, lease_ends = await _claim(engine, list(prepared), token)
        # What a digest holds is settled by its claim.
        held = [id_ for id_ in claimed if prepared[id_].ready.digest_id is not None]
        prepared |= await _load(engine, held, State.SENDING)
    began_at = engine.clock.now()
    with leased((lease_ends - FENCE - began_at) / SECOND):
        tries = {}
        for id_, found in claimed.items():
            ended = overtaken(prepared[id_].ready, found)
            each = prepared[id_] if ended is None else Prepared(prepared[id_].ready, ended)
            tries[asyncio.create_task(_try(engine, channel, each))] = each
        under_way = set(tries)
        while under_way:
            done, under_way = await asyncio.wait(under_way, timeout=SETTLE_EVERY)
            if is_over():
                for task in under_way:
                    task.cancel()
            if done:
                tried = [_result(engine, channel, task, tries[task], began_at) for task in done]
                await _settle(engine, channel, token, tried, lease_ends)
    return len(claimed)


def _result(
    engine: WorkerEngine, channel: Channel, task: asyncio.Task[_Tried], prepared: Prepared, began_at: int
) -> _Tried:
    if not task.cancelled():
        return task.result()
    error = OutcomeUnknown(channel, "lease_ended", "the lease ran out before the provider answered")
    return _Tried(prepared, error, began_at, engine.clock.now())


async def _load(engine: WorkerEngine, ids: Sequence[str], state: State) -> dict[str, Prepared]:
    if not ids:
        return {}
    ready = await deliveries.load(engine.database, ids, engine.clock.now(), state)
    untold = await _untold(engine, ready)
    return {
        each.id: _prepare(engine, msgspec.structs.replace(each, told=False) if each.id in untold else each)
        for each in ready
    }


async def _untold(engine: WorkerEngine, ready: Sequence[Ready]) -> set[str]:
    """Those that close something of which their recipient has not heard."""
    closing = [(each, abouts) for each in ready if (abouts := closed_by(engine.catalog, each))]
    things = {(each.recipient_id, about) for each, abouts in closing for about in (each.about, *abouts)}
    found = await heard(engine.database, things)
    return {each.id for each, abouts in closing if not is_open(each, abouts, found)}


async def _claim(engine: WorkerEngine, ids: Sequence[str], token: str) -> tuple[dict[str, Claimed], int]:
    """The deliveries taken, and when the lease ends."""
    now = engine.clock.now()
    claimed = await leases.claim(engine.database, ids, token, now, now + LEASE) if ids else {}
    return claimed, now + LEASE


def _prepare(engine: WorkerEngine, ready: Ready) -> Prepared:
    try:
        return prepare(engine.catalog, engine.renderer, engine.links, ready, engine.clock.now())
    except RenderError as error:
        log.error("deliver.render_failed", delivery=ready.id, type=ready.type, detail=str(error))
        return Prepared(ready, Ended(State.FAILED, Reason.RENDER_FAILED))


async def _try(engine: WorkerEngine, channel: Channel, prepared: Prepared) -> _Tried:
    started_at = engine.clock.now()
    if isinstance(prepared.message, Ended):
        return _Tried(prepared, prepared.message, started_at, started_at)
    outcome = await _send(engine, channel, prepared.message)
    return _Tried(prepared, outcome, started_at, engine.clock.now())


async def _send(engine: WorkerEngine, channel: Channel, message: Message) -> Receipt | SendError:
    """Hand a message over while the lease lasts. A worker that was stopped for longer wakes up to a refusal, not to a
    send that somebody else has made meanwhile."""
    try:
        check(channel)
        receipt: Receipt = await engine.transports[channel].send(message)
    except SendError as error:
        return error
    except Exception as error:
        # A fault of ours. The outcomes of the batch's other messages must be settled all the same.
        log.error("deliver.fault", channel=channel, exc_info=error)
        return OutcomeUnknown(channel, "fault", "something broke here in the middle of the send")
    return receipt


async def _while_leased(engine: WorkerEngine, record: Callable[[], Awaitable[int]], lease_ends: int) -> int:
    """Record outcomes, again while the database is away and the lease lasts: what is known must not become unknown."""
    while True:
        try:
            return await record()
        except StoreUnavailable as error:
            if engine.clock.now() >= lease_ends:
                raise
            log.warning("deliver.not_settled", error=str(error))
            await asyncio.sleep(SETTLE_AGAIN)


async def _settle(engine: WorkerEngine, channel: Channel, token: str, tried: list[_Tried], lease_ends: int) -> None:
    now = engine.clock.now()
    settled = [settle(each.prepared.ready, each.outcome, each.prepared.words, now, _random) for each in tried]
    check_moves((State.SENDING, each.state) for each in settled)
    attempts = [
        attempt(each.prepared.ready, each.outcome, each.started_at, each.ended_at)
        for each in tried
        if not isinstance(each.outcome, Ended) and was_tried(each.prepared.ready, each.outcome)
    ]
    gone = [device for each in tried if (device := lost_device(each.prepared.ready, each.outcome)) is not None]
    bad = [address for each in tried if (address := bad_address(each.prepared.ready, each.outcome)) is not None]
    record = partial(leases.settle, engine.database, token, settled, attempts, gone, now, bad)
    recorded = await _while_leased(engine, record, lease_ends)
    if recorded != len(settled):
        metrics.leases_lost.inc(len(settled) - recorded)
        log.warning("deliver.lease_lost", channel=channel, deliveries=len(settled) - recorded)
    _measure(channel, tried, settled)


def _measure(channel: Channel, tried: Sequence[_Tried], settled: Sequence[Settled]) -> None:
    """Count how a batch ended, and how long it took."""
    for (state, reason), count in Counter((row.state, row.reason or "") for row in settled).items():
        metrics.settled.labels(channel, state, reason).inc(count)
    answered: dict[str, list[float]] = {}
    handed_over = []
    for each, row in zip(tried, settled, strict=True):
        ready = each.prepared.ready
        if was_tried(ready, each.outcome):
            answered.setdefault(row.reason or row.state, []).append((each.ended_at - each.started_at) / SECOND)
        if row.state == State.SENT:
            began = ready.accepted_at if ready.redrive_of is None else ready.created_at
            handed_over.append((each.ended_at - began) / SECOND)
    for outcome, seconds in answered.items():
        metrics.observe_all(metrics.provider_seconds.labels(channel, outcome), seconds)
    metrics.observe_all(metrics.handoff_seconds.labels(channel), handed_over)
