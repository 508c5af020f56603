"""The doctor: checks of every part of an installation, each finding with its remedy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import cast

import aiohttp
import redis
from sqlalchemy.exc import SQLAlchemyError

from notifier.broker import broker_address, make_broker, refuse_another_mode
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.broker.redis import TakingRedisBroker
from notifier.domain.catalog_files import load_catalog
from notifier.domain.channels import channels
from notifier.domain.clock import SystemClock
from notifier.domain.errors import ConfigurationError, StoreUnavailable
from notifier.pipeline.sharing import open_namespace
from notifier.providers.spec import provider
from notifier.rendering import Brand, Renderer
from notifier.rendering.categories import load_categories
from notifier.runtime.addresses import host_and_port, literal
from notifier.runtime.broker_url import NAMESPACE, BrokerUrl, RabbitmqUrl
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.redis_clients import node
from notifier.runtime.settings import Settings
from notifier.store.console import keys
from notifier.store.core import buckets
from notifier.store.core.database import Database
from notifier.store.core.migrate import revisions
from notifier.store.core.revisions import Fit, fit
from notifier.store.reading import ledger

TIMEOUT = 5  # seconds for one answer
LOOKS, A_LOOK = 100, 1_000  # SCAN calls per pattern in a Redis, which others may share, and keys per call: a second


async def examine(settings: Settings) -> list[DoctorFinding]:
    """Check every part of the installation and return the findings."""
    return [
        *[finding async for finding in _database(settings)],
        await _broker(settings, await _namespace(settings)),
        _templates(settings),
        *[finding async for finding in _providers(settings)],
        await _web(settings),
        await _metrics(settings),
    ]


async def _database(settings: Settings) -> AsyncIterator[DoctorFinding]:
    database = Database(settings.database_url, connections=1)
    try:
        current, newest = await revisions(database)
        fits = fit(current, newest)
        if fits in (Fit.BEHIND, Fit.BEYOND):
            mend = "notifier db upgrade" if fits is Fit.BEHIND else "install the release that upgraded it"
            yield DoctorFinding("database", "wrong", f"the schema is at {current}, this code needs {newest}", mend)
            return
        await buckets.find(database)
        ahead = f" (of a later release; this code needs {newest})" if fits is Fit.AHEAD else ""
        parts = f", {len(database.buckets)} buckets" if len(database.buckets) > 1 else ""
        yield DoctorFinding("database", "good", f"{database.engine.dialect.name}, schema {current}{ahead}{parts}")
        now = SystemClock().now()
        good = [key for key in await keys.every(database) if key.good_at(now)]
        if not good:
            yield DoctorFinding(
                "API keys",
                "missing",
                "none: no service can report events",
                "notifier keys create NAME --scope events:write",
            )
        else:
            yield DoctorFinding("API keys", "good", f"{len(good)} in use")
        books = await ledger.read(database)
        told = f"{books.events} events, {books.total} deliveries"
        yield (
            DoctorFinding("ledger", "good", f"{told}: it balances")
            if books.balanced
            else DoctorFinding(
                "ledger", "wrong", f"{told}, {books.imbalance} unaccounted for", "notifier ledger shows where"
            )
        )
    except (StoreUnavailable, OSError) as error:
        yield DoctorFinding("database", "wrong", f"does not answer ({error})", "start it, or fix NOTIFIER_DATABASE_URL")
    finally:
        await database.close()


async def _namespace(settings: Settings) -> str | None:
    """Return the prefix of our names in the broker; None while the database doesn't answer."""
    database = Database(settings.database_url, connections=1)
    try:
        return await open_namespace(settings, database)
    except (StoreUnavailable, SQLAlchemyError, OSError):
        return None
    finally:
        await database.close()


async def _broker(settings: Settings, namespace: str | None) -> DoctorFinding:
    try:
        await asyncio.to_thread(refuse_another_mode, settings.broker_url)
        broker = make_broker(settings.broker_url, namespace=namespace)
        others = await asyncio.to_thread(_knock, broker)
        server = await asyncio.to_thread(_server, broker_address(settings.broker_url))
    except ConfigurationError as error:
        return DoctorFinding("broker", "wrong", str(error), "fix NOTIFIER_BROKER_URL")
    except redis.ResponseError:
        return DoctorFinding(
            "broker",
            "wrong",
            "refuses the workers' commands (ResponseError)",
            "check the broker's users and its version",
        )
    except Exception as error:  # noqa: BLE001 (each broker has errors of its own)
        return DoctorFinding(
            "broker", "wrong", f"does not answer ({type(error).__name__})", "start it, or fix NOTIFIER_BROKER_URL"
        )
    ours = "our prefix is unknown until the database answers" if namespace is None else f"our prefix is {namespace}"
    told = f"; also in use by {', '.join(sorted(others))}" if others else ""
    return DoctorFinding("broker", "good", f"{server}, {ours}{told}")


def _server(url: BrokerUrl) -> str:
    """What signals go through, in words; redis.ConnectionError where that can't be found out."""
    if isinstance(url, RabbitmqUrl):
        return f"RabbitMQ, {url.queue_type} queues"
    found = node(url, TIMEOUT)
    if found is None:
        return "Redis"
    at = f"{found[0]}:{found[1]}"
    return (
        f"Redis Cluster, our keys at {at}" if url.mode == "cluster" else f"Redis {url.service} by Sentinel, now at {at}"
    )


def _knock(broker: TakingRedisBroker | OnceRabbitmqBroker) -> set[str]:
    """Use the broker as workers do; return the names of other installations found in it."""
    others: set[str] = set()
    if isinstance(broker, TakingRedisBroker):
        _enqueue_and_take(broker)
        others = _others(broker)
    else:
        broker.connection  # noqa: B018 (opens it)
    broker.close()
    return others


def _others(broker: TakingRedisBroker) -> set[str]:
    """Return the key prefixes of other installations in this Redis database, and of versions that had no namespace."""
    found: set[str] = set()
    prefix = broker.namespace.partition(":")[0]
    for pattern in (f"{prefix}:*", "dramatiq:*"):
        cursor = 0
        for _ in range(LOOKS):
            looked = broker.client.scan(cursor, match=pattern, count=A_LOOK)
            cursor, names = cast("tuple[int, list[bytes]]", looked)
            found.update(_installation(name) for name in names)
            if cursor == 0:
                break
    return found - {broker.namespace}


def _installation(key: bytes) -> str:
    """Return the installation that a key belongs to; versions without a namespace share one name."""
    parts = key.decode("utf-8", "replace").split(":")
    named = parts[0].strip("{}") == NAMESPACE and parts[1] not in ("provider", "key")
    return ":".join(parts[:2]) if named else f"{parts[0]}:* of an older version"


def _enqueue_and_take(broker: TakingRedisBroker) -> None:
    """Enqueue and take a message on the doctor's own queue, as the web process and workers do."""
    client: redis.Redis = broker.client
    keys = [f"{broker.namespace}:doctor", f"{broker.namespace}:doctor.msgs"]
    try:
        client.rpush(keys[0], "1")
        client.hset(keys[1], "1", "doctor")
        if broker.take(keys=keys, args=[1]) != [b"doctor"]:
            raise ConfigurationError("a test message was put into a queue and not received from it")
    finally:
        for key in keys:
            client.delete(key)


def _templates(settings: Settings) -> DoctorFinding:
    try:
        catalog = load_catalog(settings.templates)
        load_categories(settings.templates, catalog)
        Renderer(catalog, settings.templates, Brand(settings.brand_name, settings.app_url, settings.postal_address))
    except ConfigurationError as error:
        return DoctorFinding("templates", "wrong", str(error), "fix the file that the message names")
    return DoctorFinding(
        "templates", "good", f"{len(catalog.types)} notification types for {len(catalog.event_types)} event types"
    )


async def _providers(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Yield the findings about the provider accounts of every channel that has a provider."""
    for channel in channels():
        spec = provider(channel)
        if spec is not None:
            async for finding in spec.check(settings):
                yield finding


async def _web(settings: Settings) -> DoctorFinding:
    url = f"{settings.public_url}/readyz"
    try:
        status = await _status(url)
    except (aiohttp.ClientError, TimeoutError) as error:
        return DoctorFinding(
            "web", "missing", f"no answer at {settings.public_url} ({type(error).__name__})", "start it: notifier web"
        )
    if status == 200:
        return DoctorFinding("web", "good", f"answers at {settings.public_url}")
    return DoctorFinding("web", "wrong", f"answers {status} at {url}", "check the web process's log")


async def _metrics(settings: Settings) -> DoctorFinding:
    if settings.metrics_dir is not None:
        return _metrics_dir(settings.metrics_dir)
    if settings.metrics_listen:
        return await _metrics_port(settings.metrics_listen)
    told = (
        "NOTIFIER_METRICS_LISTEN is not set: a process answers Prometheus where its --metrics-listen says, or nowhere, "
        "and /metrics of the API tells of the web process and the ledger"
    )
    return DoctorFinding(
        "metrics", "missing", told, "ask each: curl http://HOST:PORT/readyz, where its --metrics-listen says"
    )


async def _metrics_port(address: str) -> DoctorFinding:
    """Ask who answers where NOTIFIER_METRICS_LISTEN says: the one process of this machine that has this setting."""
    host, port = host_and_port(address)
    at = f"{literal(host or '127.0.0.1')}:{port}"
    try:
        status = await _status(f"http://{at}/readyz")
    except (aiohttp.ClientError, TimeoutError) as error:
        told = f"no process answers at {at} on this machine ({type(error).__name__})"
        return DoctorFinding("metrics", "missing", told, "start one; each process of a machine needs a port of its own")
    if status == 200:
        return DoctorFinding("metrics", "good", f"a process that is ready answers at {at}")
    told = f"what listens at {at} answers {status} to /readyz"
    return DoctorFinding("metrics", "wrong", told, f"curl http://{at}/readyz says what is wrong, or who it is")


def _metrics_dir(folder: Path) -> DoctorFinding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        told = f"{folder} is not writable ({type(error).__name__})"
        return DoctorFinding("metrics", "wrong", told, "fix NOTIFIER_METRICS_DIR or that folder's owner")
    return DoctorFinding("metrics", "good", f"all processes share their metrics in {folder}")


async def _status(url: str) -> int:
    """Return the status that a URL answers; raises aiohttp.ClientError or TimeoutError where there is no answer."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
        session.get(url) as response,
    ):
        return response.status
