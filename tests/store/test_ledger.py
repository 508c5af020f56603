"""The ledger shows what is missing, too many, or forgotten: each count is told by columns of its own."""

from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.deliveries import make_id
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event
from notifier.store.reading import ledger

WAITING = {"signal_at": 2_000}
DECIDED = {"decided_at": 1_000, "deliveries": 0}
QUARANTINED = {"quarantined_at": 1_000, "tries": 2}


async def add_event(database: Database, name: str, **columns: Any) -> str:
    id_ = make_id("event", name)
    told = {"source": "test", "source_id": name, "type": "charging.complete", "digest": "", "data": "{}"}
    async with database.engine.begin() as connection:
        await connection.execute(sa.insert(event).values(id=id_, occurred_at=1, accepted_at=1, **told, **columns))
    return id_


async def add_delivery(database: Database, event_id: str, channel: str) -> None:
    told = {"recipient_id": "ada", "type": "t", "channel": channel, "target": "", "lane": "urgent", "about": "a"}
    at = dict.fromkeys(("created_at", "updated_at", "due_at", "expires_at"), 1)
    row = {"id": make_id("1"), "event_id": event_id, "state": "sent", "attempts": 1}
    async with database.engine.begin() as connection:
        await connection.execute(sa.insert(delivery).values(**row, **told, **at))


async def test_every_event_is_decided_waits_or_was_put_aside(database: Database) -> None:
    for number, columns in enumerate((WAITING, WAITING, WAITING, DECIDED, DECIDED, QUARANTINED)):
        await add_event(database, str(number), **columns)

    books = await ledger.read(database)

    assert (books.events, books.undecided, books.decided, books.quarantined) == (6, 3, 2, 1)
    assert (books.balanced, books.as_dict()["quarantined"]) == (True, 1)


@pytest.mark.parametrize(
    "columns",
    [{}, DECIDED | QUARANTINED, WAITING | QUARANTINED],
    ids=["nobody will look at it", "decided and put aside", "put aside and signalled"],
)
async def test_an_event_that_is_nowhere_or_in_two_places_is_an_imbalance(
    database: Database, columns: dict[str, Any]
) -> None:
    await add_event(database, "good", **WAITING)
    await add_event(database, "astray", **columns)

    books = await ledger.read(database)

    assert (books.balanced, books.imbalance) == (False, 1)


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
