"""Resolve: what happens to a message that the provider may or may not have, by its type's policy."""

import asyncio
from collections.abc import Sequence

import structlog

from notifier.domain.catalog import Catalog
from notifier.domain.channels import Unknown
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import Reason, State, by_queue
from notifier.domain.errors import RenderError, SendError, Unavailable
from notifier.domain.messages import Receipt
from notifier.pipeline.claim_batcher import FENCE, LEASE
from notifier.pipeline.engine import SIGNAL_AGAIN, WorkerEngine
from notifier.pipeline.prepare import prepare
from notifier.pipeline.settle import Unsent
from notifier.providers import StatusQueryable
from notifier.store.delivery import deliveries, unknown_checks
from notifier.store.delivery.deliveries import Move, Ready
from notifier.store.delivery.due import DueDelivery

MAX_CRASHES = 2  # crashes of workers with a delivery in hand, and one before its claim, until the delivery is put aside

log = structlog.get_logger(__name__)


def policy_of(catalog: Catalog, due: DueDelivery) -> Unknown:
    """The type's policy for an unknown delivery; a removed type has none, so its delivery is left as it is."""
    kind = catalog.with_twins.get(due.type)
    return "wait" if kind is None else kind.unknown(due.channel)


def resolve(catalog: Catalog, due: DueDelivery, now: int) -> Move | None:
    """The next move of an unknown delivery; None where its provider is to be asked first."""
    if due.crashes >= MAX_CRASHES:
        return _move(due, State.FAILED, Reason.QUARANTINED, now)
    if due.expires_at <= now:
        return _move(due, State.UNKNOWN, Reason.NOT_RESENT, now)
    match policy_of(catalog, due):
        case "resend":
            return _move(due, State.PENDING, None, now)
        case "fail":
            return _move(due, State.FAILED, Reason.NOT_RESENT, now)
        case "wait":
            return _move(due, State.UNKNOWN, Reason.NOT_RESENT, now)
        case "ask":
            return None


async def ask(engine: WorkerEngine, ids: Sequence[str]) -> int:
    """Ask the provider about unknown deliveries: those that it has are sent, the others are retried; returns how many
    were resolved.

    Deliveries that another worker is asking about are left to that worker.
    """
    now = engine.clock.now()
    ids = await unknown_checks.begin(engine.database, ids, now + SIGNAL_AGAIN, now + LEASE)
    if not ids:
        return 0
    ready = await deliveries.load(engine.database, ids, State.UNKNOWN)
    found = await asyncio.gather(*(_find(engine, each, now) for each in ready))
    moves = [
        Move(
            id=each.id,
            before=State.UNKNOWN,
            state=answer.state if isinstance(answer, Receipt) else State.PENDING,
            reason=None,
            due_at=now,
            next_check_at=None if isinstance(answer, Receipt) else now + SIGNAL_AGAIN,
        )
        for each, answer in zip(ready, found, strict=True)
        if not isinstance(answer, SendError)
    ]
    await deliveries.move(engine.database, moves, now)
    await unknown_checks.end(engine.database, ids, now + SIGNAL_AGAIN)
    again = {move.id for move in moves if move.state == State.PENDING}
    await engine.signals.deliver(by_queue((each.id, each.channel, each.lane) for each in ready if each.id in again))
    return len(moves)


async def _find(engine: WorkerEngine, ready: Ready, now: int) -> Receipt | SendError | None:
    """The provider's answer about a delivery; an error where it can't say, so that it is asked again."""
    try:
        message = prepare(engine.catalog, engine.renderer, engine.links, ready, now, engine.experiments.running).message
    except RenderError:
        return None
    transport = engine.transport(ready.channel, ready.type)
    if isinstance(message, Unsent) or not isinstance(transport, StatusQueryable):
        return None
    try:
        async with asyncio.timeout((LEASE - FENCE) / SECOND):
            # Not since the event: a redrive has the content of the earlier delivery.
            receipt: Receipt | None = await transport.find(message, since=ready.created_at)
    except TimeoutError:
        error: SendError = Unavailable(ready.channel, "lease_ended", "no answer in time")
    except SendError as raised:
        error = raised
    else:
        return receipt
    log.warning("resolve.not_answered", delivery=ready.id, code=error.code)
    return error


def _move(due: DueDelivery, state: State, reason: Reason | None, now: int) -> Move:
    return Move(
        id=due.id,
        before=State.UNKNOWN,
        state=state,
        reason=reason,
        due_at=now,
        next_check_at=now if state == State.PENDING else None,
    )
