"""Counting: the clock counts what became of messages from the log of changes, outcomes as they are over, and clicks.

Nothing is scanned: each change is read once, behind the place up to which it was counted before. That place moves in
the transaction that writes the counts, so none is counted twice or left out, whichever clock counts.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import Counts, is_campaign
from notifier.domain.catalog import Catalog
from notifier.domain.changes import Change
from notifier.domain.clicks import SETTLED, by_people
from notifier.domain.deliveries import Channel, State
from notifier.domain.effects import ANY, COUNTED, HOURS_OF_A_DAY, KEPT, Effect, What, hour_of, step_of
from notifier.domain.errors import AddressGone
from notifier.pipeline import campaigns
from notifier.pipeline.engine import Engine
from notifier.runtime.background import every
from notifier.store.core.database import Database
from notifier.store.delivery import awaited, clicks, effect_places, effects, notes
from notifier.store.delivery import campaigns as campaign_counts
from notifier.store.delivery.awaited import Awaited
from notifier.store.delivery.effect_places import Counted
from notifier.store.delivery.notes import Note
from notifier.store.reading import changes
from notifier.store.reading.changes import PastRetention

EVERY: Final = 2.0
"""Seconds between two rounds while there is little to count."""
CHANGES: Final = 5_000
"""Changes counted in one transaction, before which they are looked up in some 60 ms."""
OVER: Final = 1_000
"""Outcomes counted in one transaction."""
CLICKS: Final = 1_000
"""Clicks judged in one transaction."""
FOLDED: Final = 5_000
"""Rows merged in one transaction: more than an hour has different keys."""

LATEST: Final = 2
"""Hours to which nearly everything is added: they are merged in each round."""
MERGED_EVERY: Final = 600.0
"""Seconds between two times that older hours are merged, to which some is added yet."""
PAST: Final = 9 * HOURS_OF_A_DAY
"""Hours that are merged then: as long as outcomes are awaited, and days are made whole."""

EMAIL: Final = Channel("email")
_MAILS: Final = (State.SENT, State.UNDELIVERED)
"""The states of a campaign's mails that are counted, as `Counts` names them."""

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Count until told to stop, beside the clock's ticks."""
    await every("counting", EVERY, partial(count, engine, stop), stop)


async def count(engine: Engine, stop: asyncio.Event | None = None) -> None:
    """Count all that there is to be counted in a bucket, and merge what was counted."""
    database = engine.database
    while any([await step(engine) for step in (_count_changes, _count_over, _count_clicks, campaigns.look)]):
        if stop is not None and stop.is_set():
            return
    now = hour_of(engine.clock.now())
    await _merge(database, now + 1 - LATEST)
    while await effects.make_whole(database, now, FOLDED) == FOLDED:
        pass


async def run_merging(engine: Engine, stop: asyncio.Event) -> None:
    """Merge what is added to older hours until told to stop. Looking for it reads all their rows, so it is rare."""
    await every("merging", MERGED_EVERY, partial(merge, engine), stop)


async def merge(engine: Engine) -> None:
    """Merge what was added to hours of the last days, and remove what is not kept any more."""
    now = hour_of(engine.clock.now())
    await _merge(engine.database, now - PAST)
    while await effects.forget(engine.database, now - KEPT, FOLDED) == FOLDED:
        pass


async def _merge(database: Database, since: int) -> None:
    while await effects.fold(database, FOLDED, since) >= FOLDED // 2:
        pass


async def _count_changes(engine: Engine) -> bool:
    """Count the next changes of the log; whether there may be more."""
    database, now = engine.database, engine.clock.now()
    place = await effect_places.read(database)
    try:
        found, end = await changes.of_bucket(database, place, CHANGES)
    except PastRetention:
        log.warning("counting.past_retention", bucket=database.bucket)
        found, end = [], await changes.oldest_of_bucket(database)
    if end == place:
        return False
    reached = await _reached(engine, found)
    mails = _mails([*reached, *await _refused(engine, found)])

    async def work(connection: AsyncConnection) -> bool:
        if not await effect_places.move(connection, database.dialect, place, end):
            return False
        await effects.add(connection, database.dialect, (effect for each in reached for effect in each.effects()))
        await campaign_counts.add(connection, database.dialect, mails, now)
        return True

    return await database.write(work) and len(found) == CHANGES


async def _reached(engine: Engine, found: Iterable[Change]) -> list[Counted]:
    """The states to be counted that deliveries have reached, summed."""
    done = [(each.delivery_id, each.state) for each in found if each.state in COUNTED]
    campaigns_ = sorted(kind.id for kind in engine.catalog.types.values() if is_campaign(kind))
    database = engine.database
    return await database.read(lambda connection: effect_places.counted(connection, database.dialect, done, campaigns_))


async def _refused(engine: Engine, found: Iterable[Change]) -> list[Counted]:
    """The mails that were refused because of their address as they were handed over, as those that came back later."""
    gone = [
        (each.delivery_id, State.UNDELIVERED.value)
        for each in found
        if each.state == State.FAILED and each.reason == AddressGone.kind
    ]
    campaigns_ = sorted(kind.id for kind in engine.catalog.types.values() if is_campaign(kind))
    database = engine.database
    return await database.read(lambda connection: effect_places.counted(connection, database.dialect, gone, campaigns_))


def _mails(reached: Iterable[Counted]) -> dict[str, Counts]:
    """The mails of campaigns that were sent and came back, by event; none of tests."""
    sums: dict[str, Counts] = defaultdict(Counts)
    for each in reached:
        for effect in each.effects() if each.event_id is not None and each.channel == EMAIL else ():
            if effect.what in _MAILS:
                sums[str(each.event_id)] += Counts(**{effect.what: effect.number})
    return sums


async def _count_over(engine: Engine) -> bool:
    """Count outcomes that have come, or whose time is over; whether there may be more."""
    database, now = engine.database, engine.clock.now()

    async def work(connection: AsyncConnection) -> int:
        found = await awaited.take_over(connection, database.dialect, now, OVER)
        counts = [effect for each in found for effect in effects_of(engine.catalog, each)]
        await effects.add(connection, database.dialect, counts)
        return len(found)

    return await database.write(work) == OVER


async def _count_clicks(engine: Engine) -> bool:
    """Count the clicks of people that have settled, each delivery once; whether there may be more."""
    database, until = engine.database, engine.clock.now() - SETTLED

    async def work(connection: AsyncConnection) -> int:
        found = await clicks.take_over(connection, database.dialect, until, CLICKS)
        noted = [
            Note(delivery_id=each.delivery_id, recipient_id=each.recipient_id, deed="clicked", at=each.at)
            for each in by_people(found)
        ]
        await notes.add(connection, database.dialect, noted)
        return len(found)

    return await database.write(work) >= CLICKS


def effects_of(catalog: Catalog, over: Awaited) -> Iterator[Effect]:
    """What is counted of an outcome that is over: once for the person, and for each channel of theirs."""
    kind = catalog.with_twins.get(over.type)
    within = (
        kind.outcome.milliseconds if kind is not None and kind.outcome is not None else over.until - over.decided_at
    )
    after = 0 if over.answered_at is None else step_of(over.answered_at - over.decided_at, within)
    for channel in (ANY, *filter(None, over.channels.split(","))):
        exposed = Effect(
            hour=hour_of(over.decided_at), type=over.type, channel=channel, locale=over.locale, variant=over.variant,
            what=What.EXPOSED,
        )  # fmt: skip
        yield exposed
        if over.answered_at is not None:
            yield msgspec.structs.replace(exposed, what=What.ANSWERED, after=after)
        if over.person is not None and channel == ANY:
            yield msgspec.structs.replace(exposed, what=What.ENROLLED)
            if over.answered_at is not None:
                yield msgspec.structs.replace(exposed, what=What.WON, after=after)
