"""Dramatiq's broker by URL, and signals: messages that carry ids and nothing else.

Rows are the truth, so a signal may be lost or doubled without harm; it must only never keep its sender waiting for
long.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import dramatiq
import msgspec
import redis
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import current_millis
from dramatiq.encoder import Encoder, MessageData
from dramatiq.errors import ConnectionClosed

from notifier import metrics
from notifier.deliveries import Channel, Lane
from notifier.errors import ConfigurationError

DECIDE = "decide"
QUEUES = [DECIDE, *(f"{channel}.{lane}" for channel in Channel if channel != Channel.NONE for lane in Lane)]

IDS_A_MESSAGE = 100  # measured: a hundred ids carry the message's cost to where it no longer counts
SOCKET_TIMEOUT = 3  # seconds: a broker that hangs holds up one signal this long, then the clock sends it
HEARTBEAT_TIMEOUT = 30_000  # milliseconds after which a silent worker's messages go to others
POOL_CONNECTIONS = 64  # a worker's threads and its queues' consumers, with room to spare
FULL_PAUSE = 0.002  # seconds to look again when all that may be prefetched is in hand
MAINTENANCE_CHANCE = 20_000  # of a million commands: stock 1,000 left an idle system's stranded messages for minutes

log = structlog.get_logger(__name__)


class MsgspecEncoder(Encoder):
    """Messages as JSON by msgspec."""

    def encode(self, data: MessageData) -> bytes:
        return msgspec.json.encode(data)

    def decode(self, data: bytes) -> MessageData:
        decoded: MessageData = msgspec.json.decode(data)
        return decoded


class WaitingConsumer(_RedisConsumer):
    """Waits for a message inside Redis where the stock consumer polls with growing pauses.

    Moving a list's first element to the place it came from changes nothing, and blocks while the list is empty: a
    wait that takes nothing, so that only the broker's own fetch ever holds a message.
    """

    def __next__(self) -> MessageProxy | None:
        if not self.message_cache and self.outstanding_message_count < self.prefetch:
            free = self.prefetch - self.outstanding_message_count
            try:
                self.message_cache = self.broker.do_fetch(self.queue_name, free)
                if not self.message_cache:
                    queue = f"{self.broker.namespace}:{self.queue_name}"
                    self.broker.client.blmove(queue, queue, self.timeout / 1000, "LEFT", "LEFT")
                    return None
            except redis.RedisError as error:
                raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        if self.message_cache:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
            return message
        time.sleep(FULL_PAUSE)
        return None


class WaitingRedisBroker(RedisBroker):
    """Dramatiq's Redis broker without polling, and without delay queues: what is due later is a row, not a message."""

    @property
    def consumer_class(self) -> type[WaitingConsumer]:
        return WaitingConsumer

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def make_broker(url: str, middleware: list[dramatiq.Middleware] | None = None) -> dramatiq.Broker:
    """The broker that a URL names, with every queue declared: redis://, rediss://, unix:// (Redis) or amqp://,
    amqps://.
    """
    dramatiq.set_encoder(MsgspecEncoder())
    scheme = urlsplit(url).scheme
    broker: dramatiq.Broker
    if scheme in ("redis", "rediss", "unix"):
        pool: Any = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=POOL_CONNECTIONS,
            timeout=SOCKET_TIMEOUT,
            socket_timeout=SOCKET_TIMEOUT,
            socket_connect_timeout=SOCKET_TIMEOUT,
        )
        broker = WaitingRedisBroker(  # type: ignore[no-untyped-call]
            client=redis.Redis(connection_pool=pool),
            middleware=middleware or [],
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            maintenance_chance=MAINTENANCE_CHANCE,
        )
    elif scheme in ("amqp", "amqps"):
        separator = "&" if urlsplit(url).query else "?"
        timeouts = (
            f"{separator}socket_timeout={SOCKET_TIMEOUT}&blocked_connection_timeout={SOCKET_TIMEOUT}&heartbeat=30"
        )
        broker = RabbitmqBroker(url=url + timeouts, middleware=middleware or [], confirm_delivery=True)
    else:
        raise ConfigurationError("NOTIFIER_BROKER_URL begins with redis://, rediss://, unix://, amqp:// or amqps://")
    return broker


class Signals:
    """Sends signals from an asyncio program, off its loop; one thread, because a RabbitMQ connection belongs to one."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="signals")

    async def decide(self, ids: Sequence[str]) -> None:
        """Say that events wait for a decision."""
        await self._send([_message(DECIDE, "decide", part) for part in _parts(ids)])

    async def deliver(self, ids_by_queue: dict[tuple[Channel, Lane], list[str]]) -> None:
        """Say that deliveries are due."""
        await self._send(
            [
                _message(f"{channel}.{lane}", f"deliver_{channel}_{lane}", part)
                for (channel, lane), ids in ids_by_queue.items()
                for part in _parts(ids)
            ]
        )

    async def depths(self) -> dict[str, int]:
        """Messages waiting in each queue; a queue whose broker can't be asked is missing."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._depths)

    async def close(self) -> None:
        """Let the last signals go, then close the broker's connections."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._broker.close)
        self._thread.shutdown()

    async def _send(self, messages: list[dramatiq.Message[None]]) -> None:
        if messages:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._enqueue, messages)

    def _enqueue(self, messages: list[dramatiq.Message[None]]) -> None:
        for number, message in enumerate(messages):
            try:
                self._broker.declare_queue(message.queue_name)
                self._broker.enqueue(message)
            except Exception as error:  # noqa: BLE001 (each broker has errors of its own, and none may stop the caller)
                for lost in messages[number:]:
                    metrics.signals_lost.labels(lost.queue_name).inc()
                log.warning(
                    "signals.lost",
                    queue=message.queue_name,
                    messages=len(messages) - number,
                    error=type(error).__name__,
                )
                return

    def _depths(self) -> dict[str, int]:
        try:
            return dict(self._measured())
        except Exception as error:  # noqa: BLE001 (as above)
            log.warning("signals.depth_unknown", error=type(error).__name__)
            return {}

    def _measured(self) -> Iterator[tuple[str, int]]:
        if isinstance(self._broker, RedisBroker):
            pipe = self._broker.client.pipeline(transaction=False)
            for queue in QUEUES:
                pipe.llen(f"{self._broker.namespace}:{queue}")
            yield from zip(QUEUES, pipe.execute(), strict=True)
        elif isinstance(self._broker, RabbitmqBroker):
            for queue in QUEUES:
                self._broker.declare_queue(queue, ensure=True)
                yield queue, self._broker.get_queue_message_counts(queue)[0]


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + IDS_A_MESSAGE] for start in range(0, len(ids), IDS_A_MESSAGE))


def _message(queue: str, actor: str, ids: Sequence[str]) -> dramatiq.Message[None]:
    return dramatiq.Message(
        queue_name=queue, actor_name=actor, args=(list(ids),), kwargs={}, options={}, message_timestamp=current_millis()
    )
