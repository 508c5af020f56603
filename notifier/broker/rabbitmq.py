"""Dramatiq on RabbitMQ, for messages that are signals."""

import structlog
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer

from notifier import metrics
from notifier.broker import queues

log = structlog.get_logger(__name__)


class OnceConsumer(_RabbitmqConsumer):
    """Passes over what RabbitMQ delivers a second time: a worker died of it or with it, and the clock signals again.

    What can't be read goes to the queue's dead letters (`<queue>.XQ`), for a look within a week.
    """

    def __next__(self) -> MessageProxy | None:
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
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
