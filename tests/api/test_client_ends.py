"""How calls of the Python client end: in their time, with their producer, and in a child process."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from notifier.client import AsyncProducer, Producer, ServiceUnavailable
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.api.services import mute, problem, service, taken
from tests.samples import EVENT

DATA: dict[str, Any] = EVENT["data"]


async def test_a_server_that_never_answers_holds_a_call_no_longer_than_its_time_out() -> None:
    async with mute() as (url, _), AsyncProducer(url, "key", "billing", timeout=0.5) as producer:
        # When two calls follow each other into batches that nobody answers
        first = asyncio.create_task(producer.send("t", DATA))
        second = asyncio.create_task(producer.send("t", DATA))

        # Then each ends, and says so
        for waiting in (first, second):
            with pytest.raises(ServiceUnavailable, match=r"within 0\.5 s"):
                await waiting


async def test_a_refused_port_is_tried_as_long_as_the_time_out_says(unused_tcp_port: int) -> None:
    # Given an address at which nobody listens, and one call with little time and one with much
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with AsyncProducer(url, "key", "billing", timeout=0.6) as hasty:
        with pytest.raises(ServiceUnavailable, match="accepted nothing"):
            await hasty.send("t", DATA)
    async with AsyncProducer(url, "key", "billing", timeout=50) as patient:
        sending = asyncio.create_task(patient.send("t", DATA, id="7"))
        await asyncio.sleep(0)

        # When somebody does, then the patient one's event is taken
        app = web.Application()

        async def take(request: web.Request) -> web.Response:
            return taken(json.loads(await request.read()))

        app.router.add_post("/v1/events", take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
        assert await sending == "e-7"
        await runner.cleanup()


async def test_what_nobody_waits_for_any_more_is_not_sent_when_its_turn_comes() -> None:
    # Given a service that takes nothing, and a call that gives up behind another
    came = asyncio.Event()

    def refuse(_batch: list[dict[str, Any]]) -> web.Response:
        came.set()
        return problem(50301)

    async with service(refuse) as (producer, batches):
        producer._timeout = 5
        first = asyncio.create_task(producer.send("t", DATA, id="first"))
        await came.wait()
        producer._timeout = 0.3
        with pytest.raises(ServiceUnavailable):
            await producer.send("t", DATA, id="second")

        # When the first one ends, then the second was never sent
        with pytest.raises(ServiceUnavailable):
            await first
    assert {each["id"] for batch in batches for each in batch} == {"first"}


@pytest.mark.parametrize("answers", [True, False], ids=["a service that answers", "one that doesn't"])
async def test_closing_while_another_thread_sends_ends_both(answers: bool) -> None:
    # Given a call under way in a thread, which is answered once the producer is being closed
    closing = threading.Event()
    got: list[object] = []

    def send(producer: Producer) -> None:
        try:
            got.append(producer.send("t", DATA, id="7"))
        except (ServiceUnavailable, RuntimeError) as error:
            got.append(error)

    def work(url: str, came: Callable[[], bool]) -> None:
        with Producer(url, "key", "billing", timeout=30 if answers else 1) as producer:
            thread = threading.Thread(target=send, args=(producer,))
            thread.start()
            while not came():
                closing.wait(0.01)
            closing.set()
        thread.join()

    # When it is closed, then the call has its answer or its error, and both end
    if not answers:
        async with mute() as (url, came):
            await asyncio.to_thread(work, url, came.is_set)
        assert isinstance(got[0], ServiceUnavailable)
        return
    requests = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        await asyncio.to_thread(closing.wait)
        return taken(json.loads(await request.read()))

    app = web.Application()
    app.router.add_post("/v1/events", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await asyncio.to_thread(work, f"http://127.0.0.1:{runner.addresses[0][1]}", lambda: requests > 0)
    await runner.cleanup()
    assert got == ["e-7"]


FORKING = """
import os, sys
from notifier.client import Producer
with Producer(sys.argv[1], sys.argv[2], "billing") as producer:
    print(producer.send("payment.failed", eval(sys.argv[3]), id="parent"), flush=True)
    child = os.fork()
    print(producer.send("payment.failed", eval(sys.argv[3]), id="child" if child == 0 else "after"), flush=True)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
"""


@on_sqlite
async def test_a_child_process_goes_on_with_its_parents_producer(api: Caller) -> None:
    # When a process forks with a producer open, and both report
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORKING, api.url, api.key, repr(DATA), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await child.communicate()

    # Then all is taken
    assert child.returncode == 0
    assert len(set(told.split())) == 3
    assert {row.source_id for row in await api.rows(event)} == {"parent", "child", "after"}
