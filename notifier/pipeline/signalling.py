"""Signal due work: events to be tried, and deliveries signalled by the worker that decides them
instead of the clock."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from notifier.domain.catalog import Catalog
from notifier.domain.deliveries import State, by_queue
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.store.delivery import open_events
from notifier.store.delivery.deliveries import NewDelivery


async def begin_try(engine: Engine, ids: Sequence[str], tries: int) -> list[str]:
    """Count a try of events that were tried so often; returns those to be tried."""
    if not ids:
        return []
    return await open_events.begin_try(engine.database, ids, tries, engine.clock.now() + SIGNAL_AGAIN)


async def signal_undecided(engine: Engine, types: Mapping[str, str], later: Collection[str] = ()) -> None:
    """Signal that events wait for a decision. `types` are their event types by id, `later` those ids that come behind
    all others."""
    prompt = {id_: type_ for id_, type_ in types.items() if id_ not in later}
    urgent = [id_ for id_, type_ in prompt.items() if type_ in engine.catalog.urgent]
    others = [id_ for id_, type_ in prompt.items() if type_ not in engine.catalog.urgent]
    signals = engine.signals
    for ids, signal in (urgent, signals.decide_urgent), (others, signals.decide), ([*later], signals.decide_later):
        if ids:
            await signal(ids)


def is_immediate(catalog: Catalog, delivery: NewDelivery, now: int) -> bool:
    """Whether a delivery is signalled by the worker that decides it, not by the clock."""
    return delivery.state == State.PENDING and delivery.due_at <= now and catalog.with_twins[delivery.type].immediate


async def signal_due(engine: Engine, new: Iterable[NewDelivery], now: int) -> None:
    """Signal deliveries that are due; the clock signals the others, as queues have room."""
    at_once = (delivery for delivery in new if is_immediate(engine.catalog, delivery, now))
    await engine.signals.deliver(by_queue((d.id, d.channel, d.lane) for d in at_once))
