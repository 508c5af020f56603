"""A broker's URL, read as the broker's own client reads it, which otherwise would only fail when it connects.

What can't be taken is told by ValueErrors in words that hold nothing of it: a URL holds a password.
"""

import re
from typing import Any
from urllib.parse import urlsplit

import pika
import redis


def broker_url(text: str) -> str:
    """The URL of a Redis (redis, rediss, unix) or a RabbitMQ (amqp, amqps), its scheme in small letters."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if "sentinel" in url.scheme or "cluster" in url.scheme or "," in url.netloc.rpartition("@")[2]:
        raise ValueError(
            "names Sentinels or a cluster; write the address of a single Redis, or one that leads to the master"
        )
    if url.scheme not in ("redis", "rediss", "unix", "amqp", "amqps"):
        raise ValueError("must begin with redis://, rediss://, unix://, amqp:// or amqps://")
    if port == 0:
        raise ValueError("has the port 0, on which no server listens")
    # Clients match the scheme's first letters, and only in lower case.
    told = url.scheme + text[len(url.scheme) :]
    if url.scheme == "unix" and not url.path:
        raise ValueError("names no socket; write unix:///path/of/the/socket")
    if url.scheme in ("redis", "rediss") and not re.fullmatch("/?|/[0-9]+/?", url.path, re.ASCII):
        # Otherwise the client would use database 0, which may belong to another application.
        raise ValueError("names a database that is not a number")
    try:
        _read_by_its_client(told)
    except (ValueError, TypeError, SyntaxError, redis.RedisError):
        raise ValueError("has an option that the client doesn't know or whose value it refuses") from None
    return told


def _read_by_its_client(url: str) -> None:
    if url.startswith("amqp"):
        pika.URLParameters(url)
    else:
        pool: Any = redis.BlockingConnectionPool.from_url(url, max_connections=1)
        pool.make_connection()  # the client doesn't connect yet
