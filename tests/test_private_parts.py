"""The parts of dependencies that they promise nobody, and that we use: what changes in them fails here, not at night.

Each dependency with such parts has an upper bound in pyproject.toml: its next version is taken by hand. Where a test
fails under it, read what became of the part, mend what uses it, and write down the new shape.
"""

import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from aiosmtplib import SMTP
from alembic.ddl.impl import DefaultImpl, ImplMeta
from alembic.script import revision
from dramatiq import worker as dramatiq_worker
from dramatiq.brokers import rabbitmq
from dramatiq.brokers import redis as dramatiq_redis
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AsyncIO
from packaging.requirements import Requirement
from prometheus_client import CollectorRegistry, Histogram, values
from redis import connection as redis_connection
from redis.asyncio import connection as asyncio_connection
from starlette.applications import Starlette
from uvicorn import Server
from uvicorn.protocols.http import httptools_impl

from notifier import metrics
from notifier.store.core import resumable

BOUNDED = {"aiosmtplib", "alembic", "dramatiq", "prometheus-client", "redis", "starlette", "uvicorn"}

SHAPES: list[tuple[Callable[..., Any], str]] = [
    # notifier.broker.redis replaces these of the consumer, and calls its constructor
    (dramatiq_redis._RedisConsumer.__init__, "self broker queue_name prefetch timeout"),
    (dramatiq_redis._RedisConsumer.ack, "self message"),
    (dramatiq_redis._RedisConsumer.nack, "self message"),
    (dramatiq_redis._RedisConsumer.requeue, "self messages"),
    (dramatiq_redis._RedisConsumer.__next__, "self"),
    (dramatiq_redis.RedisBroker.declare_queue, "self queue_name"),
    (dramatiq_redis.RedisBroker.consume, "self queue_name prefetch timeout"),
    # notifier.broker.rabbitmq does likewise
    (rabbitmq._RabbitmqConsumer.__init__, "self broker queue_name prefetch timeout"),
    (rabbitmq._RabbitmqConsumer.ack, "self message"),
    (rabbitmq._RabbitmqConsumer.nack, "self message"),
    (rabbitmq._RabbitmqConsumer._nack, "self tag"),
    (rabbitmq._RabbitmqConsumer.requeue, "self messages"),
    (rabbitmq._RabbitmqConsumer.__next__, "self"),
    (rabbitmq._RabbitmqMessage.__init__, "self redelivered tag message"),
    (rabbitmq.RabbitmqBroker.declare_queue, "self queue_name ensure"),
    (rabbitmq.RabbitmqBroker.enqueue, "self message delay"),
    (rabbitmq.RabbitmqBroker.consume, "self queue_name prefetch timeout"),
    (rabbitmq.RabbitmqBroker.flush, "self queue_name"),
    (rabbitmq.RabbitmqBroker._ensure_queue, "self canonical_queue_name"),
    (rabbitmq.RabbitmqBroker._declare_queue, "self queue_name"),
    (rabbitmq.RabbitmqBroker._declare_dq_queue, "self queue_name"),
    (rabbitmq.RabbitmqBroker._declare_xq_queue, "self queue_name"),
    (rabbitmq.RabbitmqBroker._build_queue_arguments, "self queue_name"),
    # notifier.runtime.redis_clients looks up the server there, and leaves it there
    (redis_connection.Connection._connect, "self"),
    (asyncio_connection.Connection._connect, "self"),
    (redis_connection.SSLConnection._connect, "self"),
    # notifier.broker.worker ends threads itself; workers.main opens its engine where the loop's middleware begins
    (dramatiq_worker.WorkerThread.stop, "self"),
    (dramatiq_worker.ConsumerThread.stop, "self"),
    (dramatiq_worker.ConsumerThread.requeue_messages, "self messages"),
    (AsyncIO.before_worker_boot, "self broker worker"),
    (AsyncIO.after_worker_shutdown, "self broker worker"),
    # notifier.api.serving replaces these of the protocol and of the server
    (httptools_impl.HttpToolsProtocol.data_received, "self data"),
    (httptools_impl.HttpToolsProtocol.connection_made, "self transport"),
    (httptools_impl.HttpToolsProtocol.connection_lost, "self exc"),
    (httptools_impl.HttpToolsProtocol.on_headers_complete, "self"),
    (httptools_impl.HttpToolsProtocol.on_message_complete, "self"),
    (httptools_impl.HttpToolsProtocol._should_upgrade, "self"),
    (httptools_impl.HttpToolsProtocol._unset_keepalive_if_required, "self"),
    (Server.startup, "self sockets"),
    (Server.shutdown, "self sockets"),
    # notifier.store.core.resumable looks before each of these
    (DefaultImpl.create_table, "self table kw"),
    (DefaultImpl.drop_table, "self table kw"),
    (DefaultImpl.rename_table, "self old_table_name new_table_name schema"),
    (DefaultImpl.add_column, "self table_name column schema if_not_exists inline_references inline_primary_key"),
    (DefaultImpl.drop_column, "self table_name column schema if_exists kw"),
    (DefaultImpl.create_index, "self index kw"),
    (DefaultImpl.drop_index, "self index kw"),
    (DefaultImpl.add_constraint, "self const kw"),
    (DefaultImpl.drop_constraint, "self const kw"),
    (DefaultImpl.execute, "self sql execution_options"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "takes"), SHAPES, ids=[part.__qualname__ for part, _ in SHAPES])
def test_what_we_replace_or_call_takes_what_it_took(part: Callable[..., Any], takes: str) -> None:
    assert " ".join(inspect.signature(part).parameters) == takes


def test_each_dependency_with_such_parts_has_an_upper_bound() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    needed = [Requirement(each) for each in project["dependencies"]]

    bounded = {each.name for each in needed if any(bound.operator == "<" for bound in each.specifier)}

    assert bounded == BOUNDED


def test_dramatiqs_redis_consumer_keeps_what_it_took_where_ours_looks() -> None:
    consumer = dramatiq_redis._RedisConsumer("broker", "q", 3, 1_000)  # type: ignore[no-untyped-call]

    assert (consumer.broker, consumer.queue_name, consumer.prefetch, consumer.timeout) == ("broker", "q", 3, 1_000)
    assert (consumer.message_cache, consumer.queued_message_ids) == ([], set())
    assert inspect.getsource(dramatiq_redis.RedisBroker.__getattr__).count("do_")  # `do_enqueue` is made there


def test_dramatiqs_rabbitmq_message_tells_its_tag_and_whether_it_came_before() -> None:
    message: dramatiq.Message[None] = dramatiq.Message("q", "actor", (), {}, {})

    proxy = rabbitmq._RabbitmqMessage(True, 7, message)  # type: ignore[no-untyped-call]

    assert (proxy.redelivered, proxy._tag, proxy._message) == (True, 7, message)
    source = inspect.getsource(rabbitmq._RabbitmqConsumer)
    assert "self.known_tags = set()" in source
    assert "self.channel.consume(queue_name" in source  # what ends its iteration is `channel.cancel`


def test_dramatiqs_worker_makes_its_threads_from_what_ours_has_replaced() -> None:
    worker = dramatiq.Worker(StubBroker(), queues={"q"}, worker_threads=2, worker_timeout=1)

    assert (worker.consumers, worker.workers, worker.consumer_whitelist) == ({}, [], {"q"})
    assert worker.queue_prefetch > 0
    assert "self.work_queue.get(timeout=self.timeout)" in inspect.getsource(dramatiq_worker.WorkerThread.run)
    assert "work_queue=self.work_queue" in inspect.getsource(dramatiq.Worker._add_consumer)
    assert "prefetch=self.delay_prefetch if delay else self.queue_prefetch" in inspect.getsource(
        dramatiq.Worker._add_consumer
    )


def test_a_histogram_that_is_filled_a_bucket_at_a_time_tells_what_one_tells_that_observes() -> None:
    # Given two histograms, and values below, at, between and above the bounds
    books = CollectorRegistry()
    by_one, at_once = (Histogram(name, name, buckets=(1, 2, 5), registry=books) for name in ("one", "all"))
    observed = [0.5, 1, 1.5, 2, 4.9, 5, 60]

    # When they hear of them one by one and all at once
    for value in observed:
        by_one.observe(value)
    metrics.observe_all(at_once, observed)

    # Then they tell the same
    def told(histogram: Histogram) -> list[float]:
        return [sample.value for sample in next(iter(histogram.collect())).samples if "created" not in sample.name]

    assert told(by_one) == told(at_once)


def test_processes_that_count_together_each_have_files_with_their_number() -> None:
    # `metrics.forget` removes those of a process that never came to do anything
    assert "'{}_{}.db'.format(file_prefix, pid['value'])" in inspect.getsource(values)


async def test_aiosmtplib_takes_a_socket_that_is_connected_and_tells_the_transport_that_it_made() -> None:
    smtp = SMTP(hostname="mail.example.com")

    assert (smtp.sock, smtp.transport) == (None, None)
    assert isinstance(inspect.getattr_static(SMTP, "is_ehlo_or_helo_needed"), property)
    assert "sock=self.sock" in inspect.getsource(SMTP._create_connection)
    assert "self.transport = self.protocol.transport" in inspect.getsource(SMTP.starttls)  # the encrypted one


def test_uvicorns_protocol_has_the_parser_and_the_head_that_are_read_anew() -> None:
    source = inspect.getsource(httptools_impl.HttpToolsProtocol)

    for part in ("self.parser = ", "self.url = ", "self.headers = ", "self.cycle = ", "self.loop = "):
        assert part in source
    assert "set_dangerous_leniencies(lenient_data_after_close=True)" in source
    assert httptools_impl.STATUS_LINE[431].startswith(b"HTTP/1.1 431 ")


def test_starlettes_router_has_the_lifespan_that_a_server_enters_and_the_redirects_that_are_switched_off() -> None:
    router = Starlette().router

    assert router.redirect_slashes is True
    assert callable(router.lifespan_context)


def test_alembic_takes_the_class_that_names_a_dialect_last() -> None:
    assert issubclass(ImplMeta, type)
    for impl in (resumable._PostgreSQL, resumable._SQLite, resumable._MySQL, resumable._MariaDB):
        assert DefaultImpl.get_by_dialect(_Named(impl.__dialect__)) is impl  # type: ignore[arg-type]


def test_alembic_keeps_a_list_of_what_no_id_may_have() -> None:
    assert {"@", "+", ":"} <= set(revision._revision_illegal_chars)


class _Named:
    """What a dialect is asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
