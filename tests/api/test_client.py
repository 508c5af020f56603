"""The Python client against the real application, and against services that fail as the real one can't be made to."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from notifier.client import BATCH, AsyncProducer, Producer, ServiceUnavailable
from notifier.domain.errors import Problem
from notifier.domain.problems import RETRY_AFTER
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.api.services import Answering, problem, service, taken
from tests.samples import EVENT, NOW, encoded

DATA: dict[str, Any] = EVENT["data"]


@pytest.fixture
async def producer(api: Caller) -> AsyncIterator[AsyncProducer]:
    async with AsyncProducer(api.url, api.key, "billing") as opened:
        yield opened


async def test_what_is_sent_is_in_the_store_when_the_call_returns(api: Caller, producer: AsyncProducer) -> None:
    moment = datetime(2026, 3, 9, 17, 39, tzinfo=UTC)

    id_ = await producer.send("payment.failed", DATA, id="attempt-7", subject="A-1", time=moment)

    (row,) = await api.rows(event)
    assert (row.id, row.source, row.source_id, row.subject) == (id_, "billing", "attempt-7", "A-1")
    assert (row.occurred_at, json.loads(row.data)) == (NOW - 60_000, DATA)


async def test_without_an_id_every_call_is_an_event_of_its_own(api: Caller, producer: AsyncProducer) -> None:
    ids = {await producer.send("payment.failed", DATA) for _ in range(3)}

    assert len(ids) == len(await api.rows(event)) == 3


async def test_concurrent_calls_travel_together_and_each_gets_its_own_answer(
    api: Caller, producer: AsyncProducer
) -> None:
    # Given two hundred calls at once, of which some are no good
    calls = [producer.send("payment.failed", DATA | {"attempt": n if n % 10 else "x"}, id=str(n)) for n in range(200)]

    # When all have returned
    results = await asyncio.gather(*calls, return_exceptions=True)

    # Then each has its own
    rows = {row.source_id: row.id for row in await api.rows(event)}
    for number, result in enumerate(results):
        if number % 10:
            assert result == rows[str(number)]
        else:
            assert isinstance(result, Problem)
            assert (result.code, result.pointer) == (42202, "/data/attempt")


async def test_calls_that_meet_are_few_requests() -> None:
    async with service(taken) as (producer, batches):
        await asyncio.gather(*(producer.send("payment.failed", DATA, id=str(n)) for n in range(200)))

        assert sum(len(batch) for batch in batches) == 200
        assert len(batches) <= 3


async def test_many_events_are_answered_in_order_and_a_refusal_stands_in_its_place(
    api: Caller, producer: AsyncProducer
) -> None:
    events = [{"type": "payment.failed", "data": DATA | {"attempt": n}, "id": str(n)} for n in range(3)]
    events[1]["type"] = "no.such"

    first, second, third = await producer.send_many(events)

    rows = {row.source_id: row.id for row in await api.rows(event)}
    assert (first, third) == (rows["0"], rows["2"])
    assert isinstance(second, Problem)
    assert second.code == 42201


@on_sqlite
async def test_more_events_than_a_request_takes_are_several_requests(api: Caller, producer: AsyncProducer) -> None:
    events = [{"type": "payment.failed", "data": DATA, "id": str(n)} for n in range(2 * BATCH + 1)]

    results = await producer.send_many(events)

    assert len(results) == len(set(map(str, results))) == len(await api.rows(event)) == 2 * BATCH + 1


@on_sqlite
async def test_more_bytes_than_a_request_takes_are_several_requests(api: Caller, producer: AsyncProducer) -> None:
    # Given events of 40 kB, of which the service takes some two hundred in a request, and one that is too large
    attributes = {"type": "payment.failed", "data": DATA | {"unread": "x" * 40_000}}
    events = [{**attributes, "id": str(n)} for n in range(250)]
    events[3] = {**attributes, "id": "3", "data": DATA | {"unread": "x" * 70_000}}

    results = await producer.send_many(events)

    assert [index for index, result in enumerate(results) if isinstance(result, Problem)] == [3]
    assert len(await api.rows(event)) == 249


async def test_an_event_larger_than_any_request_is_refused_alone() -> None:
    def small_only(batch: list[dict[str, Any]]) -> web.Response:
        return problem(41301) if len(json.dumps(batch)) > 1000 else taken(batch)

    async with service(small_only) as (producer, _):
        results = await producer.send_many(
            [{"type": "t", "data": {"x": "y" * size}, "id": str(size)} for size in (10, 2000, 20)]
        )

    assert [result if isinstance(result, str) else result.code for result in results] == ["e-10", 41301, "e-20"]


async def test_the_same_event_twice_is_one(api: Caller, producer: AsyncProducer) -> None:
    first = await producer.send("payment.failed", DATA, id="7")

    assert await producer.send("payment.failed", DATA, id="7") == first
    with pytest.raises(Problem, match="40901"):
        await producer.send("payment.failed", DATA | {"attempt": 8}, id="7")
    assert len(await api.rows(event)) == 1


@on_sqlite
async def test_a_key_that_is_wrong_is_told_and_not_tried_again(api: Caller) -> None:
    async with AsyncProducer(api.url, "ntf_wrong", "billing") as producer:
        with pytest.raises(Problem, match="40102"):
            await producer.send("payment.failed", DATA)


@on_sqlite
async def test_a_service_that_can_take_nothing_for_the_moment_is_asked_again(
    api: Caller, producer: AsyncProducer
) -> None:
    # Given a service that has a key in use, and then a database that another holds
    await producer.send("payment.failed", DATA, id="before")
    other = await api.engine.database.engine.connect()
    await other.exec_driver_sql("ROLLBACK")
    await other.exec_driver_sql("BEGIN IMMEDIATE")

    @sa.event.listens_for(api.engine.database.engine.sync_engine, "checkout")
    def hurry(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute("PRAGMA busy_timeout=20").close()

    # When an event is sent, and the database is free again once it has been refused
    started = asyncio.get_running_loop().time()
    sending = asyncio.create_task(producer.send("payment.failed", DATA, id="during"))
    for _ in range(2):
        assert (await api.post(encoded(id="another"))).status == 503
    await other.exec_driver_sql("ROLLBACK")
    await other.close()

    # Then it is taken when the service had asked for it
    id_ = await sending
    assert asyncio.get_running_loop().time() - started >= RETRY_AFTER
    assert {row.source_id: row.id for row in await api.rows(event)}["during"] == id_


async def test_the_pause_that_a_service_asks_for_is_kept() -> None:
    # Given a service that is away twice: once asking for a second, once for nothing
    answers: Iterator[Answering] = iter(
        [lambda _: problem(50301, **{"Retry-After": "1"}), lambda _: problem(42901), taken]
    )
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def answer(batch: list[dict[str, Any]]) -> web.Response:
        times.append(loop.time())
        return next(answers)(batch)

    # When an event is sent, then it is taken in the end, and not asked for too early
    async with service(answer) as (producer, batches):
        assert await producer.send("payment.failed", DATA, id="7") == "e-7"
        assert batches[0] == batches[1] == batches[2]
        assert producer.failed_tries == 2
    assert times[1] - times[0] >= 1.0
    assert times[2] - times[1] < 1.0


async def test_a_connection_that_breaks_is_tried_again() -> None:
    # Given a server that hangs up on the first request
    tries = 0

    async def hang_up_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.readuntil(b"]")
        if tries > 1:
            answer = taken([{"id": "7"}])
            assert isinstance(answer.body, bytes)
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%b" % (len(answer.body), answer.body))
        writer.close()

    server = await asyncio.start_server(hang_up_once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, AsyncProducer(url, "key", "billing") as producer:
        # Then the event is taken at the second try
        assert await producer.send("payment.failed", DATA, id="7") == "e-7"
    assert tries == 2


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=404, text="<html>nginx</html>", content_type="text/html"),
        web.Response(status=302, headers={"Location": "/login"}),
        web.Response(status=200, text="hello"),
    ],
    ids=["a proxy's page", "a redirect", "something else"],
)
async def test_what_is_not_this_service_is_told_as_that(answer: web.Response) -> None:
    def once(_batch: list[dict[str, Any]]) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async with service(once) as (producer, batches):
        with pytest.raises(Problem, match=str(answer.status)):
            await producer.send("payment.failed", DATA)
        assert len(batches) == 1


async def test_data_that_no_json_can_hold_fails_its_own_call_only() -> None:
    async with service(taken) as (producer, batches):
        bad: Any = {"x": object()}
        results = await asyncio.gather(
            producer.send("t", DATA, id="1"),
            producer.send("t", bad),
            producer.send("t", {"x": "\ud800"}),
            producer.send("t", DATA, id="2"),
            return_exceptions=True,
        )

        assert [results[0], results[3]] == ["e-1", "e-2"]
        assert isinstance(results[1], TypeError)
        assert isinstance(results[2], UnicodeEncodeError)
        assert sum(len(batch) for batch in batches) == 2


async def test_a_producer_that_was_not_opened_says_so_and_does_not_hang() -> None:
    with pytest.raises(RuntimeError, match="context manager"):
        await AsyncProducer("http://127.0.0.1:1", "key", "billing").send("t", DATA)
    with pytest.raises(RuntimeError, match="context manager"):
        await asyncio.to_thread(Producer("http://127.0.0.1:1", "key", "billing").send, "t", DATA)


def test_an_error_of_the_service_may_be_tried_again_and_says_when() -> None:
    error = ServiceUnavailable("it took nothing", 2.0)

    assert error.retry
    assert error.retry_after == 2.0


# The same without asyncio


async def off_loop(work: Callable[[], Any]) -> Any:
    """Run ordinary code in a thread, while the application is served from this one."""
    return await asyncio.to_thread(work)


async def test_ordinary_code_reports_events_too(api: Caller) -> None:
    def work() -> tuple[str, list[str | Problem]]:
        with Producer(api.url, api.key, "billing") as producer:
            return producer.send("payment.failed", DATA, id="1"), producer.send_many(
                [{"type": "payment.failed", "data": DATA, "id": "2"}, {"type": "no.such"}]
            )

    first, (second, third) = await off_loop(work)

    assert {row.source_id: row.id for row in await api.rows(event)} == {"1": first, "2": second}
    assert isinstance(third, Problem)


@on_sqlite
async def test_threads_share_a_producer_and_their_events_travel_together(api: Caller) -> None:
    # Given eight threads that report at once
    def work() -> dict[str, str]:
        ids: dict[str, str] = {}
        with Producer(api.url, api.key, "billing") as producer:
            barrier = threading.Barrier(8)

            def report(number: int) -> None:
                barrier.wait()
                for turn in range(10):
                    ids[f"{number}-{turn}"] = producer.send("payment.failed", DATA, id=f"{number}-{turn}")

            threads = [threading.Thread(target=report, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return ids

    # When all are done, then each has the id of its own event
    ids = await off_loop(work)
    assert {row.source_id: row.id for row in await api.rows(event)} == ids
    assert len(ids) == 80


@on_sqlite
async def test_a_refusal_is_raised_in_the_thread_that_sent_it(api: Caller) -> None:
    def work() -> None:
        with Producer(api.url, api.key, "billing") as producer:
            producer.send("no.such", DATA)

    with pytest.raises(Problem, match="42201"):
        await off_loop(work)


@on_sqlite
async def test_a_producer_that_was_closed_takes_no_more(api: Caller) -> None:
    def work() -> None:
        with Producer(api.url, api.key, "billing") as producer:
            pass
        producer.send("payment.failed", DATA)

    with pytest.raises(RuntimeError):
        await off_loop(work)
    assert await api.rows(event) == []
