"""What Prometheus is told: to who has a key, of requests by their route, and of the queues; however many ask."""

import asyncio
import re
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Receive, Scope, Send

from notifier import metrics
from notifier.api.latency import Latency
from notifier.api.ledger_counter import GOOD_FOR
from notifier.domain.clock import MINUTE, SECOND
from notifier.domain.ids import make_id
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.samples import NOW, encoded
from tests.states import put

SECRET = "ada.lovelace"


async def told(api: Caller, name: str, **labels: str) -> float:
    """The sum of a metric's series with these labels."""
    text = (await api.call("GET", "/metrics")).body
    found = [line for line in text.splitlines() if re.match(rf"{name}[{{ ]", line)]
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(line.rpartition(" ")[2]) for line in found if all(each in line for each in wanted))


@on_sqlite
async def test_metrics_are_for_who_has_a_key_with_that_scope(api: Caller) -> None:
    other = f"Bearer {await add_key(api.engine.database, 'ledger:read')}"
    scraper = f"Bearer {await add_key(api.engine.database, 'metrics:read')}"

    assert (await api.call("GET", "/metrics", Authorization="")).problem == (40101, None)
    assert (await api.call("GET", "/metrics", Authorization=other)).problem == (40301, None)
    answer = await api.call("GET", "/metrics", Authorization=scraper)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@on_sqlite
async def test_requests_are_observed_by_route_and_class_of_status_and_never_by_what_a_caller_makes_up(
    api: Caller,
) -> None:
    requests = "notifier_http_request_seconds_count"
    route = "/v1/recipients/{id}/preferences"
    before = [
        await told(api, requests, route=route, method="GET", status="4xx"),
        await told(api, requests, route="/v1/events", method="POST", status="2xx"),
        await told(api, requests, route="other", method=""),
        await told(api, requests, route="/console", method=""),
    ]

    # When somebody is looked for, an event comes, callers make up a path and a method, and somebody signs in
    await api.call("GET", f"/v1/recipients/{SECRET}/preferences")
    await api.post(encoded())
    await api.call("GET", f"/{SECRET}")
    await api.call("PATCH", "/v1/events")
    await api.call("GET", "/console/sign-in")
    api.clock.advance(GOOD_FOR)

    # Then each counts where it belongs
    after = [
        await told(api, requests, route=route, method="GET", status="4xx"),
        await told(api, requests, route="/v1/events", method="POST", status="2xx"),
        await told(api, requests, route="other", method=""),
        await told(api, requests, route="/console", method=""),
    ]
    assert [now - earlier for now, earlier in zip(after, before, strict=True)] == [1, 1, 2, 1]

    # And no label holds what they wrote
    assert SECRET not in (await api.call("GET", "/metrics")).body


async def test_a_request_that_ends_in_a_fault_is_observed_as_one() -> None:
    # Given an application with a fault
    async def faulty(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise LookupError

    async def nothing(*_message: Any) -> Any:
        raise AssertionError

    before = metrics.requests_of("other", "", 5)._sum.get()

    with pytest.raises(LookupError):
        await Latency(faulty, "/console")({"type": "http", "path": "/x", "method": "GET"}, nothing, nothing)

    assert metrics.requests_of("other", "", 5)._sum.get() > before


async def test_a_queue_that_nobody_works_off_shows_by_its_depth_and_its_oldest(api: Caller) -> None:
    queue = {"channel": "push", "lane": "urgent"}
    assert await told(api, "notifier_deliveries_due", **queue) == 0

    # Given two pushes in different buckets, where there are any, of which one fell due a minute ago
    buckets = api.engine.database.buckets
    for bucket, due_at in ((buckets[0], NOW - MINUTE), (buckets[-1], NOW)):
        row = {
            "id": make_id(str(due_at)), "event_id": make_id("event"), "recipient_id": "ada", "type": "t",
            "target": "", "subject_key": make_id("a"), "state": "pending", "due_at": due_at, "next_check_at": due_at,
            "created_at": 1, "updated_at": 1, "expires_at": NOW + MINUTE, **queue,
        }  # fmt: skip
        await bucket.write(partial(_put, row))
    api.clock.advance(GOOD_FOR)

    assert await told(api, "notifier_deliveries_due", **queue) == 2
    assert await told(api, "notifier_oldest_due_delivery_seconds", **queue) == (MINUTE + GOOD_FOR) / SECOND
    assert await told(api, "notifier_deliveries_due", channel="push", lane="bulk") == 0


async def _put(row: dict[str, Any], connection: AsyncConnection) -> None:
    await put(connection, row)


@on_sqlite
async def test_thirty_scrapers_cost_what_one_does(api: Caller) -> None:
    # Given whoever listens to what the database is asked
    asked: list[str] = []

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    await api.call("GET", "/metrics")
    api.clock.advance(GOOD_FOR)
    sa.event.listen(api.engine.database.engine.sync_engine, "before_cursor_execute", on_statement)

    # When thirty scrape at once, and again within a second
    texts = await asyncio.gather(*(api.call("GET", "/metrics") for _ in range(30)))
    once = len(asked)
    api.clock.advance(SECOND - 1)
    texts += await asyncio.gather(*(api.call("GET", "/metrics") for _ in range(30)))
    sa.event.remove(api.engine.database.engine.sync_engine, "before_cursor_execute", on_statement)

    # Then all hear the same, and the database was asked once about the books and once about the queues
    assert len({each.body for each in texts}) == 1
    assert len(asked) == once
    assert sum("open_delivery" in each and "due_at" in each for each in asked) == 1
