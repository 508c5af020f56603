"""Repeats of events that are over: harmless for as long as policy says, whether the event is kept or not."""

import msgspec

from notifier.domain.clock import HOUR, SECOND, ManualClock
from notifier.domain.events import undated_id
from notifier.domain.retention import Retention
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.schema import event
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import events
from notifier.store.reading import ledger
from tests.pipeline.removing import MONTH, counts, keeping, removed, rows, told_complete
from tests.pipeline.samples import NOW, Report


async def test_as_long_as_an_event_is_kept_its_repeat_changes_nothing(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a session that ended, whose data have gone
    (id_,) = await told_complete(engine, report, 1)
    clock.advance(MONTH + SECOND)
    await removed(engine)
    before = await counts(engine, event, delivery)
    (kept,) = await rows(engine, event)

    # When its source reports it once more
    new = {name: kept._mapping[name] for name in ("source", "source_id", "type", "digest")}
    undated = undated_id(kept.source, kept.source_id)
    again = events.NewEvent(
        **new, id=undated, subject="subject", occurred_at=NOW, accepted_at=clock.now(), data=msgspec.Raw(b'{"a":1}'),
        next_check_at=clock.now(),
    )  # fmt: skip
    assert await events.add(engine.database, [again]) == {undated: events.Stored(id_, kept.digest)}

    # Then it is known, and stays as it is
    assert await counts(engine, event, delivery) == before
    assert (await rows(engine, event))[0].data == "{}"


async def test_a_repeat_of_an_event_that_is_kept_no_longer_changes_nothing_for_as_long_as_policy_says(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a policy that keeps events for a month, and remembers them for two; and a session whose event has gone
    engine = keeping(engine, Retention(deliveries="30 d", decisions="30 d", events="30 d", repeats="60 d"))
    (id_,) = await told_complete(engine, report, 1)
    (kept,) = await rows(engine, event)
    clock.advance(MONTH + 2 * HOUR)
    await removed(engine)
    assert await counts(engine, event, delivery) == [0, 0]
    undated = undated_id(kept.source, kept.source_id)

    async def again() -> str:
        new = events.NewEvent(
            id=undated, source=kept.source, source_id=kept.source_id, type=kept.type, digest=kept.digest,
            subject=None, occurred_at=NOW, accepted_at=clock.now(), data=msgspec.Raw(b"{}"), next_check_at=clock.now(),
        )  # fmt: skip
        return (await events.add(engine.database, [new]))[undated].id

    # When it is reported again, then it is known
    assert await again() == id_
    assert await counts(engine, event, delivery) == [0, 0]

    # And when that is forgotten too, it is another event
    clock.advance(MONTH)
    await removed(engine)
    assert await again() != id_
    assert await counts(engine, event) == [1]
    assert (await ledger.read(engine.database)).balanced
