"""The doctor: what is configured, what answers, what is missing, and the way out of each."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal, cast

import aiohttp
import redis
from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from redis.exceptions import ClusterCrossSlotError, MovedError
from sqlalchemy.exc import SQLAlchemyError

from notifier.broker import NAMESPACE, make_broker
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.broker.redis import TakingRedisBroker
from notifier.channels.push.tokens import read_certificate
from notifier.domain.catalog import load_catalog
from notifier.domain.clock import SystemClock
from notifier.domain.errors import ConfigurationError, StoreUnavailable
from notifier.pipeline.sharing import open_namespace
from notifier.providers.opening import proxies_of
from notifier.rendering import Brand, Renderer
from notifier.rendering.categories import load_categories
from notifier.runtime.accounts import Account, SmtpAccount, email_accounts, push_accounts, sms_accounts
from notifier.runtime.addresses import mailbox
from notifier.runtime.settings import Settings
from notifier.store.console import keys
from notifier.store.core.database import Database
from notifier.store.core.migrate import revisions
from notifier.store.reading import ledger

TIMEOUT = 5  # seconds that anything asked may take
LOOKS, A_LOOK = 100, 1_000  # at so many keys at once of a Redis that others use, too, and so often: a second in all


@dataclass(frozen=True)
class Finding:
    """One part: whether it is good, missing (something won't work, by choice or not) or wrong, and what to do."""

    part: str
    verdict: Literal["good", "missing", "wrong"]
    told: str
    way_out: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at every part."""
    return [
        *[finding async for finding in _database(settings)],
        await _broker(settings, await _namespace(settings)),
        _templates(settings),
        *_push(settings),
        *_sms(settings),
        *[finding async for finding in _email(settings)],
        await _web(settings),
        _metrics(settings),
    ]


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    database = Database(settings.database_url, connections=1)
    try:
        current, newest = await revisions(database)
        if current != newest:
            yield Finding(
                "database", "wrong", f"its schema is at {current}, this code needs {newest}", "notifier db upgrade"
            )
            return
        yield Finding("database", "good", f"{database.engine.dialect.name}, schema {current}")
        now = SystemClock().now()
        good = [key for key in await keys.every(database) if key.good_at(now)]
        if not good:
            yield Finding(
                "API keys",
                "missing",
                "none: no service can report events",
                "notifier keys create NAME --scope events:write",
            )
        else:
            yield Finding("API keys", "good", f"{len(good)} in use")
        books = await ledger.read(database)
        told = f"{books.events} events, {books.total} deliveries"
        yield (
            Finding("ledger", "good", f"{told}: it balances")
            if books.balanced
            else Finding("ledger", "wrong", f"{told}, {books.imbalance} astray", "notifier ledger shows where they are")
        )
    except (StoreUnavailable, OSError) as error:
        yield Finding("database", "wrong", f"does not answer ({error})", "start it, or mend NOTIFIER_DATABASE_URL")
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


async def _broker(settings: Settings, namespace: str | None) -> Finding:
    try:
        broker = make_broker(settings.broker_url, namespace=namespace or NAMESPACE)
        others = await asyncio.to_thread(_knock, broker)
    except ConfigurationError as error:
        return Finding("broker", "wrong", str(error), "mend NOTIFIER_BROKER_URL")
    except redis.ResponseError as error:
        if isinstance(error, ClusterCrossSlotError | MovedError) or "slot" in str(error):
            told = "it is a Redis Cluster, which can't be worked with: a queue's keys lie in several slots"
            return Finding("broker", "wrong", told, "NOTIFIER_BROKER_URL of one Redis, or of RabbitMQ")
        if "unknown command" in str(error) and await asyncio.to_thread(_is_sentinel, broker):
            told = "it is a Sentinel, which says where a Redis is and is none"
            return Finding("broker", "wrong", told, "NOTIFIER_BROKER_URL of an address that leads to the master")
        return Finding(
            "broker", "wrong", "refuses what workers do (ResponseError)", "look at its users and its version"
        )
    except Exception as error:  # noqa: BLE001 (each broker has errors of its own)
        return Finding(
            "broker", "wrong", f"does not answer ({type(error).__name__})", "start it, or mend NOTIFIER_BROKER_URL"
        )
    ours = "whose name here isn't known before the database answers" if namespace is None else f"ours is {namespace}"
    told = f"; there is {', '.join(sorted(others))}, too" if others else ""
    return Finding("broker", "good", f"{type(broker).__name__}, {ours}{told}")


def _knock(broker: TakingRedisBroker | OnceRabbitmqBroker) -> set[str]:
    """Do what workers do; the names of other installations that are seen there."""
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


def _templates(settings: Settings) -> Finding:
    try:
        catalog = load_catalog(settings.templates)
        load_categories(settings.templates, catalog)
        Renderer(catalog, settings.templates, Brand(settings.brand_name, settings.app_url, settings.postal_address))
    except ConfigurationError as error:
        return Finding("templates", "wrong", str(error), "mend the file that it names")
    return Finding(
        "templates", "good", f"{len(catalog.types)} notification types for {len(catalog.event_types)} event types"
    )


def _push(settings: Settings) -> Iterator[Finding]:
    accounts = push_accounts(settings.push_providers)
    if not accounts:
        yield _no_provider("push", "pushes", "fcm:///path/of/service-account.json")
    for account in accounts:
        try:
            project = account.project or read_certificate(Path(account.service_account)).project_id
        except ConfigurationError as error:
            yield Finding("push", "wrong", f"{account.name}: {error}", "Firebase console, Service accounts")
        else:
            yield Finding(
                "push", "good", f"{account.name}: project {project} by {_way(settings, account.url)}{_pace(account)}"
            )


def _sms(settings: Settings) -> Iterator[Finding]:
    accounts = sms_accounts(settings.sms_providers)
    if not accounts:
        yield _no_provider("sms", "texts", "twilio://SID:TOKEN@api.twilio.com?from=NUMBER")
    for account in accounts:
        yield Finding(
            "sms", "good", f"{account.name}: from {account.sender} by {_way(settings, account.url)}{_pace(account)}"
        )


async def _email(settings: Settings) -> AsyncIterator[Finding]:
    accounts = email_accounts(settings.email_providers)
    if not accounts:
        yield _no_provider("e-mail", "mails", "smtp+starttls://USER:PASSWORD@HOST")
    for account in accounts:
        try:
            await _ask_the_relay(account, settings)
        except SMTPResponseException as error:
            told = f"{account.name}: the server refuses what workers say to it ({type(error).__name__}, {error.code})"
            way_out = "mend its user, password or the sender; &verp=false where it takes no local+id@ as the sender"
            yield Finding("e-mail", "wrong", told, way_out)
        except (SMTPException, OSError, TimeoutError) as error:
            told = f"{account.name}: the server does not answer as it should ({type(_first(error)).__name__})"
            yield Finding("e-mail", "wrong", told, "start it, or mend NOTIFIER_EMAIL_PROVIDERS")
        else:
            security = "not encrypted" if account.security == "none" else account.security
            yield Finding("e-mail", "good", f"{account.name}: {security}, takes our sender{_pace(account)}")
    if accounts and settings.public_url.startswith("http://"):
        told = (
            f"links in List-Unsubscribe begin with {settings.public_url}: mailbox providers take https alone (RFC 8058)"
        )
        yield Finding(
            "e-mail", "missing", told, "NOTIFIER_PUBLIC_URL=https://…, and let the relay DKIM-sign that header"
        )


def _first(error: BaseException) -> BaseException:
    """What an error came of, at the beginning: a certificate that isn't good, and not that a connection is lost."""
    before = error.__cause__ or error.__context__
    return error if before is None else _first(before)


async def _ask_the_relay(account: SmtpAccount, settings: Settings) -> None:
    """Say to the server what a worker says before a mail: TLS, AUTH, and the sender, with a return path of its own."""
    sender = mailbox(settings.email_from).address
    local, _, domain = sender.rpartition("@")
    server = SMTP(
        hostname=account.host, port=account.port, use_tls=account.security == "tls",
        start_tls=account.security == "starttls", username=account.username, password=account.password,
        local_hostname=domain, timeout=TIMEOUT,
    )  # fmt: skip
    async with server:
        await server.mail(f"{local}+{'0' * 32}@{domain}" if account.verp else sender)
        await server.rset()


def _no_provider(part: str, what: str, url: str) -> Finding:
    variable = part.replace("-", "").upper()
    return Finding(part, "missing", f"no provider: {what} wait and expire", f"NOTIFIER_{variable}_PROVIDERS={url}")


def _way(settings: Settings, url: str) -> str:
    proxy = proxies_of(settings).of(url)
    return url if proxy is None else f"{url} through {proxy.host}:{proxy.port}"


def _pace(account: Account) -> str:
    return "" if account.rate is None else f", at most {account.rate:g} a second"


async def _web(settings: Settings) -> Finding:
    url = f"{settings.public_url}/readyz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
            session.get(url) as response,
        ):
            if response.status == 200:
                return Finding("web", "good", f"answers at {settings.public_url}")
            return Finding("web", "wrong", f"answers {response.status} at {url}", "look at its log")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(
            "web", "missing", f"no answer at {settings.public_url} ({type(error).__name__})", "start it: notifier web"
        )


def _metrics(settings: Settings) -> Finding:
    if settings.metrics_dir is None:
        told = "each process counts for itself: /metrics tells of the web process and the ledger alone"
        return Finding("metrics", "missing", told, "NOTIFIER_METRICS_DIR=/a/folder/of/all/processes")
    try:
        settings.metrics_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=settings.metrics_dir):
            pass
    except OSError as error:
        told = f"nothing can be written in {settings.metrics_dir} ({type(error).__name__})"
        return Finding("metrics", "wrong", told, "mend NOTIFIER_METRICS_DIR, or who owns that folder")
    return Finding("metrics", "good", f"all processes count in {settings.metrics_dir}")
