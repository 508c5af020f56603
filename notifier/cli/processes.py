"""The processes of the Procfile: web, worker, clock."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from typing import Any

import click
import msgspec
import structlog
import uvloop

from notifier.cli.arguments import ListenAddress
from notifier.cli.supervise import python, supervise
from notifier.runtime import logs
from notifier.runtime.settings import Settings, load_settings

RESTART_DELAY = 500  # milliseconds until a consumer that lost its broker reconnects
GRACE = 25  # seconds for requests under way to finish after SIGTERM

log = structlog.get_logger(__name__)

listens = click.option(
    "--metrics-listen",
    type=ListenAddress(),
    help="Where to answer /livez, /readyz and /metrics; by default NOTIFIER_METRICS_LISTEN.",
)


@click.command()
@click.option("--host", help="Address to listen on; by default NOTIFIER_HOST.")
@click.option("--port", type=int, help="Port to listen on; by default NOTIFIER_PORT.")
@listens
def web(host: str | None, port: int | None, metrics_listen: str | None) -> None:
    """Run the web process: the HTTP API, the console, /docs and /metrics."""
    settings = prepare("web", metrics_listen)
    from notifier.api.app import create_app
    from notifier.api.serving import ApiServer
    from notifier.console.live import Streams
    from notifier.startup import close, guard, open_engine

    guard(settings)
    streams = Streams()
    app = create_app(lambda: open_engine(settings, "web"), close, settings=settings, streams=streams, warm=True)
    host, port = host or settings.host, settings.port if port is None else port
    with suppress(KeyboardInterrupt):  # uvicorn raises this when SIGINT ended it
        uvloop.run(ApiServer(app, settings, streams, host, port, GRACE).serve())


@click.command()
@click.option(
    "--processes", type=click.IntRange(1), help="Processes for prompt messages; by default NOTIFIER_WORKER_PROCESSES."
)
@click.option(
    "--batches", type=click.IntRange(1), help="Batches of a queue at once; by default NOTIFIER_WORKER_BATCHES."
)
@click.option("--queue", "queues", multiple=True, help="Only this queue, such as sms.urgent or push.bulk. Repeatable.")
@listens
def worker(processes: int | None, batches: int | None, queues: tuple[str, ...], metrics_listen: str | None) -> None:
    """Run the Dramatiq workers, which decide and deliver. A process that dies is restarted.

    Two more processes, at the lowest CPU priority, handle campaigns and messages that may have crashed a worker. With
    --queue they aren't started.
    """
    settings = prepare("worker", metrics_listen)
    from notifier.broker import BACKGROUND, PROMPT, refuse_another_mode
    from notifier.monitoring.group import Group
    from notifier.startup import guard

    guard(settings)
    refuse_another_mode(settings.broker_url)  # each process would, again and again

    each = python("-m", "workers", "--batches", str(batches or settings.worker_batches))
    commands = [[*each, *_named(queues or PROMPT)]] * (processes or settings.worker_processes)
    if not queues:
        commands += [[*each, "--background", *_named(taken)] for taken in BACKGROUND]
    group = Group(len(commands)) if settings.metrics_listen else None
    supervise(commands, {**os.environ, "dramatiq_restart_delay": str(RESTART_DELAY)}, group, settings.metrics_listen)


@click.command()
@listens
def clock(metrics_listen: str | None) -> None:
    """Run the clock, which signals rows that fall due. Several clocks may run at once."""
    settings = prepare("clock", metrics_listen)
    from notifier import metrics
    from notifier.experiments import watching
    from notifier.monitoring.listener import listening
    from notifier.monitoring.pages import GOOD_FOR, Readiness, pages_of
    from notifier.pipeline.clock import run
    from notifier.runtime.recent import Recent
    from notifier.startup import close, guard, open_engine

    async def told() -> bytes:
        return metrics.render(metrics.REGISTRY, metrics.OF_CLOCK)

    async def tick() -> None:
        stop = _stop_event()
        async with AsyncExitStack() as opened:
            engine = await open_engine(settings)
            opened.push_async_callback(close, engine)
            if settings.metrics_listen:
                ready = Readiness({"database": engine.database.ping, "broker": engine.signals.ping}, engine.clock)
                pages = pages_of(ready, Recent(told, engine.clock, GOOD_FOR).get)
                await opened.enter_async_context(listening(settings.metrics_listen, pages))
            log.info("clock.ready")
            await asyncio.gather(run(engine, stop), watching.run(engine, stop))

    guard(settings)
    uvloop.run(tick())


def _named(queues: Iterable[str]) -> list[str]:
    return [part for queue in queues for part in ("--queue", queue)]


def prepare(process: str, metrics_listen: str | None = None) -> Settings:
    """Set up a process' settings, environment and logs; must run before prometheus-client is imported."""
    settings = load_settings()
    if metrics_listen is not None:
        settings = msgspec.structs.replace(settings, metrics_listen=metrics_listen)
    os.environ.update(_shared(settings))
    logs.set_up(settings.log_level, process)
    return settings


def _shared(settings: Settings) -> dict[str, str]:
    """Return the environment by which processes share metrics; it must be set before prometheus-client is imported."""
    if settings.metrics_dir is None:
        return {}
    settings.metrics_dir.mkdir(parents=True, exist_ok=True)
    return {"PROMETHEUS_MULTIPROC_DIR": str(settings.metrics_dir)}


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    handler: Callable[[], Any] = stop.set
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handler)
    return stop
