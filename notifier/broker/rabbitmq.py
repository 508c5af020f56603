"""Dramatiq on RabbitMQ, for messages that are signals."""

from collections.abc import Iterable
from contextlib import suppress

import pika.exceptions
import structlog
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed

from notifier import metrics
from notifier.broker import queues
from notifier.broker.worker import HELD_PAUSE

log = structlog.get_logger(__name__)


class OnceConsumer(_RabbitmqConsumer):
    """Passes over what RabbitMQ delivers a second time: a worker died of it or with it, and the clock signals again.

    What can't be read goes to the queue's dead letters (`<queue>.XQ`), for a look within a week.
    """

    def __init__(self, broker: "OnceRabbitmqBroker", queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._held = False

    def hold(self) -> None:
        """Take no more messages."""
        self._held = True
        with suppress(pika.exceptions.AMQPError):  # it is closed
            self.connection.add_callback_threadsafe(self.channel.cancel)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give back what was not begun, as new: RabbitMQ would deliver it a second time when the connection ends."""
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
            # It would be acknowledged to that queue's consumer, which doesn't know it.
            self.known_tags.remove(message._tag)  # noqa: SLF001 (Dramatiq's consumer and its message)
            self._nack(message._tag)  # noqa: SLF001
            return None
        return message

    def _rest(self) -> None:
        """Let acknowledgements go out, and nothing come in."""
        try:
            self.connection.sleep(HELD_PAUSE)
        except pika.exceptions.AMQPError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]

    def nack(self, message: MessageProxy) -> None:
        """The work failed, or no actor has that name: the rows are signalled again."""
        log.warning("broker.message_failed", queue=self.queue_name, actor=message.actor_name)
        metrics.messages_failed.labels(self.queue_name).inc()
        self.ack(message)  # type: ignore[no-untyped-call]

    def _nack(self, tag: int) -> None:
        """The message can't be read."""
        log.error("broker.message_unreadable", queue=self.queue_name)
        metrics.messages_quarantined.labels(self.queue_name).inc()
        super()._nack(tag)  # type: ignore[no-untyped-call]


class OnceRabbitmqBroker(RabbitmqBroker):
    """Dramatiq's RabbitMQ broker with the consumer above, and without delay queues: what is due later is a row."""

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
