"""What is due and not taken, queue by queue: counted from one index, and nothing of what is over is read."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, Lane, State
from notifier.domain.ids import make_id
from notifier.store.core.database import Database
from notifier.store.delivery import due
from notifier.store.delivery.due import Backlog
from tests.conftest import prepare
from tests.named import EMAIL, SMS
from tests.states import put

NOW = 100_000
AGAIN = 3_000
QUEUES = [(channel, lane) for channel in (SMS, EMAIL) for lane in Lane]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


async def add(database: Database, *rows: tuple[Channel, Lane, State, int, int | None]) -> None:
    """Write deliveries: channel, lane, state, when it is due and when the clock looks at it; one bucket after the
    other."""
    for number, (channel, lane, state, due_at, next_check_at) in enumerate(rows):
        row: dict[str, Any] = {
            "id": make_id(str(number)), "event_id": make_id("event"), "recipient_id": "ada", "type": "t",
            "channel": channel, "target": "", "lane": lane, "subject_key": make_id("a"), "state": state,
            "due_at": due_at, "next_check_at": next_check_at, "created_at": 1, "updated_at": 1, "expires_at": 1,
        }  # fmt: skip
        bucket = database.buckets[number % len(database.buckets)]
        await bucket.write(partial(_put, row))


async def _put(row: dict[str, Any], connection: AsyncConnection) -> None:
    await put(connection, row)


async def backlogs(database: Database) -> dict[due.Queue, Backlog]:
    """The queues that have a backlog."""
    found = await due.backlogs(database, NOW, NOW + AGAIN, QUEUES)
    assert list(found) == QUEUES
    return {queue: each for queue, each in found.items() if each != Backlog()}


async def test_what_is_due_is_counted_by_queue_with_the_oldest(database: Database) -> None:
    # Given texts that are due, one of which the clock has signalled a moment ago, and a mail
    await add(
        database,
        (SMS, Lane.URGENT, State.PENDING, 90_000, 90_000),
        (SMS, Lane.URGENT, State.PENDING, 70_000, NOW + AGAIN),
        (SMS, Lane.URGENT, State.PENDING, NOW, NOW),
        (SMS, Lane.BULK, State.PENDING, 95_000, 95_000),
        (EMAIL, Lane.NORMAL, State.PENDING, 99_000, 99_000),
    )

    assert await backlogs(database) == {
        (SMS, Lane.URGENT): Backlog(3, 70_000),
        (SMS, Lane.BULK): Backlog(1, 95_000),
        (EMAIL, Lane.NORMAL): Backlog(1, 99_000),
    }


async def test_what_is_not_due_yet_taken_over_or_dead_is_no_backlog(database: Database) -> None:
    await add(
        database,
        (SMS, Lane.URGENT, State.PENDING, NOW + 1, NOW + 1),
        (SMS, Lane.URGENT, State.SENDING, 1, 90_000),
        (SMS, Lane.URGENT, State.UNKNOWN, 1, 90_000),
        (SMS, Lane.URGENT, State.SENT, 1, None),
        (SMS, Lane.URGENT, State.FAILED, 1, None),
    )

    assert await backlogs(database) == {}


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_a_look_at_the_queues_reads_only_the_index_of_what_is_due(database: Database) -> None:
    # Given what a look asks
    asked: list[tuple[str, Sequence[Any]]] = []

    def on_statement(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "open_delivery" in statement:
            asked.append((statement, parameters))

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", on_statement)
    await due.backlogs(database, NOW, NOW + AGAIN, QUEUES)
    sa.event.remove(database.engine.sync_engine, "before_cursor_execute", on_statement)

    # When the engine says how it would find that, where nothing is so small that it would rather read it all
    ((statement, parameters),) = asked
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    async with database.engine.connect() as connection:
        if database.dialect == "postgresql":
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "\n".join(
            str(tuple(row)) for row in await connection.exec_driver_sql(f"{explain} {statement}", tuple(parameters))
        )

    # Then each queue is a range of one index, and no other table is named
    assert plan.count("ix_open_delivery_due") >= len(QUEUES)
    assert "SCAN open_delivery" not in plan
    assert "Seq Scan" not in plan
