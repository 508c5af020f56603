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

from notifier.broker.queues import (
    ASK,
    BACKGROUND,
    CAREFUL,
    DECIDE,
    DECIDE_URGENT,
    EXPAND,
    LANES,
    NAMESPACE,
    PROMPT,
    QUEUES,
)
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.broker.redis import TakingRedisBroker, connect
from notifier.domain.errors import ConfigurationError

__all__ = [
    "ASK", "BACKGROUND", "CAREFUL", "DECIDE", "DECIDE_URGENT", "EXPAND", "LANES", "NAMESPACE", "PROMPT", "QUEUES",
    "make_broker",
]  # fmt: skip

SOCKET_TIMEOUT = 3  # seconds: a broker that hangs delays one signal this long, then the clock sends it
HEARTBEAT = 30  # seconds between RabbitMQ's heartbeats, by which either side notices that the other is gone


class _Options(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options that Dramatiq adds. An `eta` would keep the message in a worker's memory, and others out of it."""

    redis_message_id: str = ""


class _Signal(msgspec.Struct, forbid_unknown_fields=True):
    """A message in our form. Any other would break one of Dramatiq's threads."""

    queue_name: str
    actor_name: str
    args: tuple[list[str]]
    kwargs: dict[str, bool | int]
    options: _Options
    message_id: str
    message_timestamp: int


class SignalEncoder(Encoder):
    """Encodes messages as JSON by msgspec, and decodes only those that have the form of a signal."""

    def encode(self, data: MessageData) -> bytes:
        return msgspec.json.encode(data)

    def decode(self, data: bytes) -> MessageData:
        decoded: MessageData = msgspec.to_builtins(msgspec.json.decode(data, type=_Signal))
        return decoded


class FailureMiddleware(dramatiq.Middleware):
    """Tells the consumer which message's work failed, so that it is counted; Dramatiq leaves that to its retries."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 (the signature is Dramatiq's)
        message: dramatiq.MessageProxy,
        *,
        result: object = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        if exception is not None:
            message.fail()


def make_broker(
    url: str, middleware: list[dramatiq.Middleware] | None = None, *, namespace: str = NAMESPACE
) -> TakingRedisBroker | OnceRabbitmqBroker:
    """The broker for a URL: redis://, rediss:// or unix:// (Redis, Valkey), amqp:// or amqps:// (RabbitMQ).

    All of its names there begin with `namespace`, unique to an installation: others may use the same server.
    """
    dramatiq.set_encoder(SignalEncoder())
    parts = urlsplit(url)
    options: dict[str, Any] = {"middleware": [FailureMiddleware(), *(middleware or [])], "namespace": namespace}
    if parts.scheme in ("redis", "rediss", "unix"):
        return TakingRedisBroker(client=connect(url, SOCKET_TIMEOUT), **options)
    if parts.scheme in ("amqp", "amqps"):
        timeouts = f"socket_timeout={SOCKET_TIMEOUT}&blocked_connection_timeout={SOCKET_TIMEOUT}&heartbeat={HEARTBEAT}"
        return OnceRabbitmqBroker(url=f"{url}{'&' if parts.query else '?'}{timeouts}", confirm_delivery=True, **options)
    raise ConfigurationError("NOTIFIER_BROKER_URL must begin with redis://, rediss://, unix://, amqp:// or amqps://")
