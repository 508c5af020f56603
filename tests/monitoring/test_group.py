"""A worker's processes as their supervisor answers for them: through starts, ends, and a loop that is stuck."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter

from notifier.domain.clock import SystemClock
from notifier.monitoring.group import START_WITHIN, STUCK_AFTER, Group, Member
from notifier.monitoring.pages import Readiness
from notifier.monitoring.reports import LENGTH, Report, answer
from notifier.monitoring.totals import families
from notifier.runtime.background import cancelled, once

AT_LAST = 20  # seconds: far past what any of these may take, however slow the machine


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Process:
    """A process that answers its supervisor: what it has sent, and whether its broker does answer."""

    def __init__(self, member: Member) -> None:
        self.reaches = True
        self._registry = CollectorRegistry()
        self.sent = Counter("test_sent", "Messages", registry=self._registry)
        self._line = member.begin()
        self._answering: asyncio.Task[None] | None = None

    def work(self) -> None:
        """Begin to answer, as a process does once it has opened all that it needs."""
        ready = Readiness({"broker": self._broker}, SystemClock())
        self._answering = once("reports", lambda: answer(self._line, ready, lambda: families(self._registry)))

    async def end(self) -> None:
        if self._answering is not None:
            await cancelled(self._answering)
        self._line.close()

    async def _broker(self) -> None:
        if not self.reaches:
            raise ConnectionError


@pytest.fixture
async def time() -> Time:
    return Time()


@asynccontextmanager
async def group_of(size: int, time: Time) -> AsyncIterator[tuple[Group, list[Process]]]:
    group = Group(size, time)
    processes = [Process(each) for each in group.members]
    yield group, processes
    for each in processes:
        await each.end()
    await group.close()


async def told(group: Group, page: str) -> tuple[int, dict[str, Any]]:
    found = await group.pages()[page]()
    return found.status, msgspec.json.decode(found.body)


async def until(group: Group, **states: int) -> None:
    """Wait until so many processes are in these states."""
    async with asyncio.timeout(AT_LAST):
        while True:
            _, live = await told(group, "/livez")
            if {state: number for state, number in live["processes"].items() if number} == states:
                return
            await asyncio.sleep(0.01)


async def test_a_group_is_ready_when_all_of_its_processes_work(time: Time) -> None:
    # Given a group of which one process is up and one reads its texts yet
    async with group_of(2, time) as (group, (first, second)):
        first.work()
        await until(group, working=1, starting=1)

        # Then it lives, and is not ready
        assert (await told(group, "/livez"))[0] == 200
        assert await told(group, "/readyz") == (
            503,
            {
                "status": "unavailable",
                "faults": {"processes": "not all answer"},
                "processes": {"working": 1, "starting": 1, "stuck": 0, "ended": 0},
            },
        )

        # And when the other is up too, it is, within a second
        second.work()
        async with asyncio.timeout(AT_LAST):
            while (await told(group, "/readyz"))[0] != 200:  # noqa: ASYNC110 (nobody else tells)
                await asyncio.sleep(0.1)


async def test_a_process_that_can_not_reach_what_it_needs_makes_the_group_unready(time: Time) -> None:
    async with group_of(2, time) as (group, (first, second)):
        second.reaches = False
        first.work()
        second.work()
        await until(group, working=2)

        status, body = await told(group, "/readyz")

        assert (status, body["faults"]) == (503, {"broker": "ConnectionError"})
        assert (await told(group, "/livez"))[0] == 200


async def test_a_loop_that_is_stuck_longer_than_a_lease_makes_the_group_not_live(time: Time) -> None:
    # Given a process that has answered, and answers no more
    async with group_of(1, time) as (group, (process,)):
        process.work()
        await until(group, working=1)
        assert process._answering is not None
        time.seconds += STUCK_AFTER - 1
        assert (await told(group, "/livez"))[0] == 200

        time.seconds += 1
        status, body = await told(group, "/livez")

        assert (status, body["faults"]) == (503, {"processes": "stuck"})


async def test_a_process_that_has_answered_and_does_not_now_makes_the_group_unready(time: Time) -> None:
    # Given a process that has answered once
    group = Group(1, time, patience=0.1)
    with group.members[0].begin() as line:
        report = msgspec.msgpack.encode(Report({}, []))
        line.sendall(LENGTH.pack(len(report)) + report)
        await until(group, working=1)

        # When it gives no answer in time, then it lives yet, and is not ready
        status, body = await told(group, "/readyz")

        assert (status, body["faults"]) == (503, {"processes": "not all answer"})
        assert (await told(group, "/livez"))[0] == 200
    await group.close()


async def test_a_start_may_take_its_time_but_not_for_ever(time: Time) -> None:
    async with group_of(1, time) as (group, _):
        time.seconds += START_WITHIN - 1
        assert (await told(group, "/livez"))[0] == 200
        time.seconds += 1
        assert (await told(group, "/livez"))[0] == 503


async def test_what_a_process_counted_stays_when_it_has_ended_and_another_counts_on(time: Time) -> None:
    async with group_of(1, time) as (group, processes):
        # Given a process that has sent three, and told so
        processes[0].work()
        processes[0].sent.inc(3)
        await until(group, working=1)
        await told(group, "/readyz")
        assert b"\ntest_sent_total 3.0\n" in (await group.scrape()).body

        # When it ends, then the group lives, for it will be started again
        await processes[0].end()
        await until(group, ended=1)
        assert (await told(group, "/livez"))[0] == 200

        # And what the next one sends comes on top
        processes[0] = Process(group.members[0])
        processes[0].work()
        processes[0].sent.inc(2)
        await until(group, working=1)
        async with asyncio.timeout(AT_LAST):
            while b"\ntest_sent_total 5.0\n" not in (await group.scrape()).body:  # noqa: ASYNC110 (nobody else tells)
                await asyncio.sleep(0.1)
        assert b'\nnotifier_worker_processes{state="working"} 1.0\n' in (await group.scrape()).body


async def test_a_process_whose_supervisor_is_gone_answers_nobody_and_goes_on() -> None:
    ours, theirs = socket.socketpair()
    answering = once("reports", lambda: answer(theirs, Readiness({}, SystemClock()), list))

    ours.close()

    async with asyncio.timeout(AT_LAST):
        await answering
