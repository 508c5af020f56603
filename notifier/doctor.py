"""The doctor: what is configured, what answers, what is missing, and the way out of each."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import aiohttp
import redis
from dramatiq import Broker
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from notifier.broker import make_broker
from notifier.catalog import load_catalog
from notifier.errors import ConfigurationError, StoreUnavailable
from notifier.rendering import Brand, Renderer
from notifier.settings import Settings
from notifier.store import keys, ledger
from notifier.store.database import Database
from notifier.store.migrate import revisions

TIMEOUT = 5  # seconds that anything asked may take


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
        await _broker(settings),
        _templates(settings),
        _push(settings),
        _sms(settings),
        await _email(settings),
        await _web(settings),
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
        good = [key for key in await keys.every(database) if key.revoked_at is None]
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
            else Finding(
                "ledger", "wrong", f"{told}, but {books.planned} planned", "notifier ledger shows where they are"
            )
        )
    except (StoreUnavailable, OSError) as error:
        yield Finding("database", "wrong", f"does not answer ({error})", "start it, or mend NOTIFIER_DATABASE_URL")
    finally:
        await database.close()


async def _broker(settings: Settings) -> Finding:
    try:
        broker = make_broker(settings.broker_url)
        await asyncio.to_thread(_knock, broker)
    except ConfigurationError as error:
        return Finding("broker", "wrong", str(error), "mend NOTIFIER_BROKER_URL")
    except Exception as error:  # noqa: BLE001 (each broker has errors of its own)
        return Finding(
            "broker", "wrong", f"does not answer ({type(error).__name__})", "start it, or mend NOTIFIER_BROKER_URL"
        )
    return Finding("broker", "good", type(broker).__name__)


def _knock(broker: Broker) -> None:
    if isinstance(broker, RedisBroker):
        client: redis.Redis = broker.client
        client.ping()
    elif isinstance(broker, RabbitmqBroker):
        broker.connection  # noqa: B018 (opens it)
    broker.close()


def _templates(settings: Settings) -> Finding:
    try:
        catalog = load_catalog(settings.templates)
        Renderer(catalog, settings.templates, Brand(settings.brand_name, settings.app_url, settings.postal_address))
    except ConfigurationError as error:
        return Finding("templates", "wrong", str(error), "mend the file that it names")
    return Finding(
        "templates", "good", f"{len(catalog.types)} notification types for {len(catalog.event_types)} event types"
    )


def _push(settings: Settings) -> Finding:
    if settings.fcm_credentials is None:
        return Finding(
            "push",
            "missing",
            "no credentials: pushes wait and expire",
            "set NOTIFIER_FCM_CREDENTIALS to a service account's file",
        )
    if not settings.fcm_credentials.is_file():
        return Finding(
            "push",
            "wrong",
            "NOTIFIER_FCM_CREDENTIALS names no file",
            "download it in the Firebase console, Service accounts",
        )
    return Finding("push", "good", f"FCM by {settings.fcm_url}")


def _sms(settings: Settings) -> Finding:
    given = {
        name.upper(): getattr(settings, name) for name in ("twilio_account_sid", "twilio_auth_token", "twilio_from")
    }
    if lacking := [name for name, value in given.items() if not value]:
        verdict: Literal["missing", "wrong"] = "missing" if len(lacking) == len(given) else "wrong"
        return Finding(
            "sms",
            verdict,
            "no sender: texts wait and expire",
            f"set {', '.join('NOTIFIER_' + name for name in lacking)}",
        )
    return Finding("sms", "good", f"Twilio by {settings.twilio_url}")


async def _email(settings: Settings) -> Finding:
    if not settings.smtp_host:
        return Finding("e-mail", "missing", "no server: mails wait and expire", "set NOTIFIER_SMTP_HOST")
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(settings.smtp_host, settings.smtp_port)
            if settings.smtp_security != "tls":
                await reader.readline()
            writer.close()
    except (OSError, TimeoutError) as error:
        return Finding(
            "e-mail",
            "wrong",
            f"the server does not answer ({type(error).__name__})",
            "mend NOTIFIER_SMTP_HOST or _PORT",
        )
    return Finding("e-mail", "good", f"SMTP, {settings.smtp_security}")


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
