"""The doctor: what is configured, what answers, what is missing, and the way out of each."""

import asyncio
from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import cast

import aiohttp
import redis
from redis.exceptions import ClusterCrossSlotError, MovedError
from sqlalchemy.exc import SQLAlchemyError

from notifier.broker import NAMESPACE, make_broker
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.broker.redis import TakingRedisBroker
from notifier.domain.catalog import load_catalog
from notifier.domain.channels import channels
from notifier.domain.clock import SystemClock
from notifier.domain.errors import ConfigurationError, StoreUnavailable
from notifier.pipeline.sharing import open_namespace
from notifier.providers.spec import provider
from notifier.rendering import Brand, Renderer
from notifier.rendering.categories import load_categories
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import Settings
from notifier.store.console import keys
from notifier.store.core.database import Database
from notifier.store.core.migrate import revisions
from notifier.store.reading import ledger

TIMEOUT = 5  # seconds that anything asked may take
LOOKS, A_LOOK = 100, 1_000  # at so many keys at once of a Redis that others use, too, and so often: a second in all


async def examine(settings: Settings) -> list[DoctorFinding]:
    """Check every part of the installation and return the findings."""
    return [
        *[finding async for finding in _database(settings)],
        await _broker(settings, await _namespace(settings)),
        _templates(settings),
        *[finding async for finding in _providers(settings)],
        await _web(settings),
        _metrics(settings),
    ]


async def _database(settings: Settings) -> AsyncIterator[DoctorFinding]:
    database = Database(settings.database_url, connections=1)
    try:
        current, newest = await revisions(database)
        if current != newest:
            yield DoctorFinding(
                "database", "wrong", f"its schema is at {current}, this code needs {newest}", "notifier db upgrade"
            )
            return
        yield DoctorFinding("database", "good", f"{database.engine.dialect.name}, schema {current}")
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
                "ledger", "wrong", f"{told}, {books.imbalance} astray", "notifier ledger shows where they are"
            )
        )
    except (StoreUnavailable, OSError) as error:
        yield DoctorFinding(
            "database", "wrong", f"does not answer ({error})", "start it, or mend NOTIFIER_DATABASE_URL"
        )
    finally:
        await database.close()


async def _namespace(settings: Settings) -> str | None:
    """What is ours in the broker is called by this; None while the database doesn't say."""
    database = Database(settings.database_url, connections=1)
    try:
        return await open_namespace(settings, database)
    except (StoreUnavailable, SQLAlchemyError, OSError):
        return None
    finally:
        await database.close()


async def _broker(settings: Settings, namespace: str | None) -> DoctorFinding:
    try:
        broker = make_broker(settings.broker_url, namespace=namespace or NAMESPACE)
        others = await asyncio.to_thread(_knock, broker)
    except ConfigurationError as error:
        return DoctorFinding("broker", "wrong", str(error), "mend NOTIFIER_BROKER_URL")
    except redis.ResponseError as error:
        if isinstance(error, ClusterCrossSlotError | MovedError) or "slot" in str(error):
            told = "it is a Redis Cluster, which can't be worked with: a queue's keys lie in several slots"
            return DoctorFinding("broker", "wrong", told, "NOTIFIER_BROKER_URL of one Redis, or of RabbitMQ")
        if "unknown command" in str(error) and await asyncio.to_thread(_is_sentinel, broker):
            told = "it is a Sentinel, which says where a Redis is and is none"
            return DoctorFinding("broker", "wrong", told, "NOTIFIER_BROKER_URL of an address that leads to the master")
        return DoctorFinding(
            "broker", "wrong", "refuses what workers do (ResponseError)", "look at its users and its version"
        )
    except Exception as error:  # noqa: BLE001 (each broker has errors of its own)
        return DoctorFinding(
            "broker", "wrong", f"does not answer ({type(error).__name__})", "start it, or mend NOTIFIER_BROKER_URL"
        )
    ours = "whose name here isn't known before the database answers" if namespace is None else f"ours is {namespace}"
    told = f"; there is {', '.join(sorted(others))}, too" if others else ""
    return DoctorFinding("broker", "good", f"{type(broker).__name__}, {ours}{told}")


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


def _is_sentinel(broker: object) -> bool:
    try:
        return isinstance(broker, TakingRedisBroker) and broker.client.info("server").get("redis_mode") == "sentinel"
    except redis.RedisError:
        return False


def _others(broker: TakingRedisBroker) -> set[str]:
    """Whose keys are in this Redis database, too: other installations, and what versions before names left behind."""
    found: set[str] = set()
    for pattern in (f"{NAMESPACE}:*", "dramatiq:*"):
        cursor = 0
        for _ in range(LOOKS):
            looked = broker.client.scan(cursor, match=pattern, count=A_LOOK)
            cursor, names = cast("tuple[int, list[bytes]]", looked)
            found.update(_installation(name) for name in names)
            if cursor == 0:
                break
    return found - {broker.namespace}


def _installation(key: bytes) -> str:
    """Whose a key is; without a name of their own those of versions that had none."""
    parts = key.decode("utf-8", "replace").split(":")
    named = parts[0] == NAMESPACE and parts[1] not in ("provider", "key")
    return ":".join(parts[:2]) if named else f"{parts[0]}:* of an older version"


def _enqueue_and_take(broker: TakingRedisBroker) -> None:
    """What the web process and workers do, with a message on a queue of its own."""
    client: redis.Redis = broker.client
    keys = [f"{broker.namespace}:doctor", f"{broker.namespace}:doctor.msgs"]
    try:
        client.rpush(keys[0], "1")
        client.hset(keys[1], "1", "doctor")
        if broker.take(keys=keys, args=[1]) != [b"doctor"]:
            raise ConfigurationError("what was put into a queue did not come out of it")
    finally:
        for key in keys:
            client.delete(key)


def _templates(settings: Settings) -> DoctorFinding:
    try:
        catalog = load_catalog(settings.templates)
        load_categories(settings.templates, catalog)
        Renderer(catalog, settings.templates, Brand(settings.brand_name, settings.app_url, settings.postal_address))
    except ConfigurationError as error:
        return DoctorFinding("templates", "wrong", str(error), "mend the file that it names")
    return DoctorFinding(
        "templates", "good", f"{len(catalog.types)} notification types for {len(catalog.event_types)} event types"
    )


async def _providers(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Of every channel that has a provider, what its folder finds of the accounts."""
    for channel in channels():
        spec = provider(channel)
        if spec is not None:
            async for finding in spec.check(settings):
                yield finding


async def _web(settings: Settings) -> DoctorFinding:
    url = f"{settings.public_url}/readyz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
            session.get(url) as response,
        ):
            if response.status == 200:
                return DoctorFinding("web", "good", f"answers at {settings.public_url}")
            return DoctorFinding("web", "wrong", f"answers {response.status} at {url}", "look at its log")
    except (aiohttp.ClientError, TimeoutError) as error:
        return DoctorFinding(
            "web", "missing", f"no answer at {settings.public_url} ({type(error).__name__})", "start it: notifier web"
        )


def _metrics(settings: Settings) -> DoctorFinding:
    if settings.metrics_dir is None:
        told = "each process counts for itself: /metrics tells of the web process and the ledger alone"
        return DoctorFinding("metrics", "missing", told, "NOTIFIER_METRICS_DIR=/a/folder/of/all/processes")
    try:
        settings.metrics_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=settings.metrics_dir):
            pass
    except OSError as error:
        told = f"nothing can be written in {settings.metrics_dir} ({type(error).__name__})"
        return DoctorFinding("metrics", "wrong", told, "mend NOTIFIER_METRICS_DIR, or who owns that folder")
    return DoctorFinding("metrics", "good", f"all processes count in {settings.metrics_dir}")
