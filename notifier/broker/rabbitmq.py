"""Dramatiq on RabbitMQ, for messages that are signals."""

from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer

from notifier import metrics


class OnceConsumer(_RabbitmqConsumer):
    """Passes over what RabbitMQ delivers a second time: a worker died of it or with it, and the clock signals again."""

    def __next__(self) -> MessageProxy | None:
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        if message is not None and message.redelivered:
            metrics.messages_quarantined.labels(self.queue_name).inc()
            self.ack(message)  # type: ignore[no-untyped-call]
            return None
        return message


class OnceRabbitmqBroker(RabbitmqBroker):
    """Dramatiq's RabbitMQ broker with the consumer above, and without delay queues: what is due later is a row."""

    @property
    def consumer_class(self) -> type[OnceConsumer]:
        return OnceConsumer

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)  # type: ignore[no-untyped-call]
