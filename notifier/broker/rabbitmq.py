"""Dramatiq on RabbitMQ, for messages that are signals.

Queues are called `<namespace>:<queue>`, so that installations may share a virtual host, and quorum queues
`<namespace>:quorum:<queue>`: a queue can't change its type, and declaring one of the other type is an error. So no old
queue is in the way of an installation that goes over, and what it holds yet is signalled again as any lost signal is.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pika
import pika.exceptions
import structlog
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.rabbitmq import (
    DEAD_MESSAGE_TTL,
    MAX_ENQUEUE_ATTEMPTS,
    RabbitmqBroker,
    _RabbitmqConsumer,
)
from dramatiq.common import xq_name
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message

from notifier import metrics
from notifier.broker import queues
from notifier.broker.worker import HELD_PAUSE
from notifier.runtime.broker_url import RabbitmqUrl

HEARTBEAT = 30  # seconds between RabbitMQ's heartbeats, by which either side notices that the other is gone
SLOWER = 2  # times the time-out of a socket: for a server that is there to let us in

log = structlog.get_logger(__name__)


class OnceConsumer(_RabbitmqConsumer):
    """Skips messages that RabbitMQ redelivers: a worker died with them, and the clock signals those rows again.

    Unreadable messages go to the queue's dead letters (`<queue>.XQ`), kept for a week.
    """

    def __init__(self, broker: "OnceRabbitmqBroker", queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, broker.called(queue_name), prefetch, timeout)  # type: ignore[no-untyped-call]
        self.queue_name = queue_name
        self._held = False

    def hold(self) -> None:
        """Take no more messages."""
        self._held = True
        with suppress(pika.exceptions.AMQPError):  # the connection is closed
            self.connection.add_callback_threadsafe(self.channel.cancel)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Return messages that were not begun, as new ones: RabbitMQ would mark them as redelivered when the connection
        ends."""
        for message in messages:
            self.broker.enqueue(message._message)  # noqa: SLF001 (Dramatiq's proxy of its message)
            self.ack(message)  # type: ignore[no-untyped-call]

    def __next__(self) -> MessageProxy | None:
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except StopIteration:
            if not self._held:
                raise
            self._rest()
            return None
        if message is None:
            return None
        if message.redelivered:
            metrics.messages_quarantined.labels(self.queue_name).inc()
            self.ack(message)  # type: ignore[no-untyped-call]
            return None
        if message.queue_name != self.queue_name:
            # An acknowledgement would go to that queue's consumer, which doesn't know the message.
            self.known_tags.remove(message._tag)  # noqa: SLF001 (Dramatiq's consumer and its message)
            self._nack(message._tag)  # noqa: SLF001
            return None
        return message

    def _rest(self) -> None:
        """Let acknowledgements go out, without taking new messages."""
        try:
            self.connection.sleep(HELD_PAUSE)
        except pika.exceptions.AMQPError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]

    def nack(self, message: MessageProxy) -> None:
        """Acknowledge a message whose work failed or whose actor is unknown: its rows are signalled again."""
        log.warning("broker.message_failed", queue=self.queue_name, actor=message.actor_name)
        metrics.messages_failed.labels(self.queue_name).inc()
        self.ack(message)  # type: ignore[no-untyped-call]

    def _nack(self, tag: int) -> None:
        """Reject a message that can't be read."""
        log.error("broker.message_unreadable", queue=self.queue_name)
        metrics.messages_quarantined.labels(self.queue_name).inc()
        super()._nack(tag)  # type: ignore[no-untyped-call]


class OnceRabbitmqBroker(RabbitmqBroker):
    """Dramatiq's RabbitMQ broker with `OnceConsumer` and without delay queues: delayed work is a row.

    Queues have their short names everywhere but at the server, where `namespace` stands before them. A connection goes
    to the first of the URL's hosts that answers, each of which has `timeout` seconds for each part of it.
    """

    def __init__(self, url: RabbitmqUrl, timeout: int, *, namespace: str, **options: Any) -> None:
        waits = f"socket_timeout={timeout}&stack_timeout={SLOWER * timeout}&blocked_connection_timeout={timeout}"
        servers = [f"{each}{'&' if '?' in each else '?'}{waits}&heartbeat={HEARTBEAT}" for each in url.servers]
        super().__init__(url=servers, confirm_delivery=True, **options)
        self.namespace = namespace
        self.queue_type = url.queue_type

    def called(self, queue_name: str) -> str:
        """A queue's name at the server."""
        return f"{self.namespace}:{'quorum:' if self.queue_type == 'quorum' else ''}{queue_name}"

    @property
    def consumer_class(self) -> type[OnceConsumer]:
        return OnceConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        return super().consume(queue_name, queues.prefetch(queue_name, prefetch), timeout)

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)  # type: ignore[no-untyped-call]

    def waiting(self, queue_name: str) -> int:
        """How many messages wait in a queue, which is declared where it isn't there."""
        waits: int = self._declare_queue(queue_name).method.message_count
        return waits

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:  # noqa: ARG002 (a row has it)
        """Publish a message, once more on a new connection where one was lost or its queue is gone."""
        queue = message.queue_name
        for attempt in range(1, MAX_ENQUEUE_ATTEMPTS + 1):
            try:
                self.declare_queue(queue, ensure=True)
                self._publish(queue, message)
                break
            except (pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError) as error:
                del self.connection
                if isinstance(error, pika.exceptions.UnroutableError):
                    self.queues_pending.add(queue)
                if attempt == MAX_ENQUEUE_ATTEMPTS:
                    raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        return message

    def _publish(self, queue: str, message: Message[Any]) -> None:
        self.emit_before("enqueue", message, None)
        self.channel.basic_publish(
            exchange="",
            routing_key=self.called(queue),
            body=message.encode(),
            properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
            mandatory=self.confirm_delivery,
        )
        self.emit_after("enqueue", message, None)

    def flush(self, queue_name: str) -> None:
        super().flush(self.called(queue_name))

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._build_queue_arguments(queue_name)  # type: ignore[no-untyped-call]
        return arguments | self._type()

    def _type(self) -> dict[str, str]:
        """Arguments of a queue of our type. Classic ones say nothing of it, as those that older versions declared."""
        return {"x-queue-type": "quorum"} if self.queue_type == "quorum" else {}

    def _declare_queue(self, queue_name: str) -> Any:
        return super()._declare_queue(self.called(queue_name))  # type: ignore[no-untyped-call]

    def _declare_dq_queue(self, queue_name: str) -> None:
        """Declare no queue for delayed messages, of which there are none."""

    def _declare_xq_queue(self, queue_name: str) -> Any:
        return self.channel.queue_declare(
            queue=xq_name(self.called(queue_name)),
            durable=True,
            arguments={"x-message-ttl": DEAD_MESSAGE_TTL} | self._type(),
        )
