"""A broker's URL, read as the field writes it: one server, Sentinels, a cluster's nodes, or several hosts of RabbitMQ.

What can't be taken is told by ValueErrors in words that hold nothing of it: a URL holds a password.
"""

import re
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote, unquote

import pika
import redis

NAMESPACE: Final = "notifier"
"""The beginning of all names of keys and queues in a broker; a colon and the installation's namespace follow."""

RedisMode = Literal["standalone", "sentinel", "cluster"]
"""How a Redis runs, in its own word (`redis_mode` of INFO)."""
QueueType = Literal["classic", "quorum"]

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

FORMS: Final = {
    "standalone": "redis://host:6379/0",
    "sentinel": "redis+sentinel://host1:26379,host2:26379,host3:26379/mymaster/0",
    "cluster": "redis+cluster://host1:6379,host2:6379,host3:6379",
}
"""How a URL is written for each way in which a Redis runs."""

_MODES: Final[dict[str, tuple[str, RedisMode]]] = {
    "redis": ("redis", "standalone"), "rediss": ("rediss", "standalone"), "unix": ("unix", "standalone"),
    "redis+sentinel": ("redis", "sentinel"), "rediss+sentinel": ("rediss", "sentinel"),
    "redis+cluster": ("redis", "cluster"), "rediss+cluster": ("rediss", "cluster"),
}  # fmt: skip
"""By a URL's scheme: the scheme of each server's own URL, and how the Redis runs."""
_URL: Final = re.compile(
    r"[^:]+://(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:,@/?#\[\]]+)(?::(?P<port>[0-9]{1,5}))?")


class RedisUrl(NamedTuple):
    """A Redis, in URLs of single servers as its client reads them; never shown, since they hold a password.

    `servers` are those that are named: the one, the Sentinels, or nodes of the cluster. `node` has the login, database
    and options of the server with our keys: it is the one that is named, or its host is any of the named ones.
    `service` is what the Sentinels call the master.
    """

    mode: RedisMode
    servers: tuple[str, ...]
    node: str
    service: str = ""

    @property
    def prefix(self) -> str:
        """Return the beginning of all names: in a cluster as a hash tag, by which all keys are in one slot."""
        return f"{{{NAMESPACE}}}" if self.mode == "cluster" else NAMESPACE

    def __repr__(self) -> str:
        return f"RedisUrl({self.mode})"


class RabbitmqUrl(NamedTuple):
    """A RabbitMQ, in a URL for each host that is named; never shown, since they hold a password."""

    servers: tuple[str, ...]
    queue_type: QueueType

    @property
    def prefix(self) -> str:
        """Return the beginning of all names."""
        return NAMESPACE

    def __repr__(self) -> str:
        return f"RabbitmqUrl({self.queue_type})"


BrokerUrl = RedisUrl | RabbitmqUrl


def broker_url(text: str) -> str:
    """Return a broker's URL, its scheme in small letters as clients match it; ValueError where it can't be read."""
    scheme, colon, rest = text.partition(":")
    told = f"{scheme.lower()}{colon}{rest}"
    read_broker_url(told)
    return told


def read_broker_url(text: str) -> BrokerUrl:
    """Read the URL of a Redis or a RabbitMQ; ValueError where it isn't one, or names what its client doesn't know."""
    scheme, separator, _ = text.partition("://")
    if separator and scheme in ("amqp", "amqps"):
        return _rabbitmq(scheme, *_parts(text))
    if not separator or scheme not in _MODES:
        raise ValueError(_unknown(scheme))
    plain, mode = _MODES[scheme]
    if scheme == "unix":
        return _socket(text)
    read = {"standalone": _standalone, "sentinel": _sentinel, "cluster": _cluster}[mode]
    return read(plain, *_parts(text))


def _unknown(scheme: str) -> str:
    if "sentinel" in scheme or "cluster" in scheme:
        return f"names Sentinels or a cluster by an unknown scheme; write {FORMS['sentinel']} or {FORMS['cluster']}"
    return "must begin with redis://, rediss://, redis+sentinel://, redis+cluster://, unix://, amqp:// or amqps://"


def redis_url(text: str) -> RedisUrl:
    """Read the URL of a Redis; ValueError where it is one of a RabbitMQ, or none."""
    found = read_broker_url(text)
    if isinstance(found, RabbitmqUrl):
        raise ValueError("is the URL of a RabbitMQ, where a Redis is needed")  # noqa: TRY004 (of the text)
    return found


class _Parts(NamedTuple):
    """What stands between a URL's separators, as it is written; the login with its `@`."""

    login: str
    hosts: list[tuple[str, str]]
    path: str
    options: list[str]


def _parts(text: str) -> _Parts:
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError("is not a URL; percent-encode reserved characters")
    named = [_HOST.fullmatch(each) for each in found["hosts"].split(",")] if found["hosts"] else []
    if not all(named):
        raise ValueError("names a host or a port that can't be; write host:port, with commas between several")
    hosts = [(each["host"], each["port"] or "") for each in named if each is not None]
    if any(port and int(port) == 0 for _, port in hosts):
        raise ValueError("has the port 0, on which no server listens")
    if any(port and int(port) > 65535 for _, port in hosts):
        raise ValueError("has a port above 65535")
    login = "" if found["login"] is None else f"{found['login']}@"
    return _Parts(login, hosts, found["path"] or "", [each for each in (found["query"] or "").split("&") if each])


def _standalone(plain: str, login: str, hosts: list[tuple[str, str]], path: str, options: list[str]) -> RedisUrl:
    if len(hosts) > 1:
        raise ValueError(f"names several hosts; write {FORMS['sentinel']} or {FORMS['cluster']}")
    _look_at_database(path)
    (server,) = _servers(plain, login, hosts or [("", "")], path, options)
    _read_by_redis(server)
    return RedisUrl("standalone", (server,), server)


def _socket(text: str) -> RedisUrl:
    if not text.removeprefix("unix://").partition("?")[0].rpartition("@")[2]:
        raise ValueError("names no socket; write unix:///path/of/the/socket")
    _read_by_redis(text)
    return RedisUrl("standalone", (text,), text)


def _sentinel(plain: str, login: str, hosts: list[tuple[str, str]], path: str, options: list[str]) -> RedisUrl:
    service, _, database = path.removeprefix("/").partition("/")
    if not hosts or not service:
        raise ValueError(f"names no Sentinel or no master; write {FORMS['sentinel']}")
    _look_at_database(f"/{database}")
    user, options = _taken("sentinel_username", options)
    password, options = _taken("sentinel_password", options)
    their_login = f"{quote(user, '')}:{quote(password, '')}@" if user or password else ""
    named = [(host, port or str(SENTINEL_PORT)) for host, port in hosts]
    of_tls = [each for each in options if each.startswith("ssl_")]
    servers = _servers(plain, their_login, named, "", of_tls)
    (node,) = _servers(plain, login, named[:1], f"/{database}", options)
    for each in (*servers, node):
        _read_by_redis(each)
    return RedisUrl("sentinel", servers, node, unquote(service))


def _cluster(plain: str, login: str, hosts: list[tuple[str, str]], path: str, options: list[str]) -> RedisUrl:
    if not hosts:
        raise ValueError(f"names no host; write {FORMS['cluster']}")
    if path not in ("", "/", "/0") or any(each.startswith("db=") for each in options):
        raise ValueError("names a database, of which a cluster has none but 0")
    servers = _servers(plain, login, [(host, port or str(REDIS_PORT)) for host, port in hosts], "", options)
    for each in servers:
        _read_by_redis(each)
    return RedisUrl("cluster", servers, servers[0])


def _rabbitmq(plain: str, login: str, hosts: list[tuple[str, str]], path: str, options: list[str]) -> RabbitmqUrl:
    queue_type, options = _taken("queue_type", options)
    if queue_type not in ("", "classic", "quorum"):
        raise ValueError("has a queue_type that is neither classic nor quorum")
    servers = _servers(plain, login, hosts or [("", "")], path, options)
    for each in servers:
        try:
            pika.URLParameters(each)
        except (ValueError, TypeError, SyntaxError):
            raise ValueError("has an option that the client doesn't know or whose value it refuses") from None
    # Several hosts are a cluster, where a classic queue is away as long as the one node that has it.
    usual: QueueType = "quorum" if len(servers) > 1 else "classic"
    return RabbitmqUrl(servers, "quorum" if queue_type == "quorum" else "classic" if queue_type else usual)


def _servers(plain: str, login: str, hosts: list[tuple[str, str]], path: str, options: list[str]) -> tuple[str, ...]:
    """Return a URL for each host."""
    query = f"?{'&'.join(options)}" if options else ""
    return tuple(f"{plain}://{login}{host}{port and ':'}{port}{path}{query}" for host, port in hosts)


def _taken(name: str, options: list[str]) -> tuple[str, list[str]]:
    """Return the value of an option that is ours, "" where it isn't given, and the options that remain."""
    values = [unquote(each.partition("=")[2]) for each in options if each.partition("=")[0] == name]
    return values[-1] if values else "", [each for each in options if each.partition("=")[0] != name]


def _look_at_database(path: str) -> None:
    if not re.fullmatch("/?|/[0-9]+/?", path, re.ASCII):
        # Otherwise the client would use database 0, which may belong to another application.
        raise ValueError("names a database that is not a number")


def _read_by_redis(url: str) -> None:
    try:
        pool: Any = redis.BlockingConnectionPool.from_url(url, max_connections=1)
        pool.make_connection()  # the client doesn't connect yet
    except (ValueError, TypeError, SyntaxError, redis.RedisError):
        raise ValueError("has an option that the client doesn't know or whose value it refuses") from None
