"""What people do with messages is counted once, in the hour in which the message was decided, beside its outcome."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText
from notifier.domain.clock import DAY, HOUR, MINUTE, ManualClock
from notifier.domain.deliveries import Channel, State
from notifier.domain.effects import What, hour_of
from notifier.domain.links import Unsubscribe
from notifier.domain.messages import Report as Told
from notifier.domain.preferences import Preferences
from notifier.people.choosing import Said, switch
from notifier.pipeline import receipts
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.database import Database
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import effects, notes
from notifier.store.delivery.notes import Deed
from notifier.store.people import preferences
from tests import everywhere
from tests.conftest import prepare
from tests.named import EMAIL, PUSH
from tests.pipeline.samples import COMPLETE, NOW, WARNING, Report
from tests.samples import EVENT

PHONE = "+4915123456789"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


async def counted(database: Database, *what: str) -> dict[tuple[int, str, str, str, str], int]:
    """How many there are of some kinds, by hour, type, channel, category and what."""
    sums = Counter[tuple[int, str, str, str, str]]()
    for each in await effects.read(database, 0, hour_of(NOW + 4 * DAY)):
        if each.what in what:
            sums[each.hour, each.type, each.channel, each.variant, each.what] += each.number
    return dict(sums)


async def send(engine: WorkerEngine) -> None:
    """What is due goes out, in every bucket."""
    for each in engine.buckets:
        for row in await everywhere.rows(each.database, delivery):
            if row.state == State.PENDING and row.due_at <= engine.clock.now():
                await deliver(each, Channel(row.channel), [row.id])


async def warned(engine: WorkerEngine, report: Report) -> list[str]:
    """Warn a driver of a fee; the ids of the pushes to two phones, which are sent."""
    await everywhere.decide(engine, [await report("idle.warning", **WARNING)])
    await send(engine)
    return [row.id for row in await everywhere.rows(engine.database, delivery) if row.channel == PUSH]


async def test_a_push_that_is_opened_counts_once_in_the_hour_of_its_decision(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given two pushes, of which one is said to be opened an hour later, three times
    first, _other = await warned(engine, report)
    clock.advance(HOUR)
    told = Told(delivery=first, channel=PUSH, state=State.DELIVERED, opened=True)

    await receipts.record(engine.database, [told, told], clock.now())
    await receipts.record(engine.database, [told], clock.now())

    # Then it is one of the hour in which both were decided
    assert await counted(engine.database, "opened") == {(hour_of(NOW), "idle-warning", "push", "", "opened"): 1}


async def test_a_delivery_that_is_only_reported_as_delivered_is_not_opened(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    first, _other = await warned(engine, report)

    await receipts.record(engine.database, [Told(delivery=first, channel=PUSH, state=State.DELIVERED)], NOW)

    assert await counted(engine.database, "opened") == {}


async def test_what_is_seen_in_the_app_is_opened_and_what_is_read_is_both(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    ids = await warned(engine, report)

    async def note(deed: Deed, *of: str) -> None:
        for each in engine.buckets:

            async def work(connection: AsyncConnection) -> bool:
                return await notes.write(connection, engine.database.dialect, driver, of, deed, NOW + HOUR)

            await each.database.write(work)

    # When one is seen, then both are read, twice, and put away
    await note("seen", ids[0])
    for deed in ("read", "read", "seen", "archived"):
        await note(deed, *ids)

    # Then each is opened and read once
    expected = {(hour_of(NOW), "idle-warning", "push", "", what): 2 for what in ("opened", "read")}
    assert await counted(engine.database, "opened", "read") == expected


async def test_a_mail_whose_own_link_unsubscribes_counts_and_one_that_is_gone_by_its_category(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given a mail, and the links in its header and in that of a mail that isn't kept any more
    await everywhere.decide(engine, [await report("payment.failed", **EVENT["data"] | {"driver_id": driver})])
    (mail,) = [row for row in await everywhere.rows(engine.database, delivery) if row.channel == EMAIL]
    own, gone = (Unsubscribe(driver, category, EMAIL, id_) for category, id_ in (("billing", mail.id), ("x", "0" * 32)))
    said = Said({}, "unsubscribe-page", "v1", What.UNSUBSCRIBED)

    # When both are used, twice
    for link in (own, own, gone, gone):
        told = msgspec.structs.replace(said, delivery_id=link.delivery_id)
        assert await switch(engine.database, link, told, on=False, now=NOW + HOUR, categories=engine.catalog.categories)

    # Then the one is of its type and of the hour of its decision, the other of now
    assert await counted(engine.database, "unsubscribed") == {
        (hour_of(NOW), "payment-failed", "email", "", "unsubscribed"): 1,
        (hour_of(NOW + HOUR), "", "email", "x", "unsubscribed"): 1,
    }


async def test_a_number_that_stops_counts_once_until_it_starts_again(engine: WorkerEngine, driver: str) -> None:
    async def text(body: str, sid: int) -> None:
        await heed(engine.database, IncomingText(number=PHONE, body=body, sid=f"SM{sid}"), NOW)

    # When STOP comes, is repeated by the provider, and comes once more
    for sid in (1, 1, 2):
        await text("STOP", sid)
    assert await counted(engine.database, "stopped") == {(hour_of(NOW), "", "sms", "", "stopped"): 1}

    # Then it counts again after START alone
    await text("START", 3)
    await text("STOP", 4)
    assert await counted(engine.database, "stopped") == {(hour_of(NOW), "", "sms", "", "stopped"): 2}


async def test_a_stop_counts_for_the_text_that_the_person_got_last(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given two texts, the second an hour after the first, and one that is still to go out
    await warned(engine, report)
    clock.advance(HOUR)
    await everywhere.decide(engine, [await report("charging.complete", **COMPLETE)])
    await send(engine)
    clock.advance(HOUR)
    await everywhere.decide(engine, [await report("idle.warning", **WARNING | {"session_id": "102"})])

    # When the person replies STOP, and another number does
    for sid, number in enumerate((PHONE, "+4915199999999")):
        await heed(engine.database, IncomingText(number=number, body="STOP", sid=f"SM{sid}"), clock.now())

    # Then the one is of the text that came last, and of the hour of its decision, the other of none
    assert await counted(engine.database, "stopped") == {
        (hour_of(NOW + HOUR), "charging-complete", "sms", "", "stopped"): 1,
        (hour_of(NOW + 2 * HOUR), "", "sms", "", "stopped"): 1,
    }


async def test_what_is_switched_off_counts_for_the_last_message_of_that_category_and_channel(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a warning, and a mail of another category after it
    await warned(engine, report)
    clock.advance(MINUTE)
    await everywhere.decide(engine, [await report("payment.failed", **EVENT["data"] | {"driver_id": driver})])
    await send(engine)
    categories = engine.catalog.categories
    warning = categories["idle-warning"]

    async def save(chosen: Preferences) -> None:
        await preferences.change(engine.database, driver, lambda _: chosen, "key", clock.now(), categories)

    # When the warnings' pushes are switched off, then a category of which nothing came, at last everything
    await save(Preferences(switches={warning: {PUSH: False}}))
    await save(Preferences(switches={warning: {PUSH: False}, "offers": {EMAIL: False}}))
    await save(Preferences(everything=False))

    # Then the first counts for the warning, the second for nothing, and the third for what came last
    found = await counted(engine.database, "switched_off")
    last = [key for key in found if key[1] not in ("idle-warning", "")]
    assert found == {
        (hour_of(NOW), "idle-warning", "push", "", "switched_off"): 1,
        (hour_of(NOW), "", "email", "offers", "switched_off"): 1,
        last[0]: 1,
    }
    assert last[0][1] == "payment-failed"


async def test_a_choice_counts_for_no_message_of_more_than_three_days_ago(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    await warned(engine, report)
    clock.advance(3 * DAY)

    await heed(engine.database, IncomingText(number=PHONE, body="STOP", sid="SM1"), clock.now())

    assert await counted(engine.database, "stopped") == {(hour_of(NOW + 3 * DAY), "", "sms", "", "stopped"): 1}


async def test_a_link_of_a_message_that_is_gone_counts_for_the_last_of_its_category(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    await everywhere.decide(engine, [await report("payment.failed", **EVENT["data"] | {"driver_id": driver})])
    await send(engine)
    said = Said({}, "unsubscribe-page", "v1", What.UNSUBSCRIBED, "0" * 32)
    link = Unsubscribe(driver, engine.catalog.categories["payment-failed"], EMAIL, "0" * 32)

    await switch(engine.database, link, said, on=False, now=NOW + HOUR, categories=engine.catalog.categories)

    assert await counted(engine.database, "unsubscribed") == {
        (hour_of(NOW), "payment-failed", "email", "", "unsubscribed"): 1
    }
