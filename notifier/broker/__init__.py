"""Dramatiq's broker by URL: `redis` and `rabbitmq` say what differs from the stock ones, `signals` what is sent.

Signals carry ids and nothing else, and rows are the truth. So a signal may be lost or doubled without harm, and the one
that died with its worker is not brought back: the clock signals its rows again, and a message that kills whoever takes
it kills once.
"""

import dramatiq
import msgspec
from dramatiq.encoder import Encoder, MessageData

from notifier.broker.queues import (
    ASK,
    BACKGROUND,
    CAREFUL,
    CHANGES,
    DECIDE,
    DECIDE_LATER,
    DECIDE_URGENT,
    EXPAND,
    LANES,
    PROMPT,
    QUEUES,
)
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.broker.redis import POOL_CONNECTIONS, TakingRedisBroker
from notifier.domain.errors import ConfigurationError
from notifier.runtime.broker_url import FORMS, BrokerUrl, RedisUrl, read_broker_url
from notifier.runtime.redis_clients import connect, mode

__all__ = [
    "ASK", "BACKGROUND", "CAREFUL", "CHANGES", "DECIDE", "DECIDE_LATER", "DECIDE_URGENT", "EXPAND", "LANES", "PROMPT",
    "QUEUES", "broker_address", "make_broker", "refuse_another_mode",
]  # fmt: skip

SOCKET_TIMEOUT = 3  # seconds: a broker that hangs delays one signal this long, then the clock sends it


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
    url: str, middleware: list[dramatiq.Middleware] | None = None, *, namespace: str | None = None
) -> TakingRedisBroker | OnceRabbitmqBroker:
    """The broker for a URL of a Redis or a RabbitMQ, as `runtime.broker_url` reads it; ConfigurationError for another.

    All of its names there begin with `namespace`, unique to an installation: others may use the same server.
    """
    dramatiq.set_encoder(SignalEncoder())
    read = broker_address(url)
    chain = [FailureMiddleware(), *(middleware or [])]
    if isinstance(read, RedisUrl):
        client = connect(read, SOCKET_TIMEOUT, POOL_CONNECTIONS)
        return TakingRedisBroker(client=client, middleware=chain, namespace=namespace or read.prefix)
    return OnceRabbitmqBroker(read, SOCKET_TIMEOUT, middleware=chain, namespace=namespace or read.prefix)


def broker_address(url: str) -> BrokerUrl:
    """A broker's URL, read; ConfigurationError where it can't be."""
    try:
        return read_broker_url(url)
    except ValueError as error:
        problem = str(error)
    # Raised outside the except block: errors may quote the URL.
    raise ConfigurationError(f"NOTIFIER_BROKER_URL {problem}")


LEADS_TO = {"standalone": "a single Redis", "sentinel": "a Sentinel", "cluster": "a node of a Redis Cluster"}


def refuse_another_mode(url: str) -> None:
    """Raise ConfigurationError where the Redis at a URL runs in another way than the URL says: each client speaks one
    only. It asks for SOCKET_TIMEOUT at most; a server that doesn't answer may be the right one."""
    address = broker_address(url)
    if not isinstance(address, RedisUrl):
        return
    found = mode(address, SOCKET_TIMEOUT)
    if found in LEADS_TO and found != address.mode:
        raise ConfigurationError(f"NOTIFIER_BROKER_URL leads to {LEADS_TO[found]}; write it as {FORMS[found]}")
