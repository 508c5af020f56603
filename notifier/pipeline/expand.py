"""Expand: decide an event that addresses a segment, chunk by chunk, from a low-priority queue of its own."""

from collections.abc import Sequence
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics, policy
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.deliveries import Reason
from notifier.domain.errors import StoreUnavailable
from notifier.domain.events import Event
from notifier.pipeline.engine import EXPAND_AGAIN, Engine
from notifier.pipeline.forwarding import Forwarded, forward, reaches_out
from notifier.pipeline.outcomes import write_outcomes
from notifier.pipeline.plan import Plan, kinds_of, people_of, plan_effects, plan_nobody, plan_type
from notifier.pipeline.planning import with_first_seen
from notifier.pipeline.signalling import begin_try, signal_due
from notifier.pipeline.spending import read_spent
from notifier.pipeline.traces import tell_decided
from notifier.runtime.stages import Stage, metered
from notifier.store.delivery import deliveries, events, identities, supersessions
from notifier.store.people import recipients, segments
from notifier.store.people.segments import NO_CHUNK, Chunk

log = structlog.get_logger(__name__)


async def expand(engine: Engine, ids: Sequence[str]) -> int:
    """Decide the next chunk of each event; returns how many events are fully decided.

    One that can't be decided is counted and left behind, as `decide` does it.
    """
    done = 0
    for id_ in ids:
        try:
            done += await _expand(engine, id_)
        except StoreUnavailable:
            raise
        except Exception as error:
            log.error("expand.failed", id=id_, exc_info=error)
            await begin_try(engine, [id_], 0)
    metrics.events_decided.inc(done)
    return done


@metered(Stage.DECIDE)
async def _expand(engine: Engine, id_: str) -> int:
    """Decide an event for the next chunk of its segment and signal the one after; 1 where that was the last, else 0.

    What a chunk comes to and how far it reached are one transaction, so a worker that ends anywhere leaves no person
    out and tells none twice. Types with other audiences are decided with the first chunk.
    """
    now = engine.clock.now()
    forwarded = Forwarded()
    if not await _forward(engine, id_, forwarded):
        return 0
    outcome = await engine.database.write(partial(_transact, engine, id_, now, forwarded))
    if outcome is None:
        return 0
    finished, plan, event = outcome
    if engine.tracer is not None:
        tell_decided(engine.tracer, [event], plan.deliveries.values(), now, engine.clock.now())
    await signal_due(
        engine, plan.deliveries.values(), now
    )  # rows that existed already were signalled before: a second signal does no harm
    if not finished:
        await engine.signals.expand([id_])
    return int(finished)


async def _forward(engine: Engine, id_: str, forwarded: Forwarded) -> bool:
    """Forward an event before its first chunk; False where a bucket that it reaches doesn't answer."""
    if len(engine.whole.buckets) == 1:
        return True
    begun = await events.undecided(engine.database, [id_])
    outward = [
        each for each in begun if each.cursor is None and reaches_out(engine.catalog, each, len(engine.whole.buckets))
    ]
    return len(await forward(engine, outward, forwarded)) == len(outward)


async def _transact(
    engine: Engine, id_: str, now: int, forwarded: Forwarded, connection: AsyncConnection
) -> tuple[bool, Plan, Event] | None:
    """Write an event's next chunk and its progress: whether it was the last, its plan, and the event; None where that
    is no longer undecided."""
    dialect = engine.database.dialect
    taken = await events.take_undecided(connection, dialect, [id_])
    if not taken:
        return None
    taken = forwarded.with_turns(taken)
    (event,) = await with_first_seen(connection, dialect, engine.catalog, taken, identities.first_seen)
    segment = await segments.read(connection, str(event.data["segment_id"]))
    chunk = NO_CHUNK
    if segment is not None:
        chunk = await segments.chunk(connection, dialect, segment, event.cursor or "", engine.chunk)
    plan = await _plan(engine, connection, event, chunk, now, forwarded)
    for kind in _wide(engine.catalog, event):
        if event.audiences is not None:
            continue  # where it was accepted it is said once that nobody hears of it
        if segment is None:
            plan_nobody(plan, kind, event, Reason.UNKNOWN_SEGMENT, now)
        elif not chunk.people and not chunk.more and not await deliveries.has_decisions(connection, id_, kind.id):
            plan_nobody(plan, kind, event, Reason.EMPTY_AUDIENCE, now)
    added = await deliveries.add(connection, dialect, list(plan.deliveries.values()))
    await deliveries.add_decisions(connection, dialect, plan.decisions)
    await write_outcomes(connection, engine, plan, added)
    await supersessions.add(connection, dialect, plan.supersessions)
    again_at = now + EXPAND_AGAIN if chunk.more else None
    await events.advance(connection, dialect, event, len(added), chunk.last or event.cursor, now, again_at)
    return not chunk.more, plan, event


async def _plan(
    engine: Engine, connection: AsyncConnection, event: Event, chunk: Chunk, now: int, forwarded: Forwarded
) -> Plan:
    """The plan of a chunk; the first chunk includes the event's other types."""
    plan, catalog, running = Plan(), engine.catalog, engine.experiments.running
    wide = _wide(catalog, event)
    is_first = event.cursor is None
    others = [kind for kind in kinds_of(catalog, event) if is_first and kind not in wide]
    members = {key: chunk.people for kind in wide for key in policy.audiences(kind, event.data)}
    if is_first:
        wanted = [key for kind in others for key in policy.own_audiences(kind, event)]
        members |= forwarded.with_members(await recipients.in_audiences(connection, engine.database.dialect, wanted))
        plan_effects(plan, catalog, event)
    spent = await read_spent(
        connection, engine.database.dialect, catalog, [event], members, now, often=engine.often
    )  # fmt: skip
    for kind in others:
        plan_type(plan, catalog, kind, event, people_of(kind, event, members), now, spent, running)
    for kind in wide if chunk.people else ():
        plan_type(plan, catalog, kind, event, chunk.people, now, spent, running)
    return plan


def _wide(catalog: Catalog, event: Event) -> list[NotificationType]:
    """The types that address the event's segment."""
    return [kind for kind in catalog.listeners.get(event.type, []) if kind.audience == "segment"]
