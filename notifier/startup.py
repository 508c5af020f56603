"""From settings to an open engine, and back: what each process does first and last."""

import asyncio
from typing import Any

from notifier.broker import make_broker
from notifier.broker.signals import Signals
from notifier.catalog import load_catalog
from notifier.channels import Transport
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms.transport import TwilioTransport
from notifier.clock import SystemClock
from notifier.deliveries import Channel
from notifier.errors import ConfigurationError, Misconfigured
from notifier.guard import refuse_everything_but_loopback
from notifier.messages import Receipt
from notifier.pipeline.engine import Engine, WorkerEngine
from notifier.rendering import Brand, Renderer
from notifier.settings import Settings
from notifier.store.clock import DatabaseClock
from notifier.store.database import Database
from notifier.store.migrate import revisions


def guard(settings: Settings) -> None:
    """Refuse every connection that leaves this machine, where the settings say so. Call it before anything connects."""
    if settings.loopback_only:
        refuse_everything_but_loopback()


async def open_engine(settings: Settings) -> Engine:
    """What the web process and the clock work with."""
    database = await open_database(settings)
    return Engine(
        database=database,
        catalog=load_catalog(settings.templates),
        signals=Signals(make_broker(settings.broker_url)),
        clock=await _clock(database),
    )


async def open_worker_engine(settings: Settings) -> WorkerEngine:
    """What a worker works with: transports are built here, on its loop, before the first message."""
    catalog = load_catalog(settings.templates)
    brand = Brand(name=settings.brand_name, app_url=settings.app_url, postal_address=settings.postal_address)
    database = await open_database(settings)
    return WorkerEngine(
        database=database,
        catalog=catalog,
        signals=Signals(make_broker(settings.broker_url)),
        clock=await _clock(database),
        renderer=Renderer(catalog, settings.templates, brand),
        transports=await open_transports(settings),
    )


async def open_database(settings: Settings) -> Database:
    """The database, once its schema is the one that this code expects."""
    database = Database(settings.database_url, settings.database_connections)
    current, newest = await revisions(database)
    if current != newest:
        await database.close()
        raise ConfigurationError(
            f"the database is at revision {current}, this code needs {newest}; run `notifier db upgrade`"
        )
    return database


async def _clock(database: Database) -> DatabaseClock:
    clock = DatabaseClock(database)
    await clock.start()
    return clock


async def close(engine: Engine) -> None:
    """Close what `open_engine` or `open_worker_engine` opened, signals first so that none is lost."""
    await engine.signals.close()
    if isinstance(engine, WorkerEngine):
        await asyncio.gather(*(transport.close() for transport in engine.transports.values()))
    if isinstance(engine.clock, DatabaseClock):
        await engine.clock.close()
    await engine.database.close()


async def open_transports(settings: Settings) -> dict[Channel, Transport[Any]]:
    """A transport for every channel; one that isn't configured refuses each message until it is."""
    clock = SystemClock()
    transports: dict[Channel, Transport[Any]] = {
        channel: Unconfigured(channel) for channel in (Channel.PUSH, Channel.SMS, Channel.EMAIL)
    }
    if settings.fcm_credentials is not None:
        transports[Channel.PUSH] = FcmTransport(
            settings.fcm_credentials, clock=clock, base_url=settings.fcm_url, connections=settings.fcm_connections
        )
    if settings.twilio_account_sid:
        transports[Channel.SMS] = TwilioTransport(
            settings.twilio_account_sid,
            settings.twilio_auth_token,
            settings.twilio_from,
            clock=clock,
            callback_url=f"{settings.public_url}/v1/receipts/twilio",
            base_url=settings.twilio_url,
            connections=settings.twilio_connections,
        )
    if settings.smtp_host:
        transports[Channel.EMAIL] = SmtpTransport(
            settings.smtp_host,
            settings.smtp_port,
            clock=clock,
            security=Security(settings.smtp_security),
            username=settings.smtp_username or None,
            password=settings.smtp_password or None,
            sender=settings.email_from,
            sender_name=settings.brand_name,
            connections=settings.smtp_connections,
        )
    return transports


class Unconfigured:
    """Stands in for a channel whose provider isn't set: its messages wait, and expire, with that as the reason."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, _message: object) -> Receipt:
        raise Misconfigured(self._channel, "unconfigured", "no provider is set; see `notifier doctor`")

    async def close(self) -> None:
        return
