"""Whose turn it is to write to an SQLite file."""

import asyncio
import fcntl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifier.store.core import sqlite_write_queue
from notifier.store.core.sqlite_write_queue import SqliteWriteQueue

TAKES_IT = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "turn"


@pytest.fixture
async def processes(path: Path) -> AsyncIterator[list[SqliteWriteQueue]]:
    """Two that share a file, as two processes do."""
    both = [SqliteWriteQueue(path), SqliteWriteQueue(path)]
    yield both
    for each in both:
        each.close()


@contextmanager
def taken(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the turn inside this."""
    with subprocess.Popen(
        [sys.executable, "-c", TAKES_IT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        try:
            yield other
        finally:
            other.kill()


async def test_one_at_a_time_has_its_turn_whichever_process_it_is_of(processes: list[SqliteWriteQueue]) -> None:
    # Given forty who write, of two processes
    inside = 0
    order = []

    async def write(process: int) -> None:
        nonlocal inside
        async with processes[process].turn():
            inside += 1
            assert inside == 1
            order.append(process)
            await asyncio.sleep(0.001)
            inside -= 1

    # When they all want to at once
    await asyncio.gather(*(write(number % 2) for number in range(40)))

    # Then each had its turn, and neither process had them all first
    assert sorted(order) == [0] * 20 + [1] * 20
    assert len(set(order[:20])) == 2


async def test_who_waits_is_woken_by_the_end_of_whoever_has_the_turn(
    path: Path, processes: list[SqliteWriteQueue]
) -> None:
    # Given another process that has the turn
    async def write() -> None:
        async with processes[0].turn():
            pass

    with taken(path) as other:
        waiting = asyncio.create_task(write())
        await asyncio.sleep(0.1)
        assert not waiting.done()

        # When it dies, then the next one has it
        other.kill()
        await asyncio.wait_for(waiting, sqlite_write_queue.WAIT / 2)


async def test_where_whoever_has_the_turn_stands_still_the_others_go_on_and_queue_again_when_it_moves(
    path: Path, processes: list[SqliteWriteQueue]
) -> None:
    # Given another process that has the turn and does nothing, and somebody who gives up
    loop = asyncio.get_running_loop()

    async def write(process: SqliteWriteQueue) -> float:
        began = loop.time()
        async with process.turn():
            return loop.time() - began

    with taken(path) as other:
        given_up = asyncio.create_task(write(processes[1]))
        await asyncio.sleep(0.1)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up

        # When people write, then they wait for a while, once, and go on
        assert await write(processes[0]) >= sqlite_write_queue.WAIT
        for process in processes:
            assert await write(process) < sqlite_write_queue.WAIT
        other.kill()

    # And when the turn is free again, then nobody keeps it, and they queue
    def is_free() -> bool:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    async def queues(process: SqliteWriteQueue) -> bool:
        async with process.turn():
            return not is_free()

    async with asyncio.timeout(10 * sqlite_write_queue.WAIT):
        for process in processes:
            while not (is_free() and await queues(process)):  # noqa: ASYNC110 (another process tells no event)
                await asyncio.sleep(0.01)
    assert is_free()


async def test_where_there_can_be_no_queue_people_write_without(tmp_path: Path) -> None:
    turns_of_nobody = SqliteWriteQueue(tmp_path / "no such folder" / "turn")

    async with turns_of_nobody.turn():
        pass
    turns_of_nobody.close()
