"""Messages that nobody can work on: they are put aside once, with a metric, and keep no other waiting."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dramatiq
import pytest
from dramatiq.common import xq_name
from dramatiq.errors import DecodeError
from prometheus_client import Counter

from notifier import metrics
from notifier.broker import DECIDE, QUEUES, SignalEncoder, make_broker
from notifier.broker.rabbitmq import OnceRabbitmqBroker

PATIENCE = 5.0  # seconds that a message may wait because of its neighbours
DAY = 86_400_000  # milliseconds

SIGNAL: dict[str, Any] = {
    "queue_name": DECIDE, "actor_name": "decide", "args": [["a"]], "kwargs": {}, "options": {}, "message_id": "1",
    "message_timestamp": 0,
}  # fmt: skip


def changed(**members: Any) -> bytes:
    """A signal with these members."""
    return json.dumps({**SIGNAL, **members}).encode()


NOISE = b"\xff\x00\x80"
OF_ANOTHER_QUEUE = changed(queue_name="sms.urgent")
DUE_IN_A_DAY = changed(options={"eta": int(time.time() * 1000) + DAY})

UNREADABLE: dict[str, bytes] = {
    "noise": NOISE,
    "nothing": b"",
    "cut off": changed()[:-1],
    "another encoder's": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.",
    "an array": b"[]",
    "a number": b"1",
    "nested deeply": b"[" * 100_000,
    "without an actor": json.dumps({name: SIGNAL[name] for name in SIGNAL if name != "actor_name"}).encode(),
    "of no queue": changed(queue_name=None),
    "an id that is a list": changed(message_id=[]),
    "an actor that is an object": changed(actor_name={}),
    "ids that are numbers": changed(args=[[1]]),
    "no ids": changed(args=[]),
    "too many arguments": changed(args=[["a"], ["b"]]),
    "options that are a number": changed(options=1),
    "due in a day": DUE_IN_A_DAY,
    "a pipeline": changed(options={"pipe_target": {}}),
    "keywords that are a list": changed(kwargs=["again"]),
    "a stranger's member": changed(priority=9),
}


@dataclass
class Bench:
    """A real worker with one actor, and what it has done."""

    broker: dramatiq.Broker
    done: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, data: bytes, queue: str = DECIDE) -> None:
        """Put bytes into a queue, as a stranger would."""
        if isinstance(self.broker, OnceRabbitmqBroker):
            self.broker.channel.basic_publish(exchange="", routing_key=self.broker.called(queue), body=data)
        else:
            self.broker.do_enqueue(queue, str(time.monotonic_ns()), data)  # type: ignore[attr-defined]

    def signal(self, *ids: str, actor: str = "decide", queue: str = DECIDE) -> None:
        self.broker.enqueue(
            dramatiq.Message(queue_name=queue, actor_name=actor, args=(list(ids),), kwargs={}, options={})
        )

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; a failure where it doesn't in `PATIENCE`."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), self.done


@contextmanager
def working(url: str) -> Iterator[Bench]:
    bench = Bench(make_broker(url))

    @dramatiq.actor(broker=bench.broker, queue_name=DECIDE, actor_name="decide")
    def decide(ids: list[str]) -> None:
        with bench.changed:
            bench.done += ids
            bench.changed.notify_all()
        if "bad" in ids:
            raise ValueError(ids)

    for queue in QUEUES:
        bench.broker.declare_queue(queue)
    worker = dramatiq.Worker(bench.broker, worker_threads=2, worker_timeout=100)
    worker.start()
    yield bench
    worker.stop(timeout=5_000)
    bench.broker.close()


@pytest.fixture
def bench(broker_url: str) -> Iterator[Bench]:
    with working(broker_url) as opened:
        yield opened


@contextmanager
def counting(bench: Bench, counter: Counter, count: int) -> Iterator[None]:
    """What happens within counts so often, of the queue of decisions."""
    of_queue = counter.labels(DECIDE)
    before = of_queue._value.get()
    yield
    deadline = time.monotonic() + PATIENCE
    while of_queue._value.get() < before + count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert of_queue._value.get() == before + count


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_signal_is_not_read(data: bytes) -> None:
    dramatiq.set_encoder(SignalEncoder())

    with pytest.raises(DecodeError):
        dramatiq.Message.decode(data)


@pytest.mark.parametrize("data", [NOISE, OF_ANOTHER_QUEUE, DUE_IN_A_DAY], ids=["noise", "of another queue", "delayed"])
def test_what_cannot_be_read_is_put_aside_and_keeps_no_other_waiting(bench: Bench, data: bytes) -> None:
    # Given more of it than a worker takes at once, between messages that are good
    with counting(bench, metrics.messages_quarantined, 8):
        bench.signal("first")
        for _ in range(8):
            bench.put(data)

        # When a good one comes last, then it is worked on within seconds, and the others were counted
        bench.signal("last")
        bench.until(lambda: bench.done == ["first", "last"])

    # And they are kept for a look
    if isinstance(bench.broker, OnceRabbitmqBroker):
        aside = xq_name(bench.broker.called(DECIDE))
        assert bench.broker.channel.queue_declare(aside, passive=True).method.message_count >= 1
    else:
        assert bench.broker.client.lrange("notifier:quarantine", 0, 0) == [data]  # type: ignore[attr-defined]


def test_a_message_for_an_actor_that_nobody_knows_is_dropped_and_counted(bench: Bench) -> None:
    with counting(bench, metrics.messages_failed, 8):
        for _ in range(8):
            bench.signal("a", actor="nobody")

        bench.signal("last")
        bench.until(lambda: bench.done == ["last"])


def test_a_message_whose_work_fails_is_tried_once(bench: Bench) -> None:
    # The clock signals its rows again: that is the second try.
    with counting(bench, metrics.messages_failed, 8):
        for _ in range(8):
            bench.signal("bad")

        bench.signal("last")
        bench.until(lambda: sorted(bench.done) == ["bad"] * 8 + ["last"])


def test_a_queue_that_only_holds_poison_is_emptied(bench: Bench) -> None:
    with counting(bench, metrics.messages_quarantined, 300):
        for _ in range(100):
            for data in (NOISE, OF_ANOTHER_QUEUE, DUE_IN_A_DAY):
                bench.put(data)
    bench.signal("last")
    bench.until(lambda: bench.done == ["last"])
