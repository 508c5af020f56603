"""Dead letters are read along their index, however many other deliveries are open."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.store.core.database import Database
from notifier.store.reading import dead, failing
from notifier.store.reading.dead import DeadLetterFilter
from tests.api.conftest import on_sqlite

Ask = Callable[[Database], Awaitable[Any]]


@on_sqlite  # which uses a partial index only for a query that repeats the index's condition
@pytest.mark.parametrize(
    "ask",
    [
        lambda database: dead.find(database, DeadLetterFilter(), None, 50),
        lambda database: dead.find(database, DeadLetterFilter(reason="refused"), (1, "a"), 50),
        lambda database: dead.count(database, DeadLetterFilter()),
        lambda database: failing.waiting(database),
        lambda database: failing.outcomes(database, 0),
    ],
    ids=["a page", "the next, narrowed", "their number", "a tile's number", "a tile's share"],
)
async def test_no_look_for_dead_letters_reads_all_that_is_open(database: Database, ask: Ask) -> None:
    # Given whoever listens to what is asked
    asked: list[tuple[str, Any]] = []

    def on_statement(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", on_statement)
    await ask(database)
    sa.event.remove(database.engine.sync_engine, "before_cursor_execute", on_statement)

    # Then what is open is searched by an index
    (statement, parameters) = next(each for each in asked if "open_delivery" in each[0])
    async with database.engine.connect() as connection:
        plan = [
            str(row.detail) for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert any("ix_open_delivery_dead" in step for step in plan)
    assert not [step for step in plan if step.startswith("SCAN open_delivery")]
