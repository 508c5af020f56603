"""Dramatiq on Redis, for messages that are signals.

Keys, as Dramatiq lays them out: `<namespace>:<queue>` a list of ids, `<namespace>:<queue>.msgs` a hash of id → message.
Beside them `<namespace>:quarantine`, the last messages that could not be read, newest first.

The stock consumer keeps what it fetched in Redis until it is acknowledged, so that another worker can have it when this
one dies. Here it is taken out at once: the clock signals rows again that were not claimed within seconds, and so does
sooner, and for every broker alike, what heartbeats and maintenance do after a minute.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import redis
import structlog
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.message import Message

from notifier import metrics
from notifier.broker import queues
from notifier.broker.worker import HELD_PAUSE

POOL_CONNECTIONS = 64  # a worker's threads and its queues' consumers, with room to spare
FULL_PAUSE = 0.002  # seconds between two looks while the worker holds as many messages as it may
QUARANTINED = 1_000  # unreadable messages kept for inspection

TAKE = """
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
if not ids then return {} end
local messages = redis.call('HMGET', KEYS[2], unpack(ids))
redis.call('HDEL', KEYS[2], unpack(ids))
return messages
"""

log = structlog.get_logger(__name__)


@contextmanager
def _errors() -> Iterator[None]:
    """Raise Redis's errors as the kind that Dramatiq's threads survive: others count as faults of the consumer."""
    try:
        yield
    except redis.RedisError as error:
        raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]


class TakingConsumer(_RedisConsumer):
    """Removes messages from a queue as it takes them; waits inside Redis where the stock consumer polls with growing
    pauses."""

    def __init__(self, broker: "TakingRedisBroker", queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._queue = f"{broker.namespace}:{queue_name}"
        self._dry = False  # the last look found no message
        self._held = False

    def ack(self, message: MessageProxy) -> None:
        self.queued_message_ids.discard(message.message_id)

    def nack(self, message: MessageProxy) -> None:
        log.warning("broker.message_failed", queue=self.queue_name, actor=message.actor_name)
        metrics.messages_failed.labels(self.queue_name).inc()
        self.ack(message)

    def hold(self) -> None:
        """Take no more messages."""
        self._held = True

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Return messages that were not begun, so that a stopping worker delays nothing."""
        self._give_back(message.encode() for message in messages)

    def close(self) -> None:
        """Return messages that were taken and not handed to a thread."""
        taken, self.message_cache = self.message_cache, []
        self._give_back(taken)

    def __next__(self) -> MessageProxy | None:
        if self._held:
            self.close()
            time.sleep(HELD_PAUSE)
            return None
        with _errors():
            if not self.message_cache and not self._take():
                return None
            return self._read(self.message_cache.pop(0))

    def _give_back(self, messages: Iterable[bytes]) -> None:
        with _errors():
            for data in messages:
                self.broker.do_enqueue(self.queue_name, str(uuid4()), data)

    def _take(self) -> bool:
        free = self.prefetch - len(self.queued_message_ids)
        if free <= 0:
            time.sleep(FULL_PAUSE)
            return False
        if (self._dry and not self._wait()) or self._held:
            return False
        keys = [self._queue, f"{self._queue}.msgs"]
        self.message_cache = [data for data in self.broker.take(keys=keys, args=[free]) if data is not None]
        self._dry = not self.message_cache
        return not self._dry

    def _wait(self) -> bool:
        """Wait inside Redis for a message; whether there is one."""
        # Moving a list's first element to where it was changes nothing, and blocks while the list is empty.
        return self.broker.client.blmove(self._queue, self._queue, self.timeout / 1000, "LEFT", "LEFT") is not None

    def _read(self, data: bytes) -> MessageProxy | None:
        try:
            message: Message[Any] | None = Message.decode(data)
        except DecodeError:
            message = None
        # An acknowledgement would go to the other queue's consumer, which doesn't know the message.
        if message is None or message.queue_name != self.queue_name:
            log.error("broker.message_unreadable", queue=self.queue_name, bytes=len(data))
            metrics.messages_quarantined.labels(self.queue_name).inc()
            quarantine = f"{self.broker.namespace}:quarantine"
            self.broker.client.lpush(quarantine, data)
            self.broker.client.ltrim(quarantine, 0, QUARANTINED - 1)
            return None
        self.queued_message_ids.add(message.message_id)
        return MessageProxy(message)


class TakingRedisBroker(RedisBroker):
    """Dramatiq's Redis broker with `TakingConsumer` and without delay queues: delayed work is a row."""

    def __init__(self, **options: Any) -> None:
        super().__init__(maintenance_chance=0, **options)  # type: ignore[no-untyped-call]
        self.take = self.client.register_script(TAKE)

    @property
    def consumer_class(self) -> type[TakingConsumer]:
        return TakingConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        return super().consume(queue_name, queues.prefetch(queue_name, prefetch), timeout)

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)
