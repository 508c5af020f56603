"""Quorum queues of RabbitMQ, on a server where an installation has classic ones."""

import time
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest

from notifier.broker import DECIDE, make_broker
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from tests.conftest import server_url

NAMESPACE = "notifier:quorum"
TAKEN = 20  # seconds for a message to be taken, on whatever machine


def opened(queue_type: str) -> OnceRabbitmqBroker:
    url = server_url("rabbitmq")
    broker = make_broker(f"{url}{'&' if '?' in url else '?'}queue_type={queue_type}", namespace=NAMESPACE)
    assert isinstance(broker, OnceRabbitmqBroker)
    return broker


@pytest.fixture
def classic_and_quorum() -> Iterator[tuple[OnceRabbitmqBroker, OnceRabbitmqBroker]]:
    both = opened("classic"), opened("quorum")
    for broker in both:
        broker.declare_queue(DECIDE, ensure=True)
    yield both
    for broker in both:
        for name in (broker.called(DECIDE), f"{broker.called(DECIDE)}.XQ"):
            broker.channel.queue_delete(name)
        broker.close()


def next_of(consumer: Any) -> Any:
    deadline = time.monotonic() + TAKEN
    while time.monotonic() < deadline:
        message = next(consumer)
        if message is not None:
            return message
    return None


def test_an_installation_goes_over_to_quorum_queues_while_its_classic_ones_are_there(
    classic_and_quorum: tuple[OnceRabbitmqBroker, OnceRabbitmqBroker],
) -> None:
    # Given queues of both types for the same work
    classic, quorum = classic_and_quorum

    # When a signal is sent by each
    for broker, id_ in ((classic, "old"), (quorum, "new")):
        broker.enqueue(dramatiq.Message(queue_name=DECIDE, actor_name="decide", args=([id_],), kwargs={}, options={}))

    # Then neither is refused, and each is in a queue of its own
    assert [broker.waiting(DECIDE) for broker in classic_and_quorum] == [1, 1]
    consumer: Any = quorum.consume(DECIDE, prefetch=1, timeout=1_000)
    assert next_of(consumer).args == (["new"],)
    consumer.close()
