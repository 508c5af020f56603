"""Dramatiq's broker by URL: `redis` and `rabbitmq` say what differs from the stock ones, `signals` what is sent.

Signals carry ids and nothing else, and rows are the truth. So a signal may be lost or doubled without harm, and the one
that died with its worker is not brought back: the clock signals its rows again, and a message that kills whoever takes
it kills once.
"""

from typing import Any
from urllib.parse import urlsplit

import dramatiq
import msgspec
from dramatiq.encoder import Encoder, MessageData

from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.broker.redis import TakingRedisBroker, connect
from notifier.deliveries import Channel, Lane
from notifier.errors import ConfigurationError

DECIDE = "decide"
ASK = "ask"
LANES: dict[tuple[Channel, Lane], str] = {
    (channel, lane): f"{channel}.{lane}" for channel in Channel if channel != Channel.NONE for lane in Lane
}
QUEUES = [DECIDE, ASK, *LANES.values()]

SOCKET_TIMEOUT = 3  # seconds: a broker that hangs holds up one signal this long, then the clock sends it
HEARTBEAT = 30  # seconds between RabbitMQ's, after which either side knows that the other is gone


class MsgspecEncoder(Encoder):
    """Messages as JSON by msgspec."""

    def encode(self, data: MessageData) -> bytes:
        return msgspec.json.encode(data)

    def decode(self, data: bytes) -> MessageData:
        decoded: MessageData = msgspec.json.decode(data)
        return decoded


def make_broker(url: str, middleware: list[dramatiq.Middleware] | None = None) -> dramatiq.Broker:
    """The broker that a URL names: redis://, rediss:// or unix:// (Redis, Valkey), amqp:// or amqps:// (RabbitMQ)."""
    dramatiq.set_encoder(MsgspecEncoder())
    parts = urlsplit(url)
    options: dict[str, Any] = {"middleware": middleware or []}
    if parts.scheme in ("redis", "rediss", "unix"):
        return TakingRedisBroker(client=connect(url, SOCKET_TIMEOUT), **options)
    if parts.scheme in ("amqp", "amqps"):
        timeouts = f"socket_timeout={SOCKET_TIMEOUT}&blocked_connection_timeout={SOCKET_TIMEOUT}&heartbeat={HEARTBEAT}"
        return OnceRabbitmqBroker(url=f"{url}{'&' if parts.query else '?'}{timeouts}", confirm_delivery=True, **options)
    raise ConfigurationError("NOTIFIER_BROKER_URL begins with redis://, rediss://, unix://, amqp:// or amqps://")
