"""The ledger over HTTP: asked for by many at once it is counted once, and scrapes cost next to nothing."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from notifier.api.ledger_counter import GOOD_FOR
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.samples import encoded

pytestmark = on_sqlite


@contextmanager
def counted(api: Caller) -> Iterator[list[str]]:
    """The statements meanwhile that read the books."""
    found: list[str] = []

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if re.search(r"count\(\*\).*FROM open_event", statement, re.DOTALL | re.IGNORECASE):
            found.append(statement)

    engine = api.engine.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", on_statement)
    yield found
    sa.event.remove(engine, "before_cursor_execute", on_statement)


async def events_told(api: Caller) -> str:
    """How many events `/metrics` tells of."""
    answer = await api.call("GET", "/metrics")
    (line,) = [line for line in answer.body.splitlines() if line.startswith("notifier_events ")]
    return str(line.split()[1])


async def test_thirty_scrapes_at_once_count_once_and_the_next_ones_not_at_all(api: Caller) -> None:
    with counted(api) as counts:
        assert await asyncio.gather(*(events_told(api) for _ in range(30))) == ["0.0"] * 30
        assert len(counts) == 1

        # When an event comes, then it is told of as soon as a count is old
        await api.post(encoded())
        assert await events_told(api) == "0.0"
        assert len(counts) == 1
        api.clock.advance(GOOD_FOR)
        assert await events_told(api) == "1.0"
        assert len(counts) == 2


async def test_who_asks_for_the_ledger_with_a_key_hears_what_is_and_many_share_a_count(api: Caller) -> None:
    with counted(api) as counts:
        await api.call("GET", "/v1/ledger")
        await api.post(encoded())
        books = await asyncio.gather(*(api.call("GET", "/v1/ledger") for _ in range(30)))

    assert {each.body["events"] for each in books} == {1}
    assert len(counts) < 10
