"""From settings to an open engine, and back: what each process does first and last."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from notifier.broker import make_broker
from notifier.broker.signals import Signals
from notifier.domain.catalog import Catalog, load_catalog
from notifier.domain.errors import ConfigurationError
from notifier.domain.links import Links, read_keys
from notifier.pipeline.engine import Engine, WorkerEngine
from notifier.pipeline.local_dispatcher import LocalDispatcher, Queue
from notifier.pipeline.sharing import keeper, open_namespace
from notifier.providers.bulkheads import Bulkhead
from notifier.providers.opening import concurrency, open_transports
from notifier.rendering import Brand, Renderer
from notifier.runtime.background import forever
from notifier.runtime.guard import refuse_everything_but_loopback
from notifier.runtime.settings import Settings
from notifier.store.core import secrets
from notifier.store.core.clock import DatabaseClock
from notifier.store.core.database import Database
from notifier.store.core.migrate import revisions
from notifier.texts import publishing

LINKS = "links"
"""The name of the database's own key."""


def guard(settings: Settings) -> None:
    """Refuse every connection that leaves this machine, where the settings say so. Call it before anything connects."""
    if settings.loopback_only:
        refuse_everything_but_loopback()


async def open_engine(settings: Settings) -> Engine:
    """Open the engine of the web process and the clock."""
    return Engine(**await _open(settings))


async def open_worker_engine(settings: Settings, bulkheads: Mapping[Queue, Bulkhead]) -> WorkerEngine:
    """What a worker works with: transports are built here, on its loop, before the first message. `bulkheads` are
    those of the queues that it serves."""
    opened = await _open(settings)
    keep = keeper(settings, opened["namespace"], opened["database"], opened["clock"])
    return WorkerEngine(
        **opened, transports=open_transports(settings, opened["clock"], keep), at_once=concurrency(settings),
        dispatcher=LocalDispatcher(bulkheads),
    )  # fmt: skip


async def _open(settings: Settings) -> dict[str, Any]:
    catalog = load_catalog(settings.templates)
    renderer = load_renderer(settings, catalog)
    database = await open_database(settings)
    clock = await _clock(database)
    await publishing.ship(database, renderer.shipped, clock)
    await publishing.refresh(database, renderer)
    namespace = await open_namespace(settings, database)
    return {
        "database": database,
        "namespace": namespace,
        "catalog": catalog,
        "renderer": renderer,
        "signals": Signals(make_broker(settings.broker_url, namespace=namespace)),
        "clock": clock,
        "links": await open_links(settings, database),
        "background": (forever("texts", partial(publishing.keep, database, renderer)),),
    }


def load_renderer(settings: Settings, catalog: Catalog) -> Renderer:
    """Load the renderer of all notification texts, with the brand's name."""
    brand = Brand(name=settings.brand_name, app_url=settings.app_url, postal_address=settings.postal_address)
    return Renderer(catalog, settings.templates, brand)


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


async def open_links(settings: Settings, database: Database) -> Links:
    """Make the signer of links, with the keys that are set or else one that this database keeps.

    Where it keeps one, that stays good for reading: mails that it signed may be opened for years.
    """
    keys = read_keys(settings.signing_keys)
    own = await secrets.find(database, LINKS) if keys else await secrets.get(database, LINKS)
    return Links(settings.public_url, keys if own is None else [*keys, own])


async def _clock(database: Database) -> DatabaseClock:
    clock = DatabaseClock(database)
    await clock.start()
    return clock


async def close(engine: Engine) -> None:
    """Close what `open_engine` or `open_worker_engine` opened: first what is under way, then its signals, so that none
    is lost."""
    for task in engine.background:
        task.cancel()
    await asyncio.gather(*engine.background, return_exceptions=True)
    if isinstance(engine, WorkerEngine):
        await engine.dispatcher.close()
    await engine.signals.close()
    if isinstance(engine, WorkerEngine):
        await asyncio.gather(*(transport.close() for transport in engine.transports.values()))
    if isinstance(engine.clock, DatabaseClock):
        await engine.clock.close()
    await engine.database.close()
