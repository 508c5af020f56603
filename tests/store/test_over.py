"""Whether something is over is looked up by keys: what is open elsewhere costs nothing."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import make_id
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, open_delivery
from notifier.store.delivery import over
from tests.samples import NOW

MANY = 2_000  # open deliveries, of which a full look would show


async def add(connection: AsyncConnection, numbers: range, *, open_: bool) -> list[str]:
    """Deliveries of an event each; the ids of the events."""
    same = {
        "recipient_id": "ada",
        "type": "t",
        "channel": "sms",
        "target": "",
        "lane": "urgent",
        "subject_key": make_id("a"),
    }
    at = {"created_at": 1, "due_at": 1, "expires_at": 1, "state": "pending"}
    ids = {make_id("delivery", str(number)): make_id("event", str(number)) for number in numbers}
    made = [{**same, **at, "id": id_, "event_id": event_id} for id_, event_id in ids.items()]
    await connection.execute(sa.insert(delivery), made)
    if open_:
        now = {"lane": "urgent", "channel": "sms", "subject_key": make_id("a"), "state": "pending", "attempts": 0}
        opened = [{**now, "id": id_, "updated_at": 1, "due_at": 1} for id_ in ids]
        await connection.execute(sa.insert(open_delivery), opened)
    return list(ids.values())


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_rows_read_are_as_many_however_much_is_open(database: Database) -> None:
    # Given deliveries that are over
    async with database.engine.begin() as connection:
        ids = await add(connection, range(20), open_=False)
        before = await _read(connection, database, ids)

    # When many others are open
    async with database.engine.begin() as connection:
        await add(connection, range(100, 100 + MANY), open_=True)
    async with database.engine.begin() as connection:
        await connection.execute(sa.text("ANALYZE TABLE open_delivery, delivery"))
    async with database.engine.begin() as connection:
        after = await _read(connection, database, ids)

    # Then no more is read for an answer, but for what an index may show twice
    assert after <= before + len(ids)


async def _read(connection: AsyncConnection, database: Database, ids: list[str]) -> int:
    """How many rows are read to learn that these events are over."""

    async def reads() -> int:
        found = await connection.execute(sa.text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        return sum(int(row[1]) for row in found)

    before = await reads()
    found: Any = await connection.execute(over.open_events(database.dialect), {"rows": rows.ids(ids), "now": NOW})
    assert list(found) == []
    return await reads() - before


@pytest.mark.parametrize("count", [0, 3])
async def test_what_is_open_is_told(database: Database, count: int) -> None:
    async with database.engine.begin() as connection:
        ids = await add(connection, range(3), open_=count > 0)
        told = {"rows": rows.ids(ids), "now": NOW}
        found = set((await connection.execute(over.open_events(database.dialect), told)).scalars())
        wide = set(
            (await connection.execute(over.open_wide_events(database.dialect), {"rows": rows.ids(ids)})).scalars()
        )

    assert found == wide == set(ids[:count])
