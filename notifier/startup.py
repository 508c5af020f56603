"""From settings to an open engine, and back: what each process does first and last."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from notifier import metrics
from notifier.broker import make_broker, refuse_another_mode
from notifier.broker.signals import Signals
from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.domain.channels import channels
from notifier.domain.errors import ConfigurationError
from notifier.domain.experiments import Experiments
from notifier.domain.links import Links, read_keys
from notifier.experiments import keeping
from notifier.pipeline.engine import Engine, WorkerEngine
from notifier.pipeline.local_dispatcher import LocalDispatcher, Queue
from notifier.pipeline.sharing import keeper, open_namespace
from notifier.providers.bulkheads import Bulkhead
from notifier.providers.opening import account_files, concurrency, open_transport, open_transports
from notifier.providers.reopening import Reopening
from notifier.rendering import Brand, Renderer
from notifier.runtime import loop_lag
from notifier.runtime.background import cancelled, forever
from notifier.runtime.guard import refuse_everything_but_loopback
from notifier.runtime.rotation import LOOK_EVERY, SIGNING_KEYS, Change, Rotation
from notifier.runtime.settings import Settings
from notifier.runtime.tracing import open_tracer
from notifier.store.core import buckets, secrets
from notifier.store.core.clock import DatabaseClock
from notifier.store.core.database import Database
from notifier.store.core.migrate import beyond, revisions
from notifier.store.core.revisions import Fit, fit
from notifier.texts import publishing

LINKS = "links"
"""The name of the signing key that the database generates and keeps."""


def guard(settings: Settings) -> None:
    """Refuse every connection that leaves this machine, where the settings say so. Call it before anything connects."""
    if settings.loopback_only:
        refuse_everything_but_loopback()


async def open_engine(settings: Settings, process: str = "") -> Engine:
    """Open the engine of the web process, the clock or a command. One that makes spans gives the name by which they
    call it, its `process`."""
    async with AsyncExitStack() as opened:
        basis = await _open(settings, opened, process)
        _look_for_changes(basis["rotation"], opened)
        return Engine(**basis, opened=opened.pop_all())


async def open_worker_engine(settings: Settings, bulkheads: Mapping[Queue, Bulkhead]) -> WorkerEngine:
    """Open a worker's engine, with its transports, on the worker's loop and before its first message. `bulkheads` are
    those of the queues that the worker serves."""
    async with AsyncExitStack() as opened:
        basis = await _open(settings, opened, "worker")
        keep = keeper(settings, basis["namespace"], basis["database"], basis["clock"])
        transports = open_transports(settings, basis["clock"], keep)
        reopen = partial(open_transport, clock=basis["clock"], keep=keep, strict=True)
        reopening = Reopening(transports, reopen)
        opened.push_async_callback(reopening.close)
        basis["rotation"].on_change(reopening.heed)
        _look_for_changes(basis["rotation"], opened)
        dispatcher = LocalDispatcher(bulkheads)
        opened.push_async_callback(dispatcher.close)
        return WorkerEngine(
            **basis, transports=transports, at_once=concurrency(settings), dispatcher=dispatcher,
            opened=opened.pop_all(),
        )  # fmt: skip


async def close(engine: Engine) -> None:
    """Close what `open_engine` or `open_worker_engine` opened, the last first: what is under way ends before its
    signals, so that none is lost."""
    await engine.opened.aclose()


async def _open(settings: Settings, opened: AsyncExitStack, process: str) -> dict[str, Any]:
    """Open what every engine has. `opened` closes it where a later step fails."""
    await asyncio.to_thread(refuse_another_mode, settings.broker_url)
    tracer = open_tracer(settings, process) if process else None
    if tracer is not None:
        opened.push_async_callback(tracer.close)
    catalog = load_catalog(settings.templates)
    renderer = load_renderer(settings, catalog)
    database = await open_database(settings)
    opened.push_async_callback(database.close)
    clock = DatabaseClock(database)
    opened.push_async_callback(clock.close)
    await clock.start()
    await publishing.ship(database, renderer.shipped, clock)
    await publishing.refresh(database, renderer)
    experiments = Experiments()
    await keeping.refresh(database, catalog, renderer, experiments)
    namespace = await open_namespace(settings, database)
    signals = Signals(make_broker(settings.broker_url, namespace=namespace))
    opened.push_async_callback(signals.close)
    links = await open_links(settings, database)
    rotation = Rotation(settings, _account_files)

    async def sign_anew(change: Change) -> None:
        if SIGNING_KEYS in change.names:
            links.use(await signing_keys(change.settings, database))

    rotation.on_change(sign_anew)
    opened.push_async_callback(cancelled, forever("texts", partial(publishing.keep, database, renderer)))
    keep = partial(keeping.keep, database, catalog, renderer, experiments)
    opened.push_async_callback(cancelled, forever("experiments", keep))
    opened.push_async_callback(cancelled, forever("loop_lag", loop_lag.watch))
    metrics.pool.watched = database.connections
    return {
        "database": database, "namespace": namespace, "catalog": catalog, "renderer": renderer, "signals": signals,
        "clock": clock, "links": links, "tracer": tracer, "rotation": rotation, "experiments": experiments,
    }  # fmt: skip


def load_renderer(settings: Settings, catalog: Catalog) -> Renderer:
    """Load the renderer of all notification texts, with the brand's name."""
    brand = Brand(name=settings.brand_name, app_url=settings.app_url, postal_address=settings.postal_address)
    return Renderer(catalog, settings.templates, brand)


async def open_database(settings: Settings) -> Database:
    """Open the database. Raises ConfigurationError where its schema is none that this code works with."""
    async with AsyncExitStack() as opened:
        database = Database(settings.database_url, settings.database_connections)
        opened.push_async_callback(database.close)
        current, newest = await revisions(database)
        match fit(current, newest):
            case Fit.BEHIND:
                raise ConfigurationError(
                    f"the database is at revision {current}, this code needs {newest}; run `notifier db upgrade`"
                )
            case Fit.BEYOND:
                raise beyond(current)
        await buckets.find(database)
        opened.pop_all()
        return database


async def open_links(settings: Settings, database: Database) -> Links:
    """Make the signer of links, with the keys that are set or else one that this database keeps.

    Where it keeps one, that stays good for reading: mails that it signed may be opened for years.
    """
    return Links(settings.public_url, await signing_keys(settings, database))


async def signing_keys(settings: Settings, database: Database) -> Sequence[bytes]:
    """Return the keys for links, the one that signs first: those that are set, and the database's own."""
    keys = read_keys(settings.signing_keys)
    own = await secrets.find(database, LINKS) if keys else await secrets.get(database, LINKS)
    return keys if own is None else [*keys, own]


def _look_for_changes(rotation: Rotation, opened: AsyncExitStack) -> None:
    """Have secrets read again when they change, once all who heed that have said so."""

    async def keep_looking() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await rotation.look()

    opened.push_async_callback(cancelled, forever("rotation", keep_looking))


def _account_files(settings: Settings) -> set[Path]:
    return {file for channel in channels() for file in account_files(channel, settings)}
