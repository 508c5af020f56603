"""The ledger shows what is missing, too many, or forgotten, and reads nothing of what is over."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.ids import make_id
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event, open_event, outcome, plan
from notifier.store.reading import ledger
from tests.states import put
from tests.written import write_events

WAITING = {"next_check_at": 2_000}
DECIDED = {"decided_at": 1_000, "deliveries": 0}
QUARANTINED = {"quarantined_at": 1_000, "tries": 2}
DISCARDED = QUARANTINED | {"handled_at": 1_500}


async def add_event(database: Database, name: str, **columns: Any) -> str:
    id_ = make_id("event", name)
    told = {"source": "test", "source_id": name, "type": "charging.complete", "digest": "", "data": "{}"}
    async with database.engine.begin() as connection:
        await write_events(connection, [{"id": id_, "occurred_at": 1, "accepted_at": 1, **told, **columns}])
    return id_


async def add_delivery(database: Database, event_id: str, channel: str) -> None:
    told = {"recipient_id": "ada", "type": "t", "channel": channel, "target": "", "lane": "urgent"}
    told |= {"subject_key": make_id("a")}
    at = dict.fromkeys(("created_at", "updated_at", "due_at", "expires_at"), 1)
    row = {"id": make_id("1"), "event_id": event_id, "state": "sent", "attempts": 1}
    async with database.engine.begin() as connection:
        await put(connection, row | told | at)


async def test_every_event_is_decided_waits_or_was_put_aside(database: Database) -> None:
    for number, columns in enumerate((WAITING, WAITING, WAITING, DECIDED, DECIDED, QUARANTINED, DISCARDED)):
        await add_event(database, str(number), **columns)

    books = await ledger.read(database)

    assert (books.events, books.undecided, books.decided, books.quarantined) == (7, 3, 2, 2)
    assert (books.balanced, books.as_dict()["quarantined"]) == (True, 2)


@pytest.mark.parametrize("columns", [{}, WAITING | QUARANTINED], ids=["nobody will look at it", "put aside, signalled"])
async def test_an_event_that_is_nowhere_or_in_two_places_is_an_imbalance(
    database: Database, columns: dict[str, Any]
) -> None:
    await add_event(database, "good", **WAITING)
    await add_event(database, "astray", **columns)

    books = await ledger.read(database)

    assert (books.balanced, books.imbalance) == (False, 1)


async def test_an_open_event_that_is_lost_or_that_nobody_accepted_is_an_imbalance(database: Database) -> None:
    # Given an event that was accepted
    id_ = await add_event(database, "1", **WAITING)

    # When its open row is lost, or another one is made up
    for change, astray in (
        (sa.delete(open_event), 1),
        (sa.insert(open_event).values(id=id_, **WAITING), 0),
        (sa.insert(open_event).values(id=make_id("made up"), **WAITING), 1),
    ):
        async with database.engine.begin() as connection:
            await connection.execute(change)

        # Then the books show it
        assert (await ledger.read(database)).imbalance == astray


@pytest.mark.parametrize("planned", [0, 2])
async def test_a_delivery_that_was_not_planned_or_is_missing_is_an_imbalance(database: Database, planned: int) -> None:
    await add_delivery(database, await add_event(database, "1", decided_at=1, deliveries=planned), "sms")

    books = await ledger.read(database)

    assert (books.balanced, books.imbalance, books.total) == (False, 1, 1)


async def test_a_delivery_by_a_channel_that_another_release_has_is_counted(database: Database) -> None:
    # Given a row that a newer process wrote, whose channel is not known here
    await add_delivery(database, await add_event(database, "1", decided_at=1, deliveries=1), "pigeon")

    books = await ledger.read(database)

    assert (books.balanced, books.total, books.by_channel["pigeon"]) == (True, 1, 1)


async def test_an_audit_reads_nothing_that_is_over(database: Database) -> None:
    # Given whoever listens to what the ledger asks
    asked: list[str] = []

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", on_statement)
    await ledger.read(database)
    sa.event.remove(database.engine.sync_engine, "before_cursor_execute", on_statement)

    # Then one statement reads the sums and what is open, and none names a table of what is over
    (_,) = [each for each in asked if re.search(r"\btally\b", each) and re.search(r"\bopen_delivery\b", each)]
    for table in (event, plan, delivery, outcome):
        assert not re.search(rf"(FROM|JOIN)\s+{table.name}\b", "\n".join(asked), re.IGNORECASE)
