"""Stop deliveries: cancelled by the party that reported the event, or acknowledged by a person who takes care of it.

Both write supersessions, as an event does that makes others untrue: later claims end there, whichever channel,
fallback step or digest the delivery waits in, and repeating it changes nothing.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import chain, islice

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.domain.campaigns import CampaignState
from notifier.domain.catalog import NotificationType
from notifier.domain.deliveries import Reason
from notifier.domain.twins import plain
from notifier.pipeline.engine import Engine
from notifier.store.core import audit
from notifier.store.core.audit import AuditEntry
from notifier.store.core.buckets import over
from notifier.store.core.database import Database
from notifier.store.delivery import campaigns, events, supersessions
from notifier.store.delivery.deliveries import Subject
from notifier.store.delivery.supersessions import MOST_TOLD, StoppedDelivery, Supersession

MAX_SUBJECT = 190  # characters of the audit's column


class Stopping(msgspec.Struct, frozen=True, kw_only=True):
    """The number of deliveries stopped, and the first hundred of them. A delivery that is `sending` is held by a
    worker, and may still go out."""

    stopped: int
    deliveries: list[StoppedDelivery]


async def cancel(engine: Engine, kind: NotificationType, about: str, actor: str) -> Stopping:
    """Stop a type's notifications about a subject, for events up to now. Raises StoreUnavailable."""
    things = [(policy.subject_key(kind, {kind.about: about}), engine.clock.now())]
    return await _stop(engine, things, Reason.CANCELLED, actor, f"{kind.id} {about}")


async def cancel_event(
    engine: Engine, event_id: str, actor: str, check: Callable[[str], None] = lambda _type: None
) -> Stopping | None:
    """Stop an event's notifications, and the same types' earlier ones about the same subjects; None where there is no
    such event. `check` raises where its type is not the actor's to stop. Raises StoreUnavailable."""
    event = await events.get(engine.database, event_id)
    if event is None:
        return None
    check(event.type)
    if event.is_blank:  # no longer kept, or erased: nothing of it is open
        return Stopping(stopped=0, deliveries=[])
    kinds = engine.catalog.listeners.get(event.type, [])
    things = [(policy.subject_key(kind, event.data), event.starts_at) for kind in kinds]
    return await _stop(engine, things, Reason.CANCELLED, actor, f"event {event_id}")


async def acknowledge(engine: Engine, kind: NotificationType, about: str, actor: str) -> Stopping:
    """Acknowledge a subject, so that nobody else is notified of it. Raises StoreUnavailable."""
    things = [(policy.subject_key(kind, {kind.about: about}), engine.clock.now())]
    return await _stop(engine, things, Reason.ACKNOWLEDGED, actor, f"{kind.id} {about}")


async def acknowledge_delivery(engine: Engine, delivery: Subject, actor: str) -> Stopping:
    """Acknowledge a delivery's subject. Raises StoreUnavailable."""
    things = [(delivery.subject_key, engine.clock.now())]
    return await _stop(engine, things, Reason.ACKNOWLEDGED, actor, f"delivery {delivery.id}")


async def _stop(engine: Engine, things: Sequence[tuple[str, int]], reason: Reason, actor: str, told: str) -> Stopping:
    """Write supersessions of subjects, each up to an instant; their source is the audit's entry.

    They are written in every bucket, for an event about the subject may have reached any, or be on its way there.
    """
    entry = AuditEntry(at=engine.clock.now(), actor=actor, action=reason, subject=told[:MAX_SUBJECT])
    new = [Supersession(subject_key=key, until=until, reason=reason, event_id=entry.id) for key, until in things]
    return await _write(engine.database, new, await _paused(engine.database, new), entry)


def _union(found: Sequence[set[str]]) -> set[str]:
    return set().union(*found)


@over(_union)
async def _paused(database: Database, new: Sequence[Supersession]) -> set[str]:
    """The paused campaigns of which supersessions stop what waits."""

    async def work(connection: AsyncConnection) -> set[str]:
        return set(await supersessions.paused(connection, database.dialect, new))

    return await database.read(work)


def _all(found: Sequence[Stopping]) -> Stopping:
    """What was stopped in all buckets."""
    listed = chain.from_iterable(each.deliveries for each in found)
    return Stopping(stopped=sum(each.stopped for each in found), deliveries=list(islice(listed, MOST_TOLD)))


@over(_all)
async def _write(
    database: Database, new: Sequence[Supersession], paused: Collection[str], entry: AuditEntry
) -> Stopping:
    """Write supersessions in a bucket, end campaigns that are paused, and write the one entry of the audit with
    whichever is the first: so where a bucket doesn't answer, what was stopped in others is in the audit, and the same
    again stops the rest."""

    async def work(connection: AsyncConnection) -> Stopping:
        dialect = database.dialect
        await supersessions.add(connection, dialect, new)
        await audit.add(connection, dialect, [entry])
        count, found = await supersessions.stopped(connection, dialect, new)
        # What a pause has put off would see the supersession only once somebody had lifted it.
        await campaigns.handle(connection, dialect, paused, CampaignState.ENDED, entry.at)
        told = [msgspec.structs.replace(each, type=plain(each.type)) for each in found]
        return Stopping(stopped=count, deliveries=told)

    return await database.write(work)
