"""`notifier chaos`: break a whole system on this machine on purpose, and count what was lost."""

import asyncio
import json
import signal
import time
from typing import Any

import click
from rich.console import Console

from notifier.chaos.options import Options
from notifier.chaos.scenarios import MODULES, scenario

TIMEOUT = 600  # seconds for one scenario; the longest takes half of it


@click.command()
@click.argument("name", metavar="SCENARIO", type=click.Choice([*MODULES, "all"]))
@click.option("--short", is_flag=True, help="The short form, as the tests run it.")
@click.option("--database", help="A server instead of SQLite: postgresql:// or mariadb://. A database is made there.")
@click.option("--broker", help="A server instead of a Redis of its own: redis:// or amqp://. It is emptied.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a scenario.")
def chaos(name: str, short: bool, database: str | None, broker: str | None, as_json: bool) -> None:
    """Start a system of real processes, break it, and hold its books against what arrived.

    SCENARIO is `all` or one of those that docs/reliability.md tells of. Nothing leaves this machine. Exits with 1 where
    something did not hold that must.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us must not leave a system behind
    options = Options(short, database, broker)
    told = [_run(each, options, as_json) for each in (MODULES if name == "all" else [name])]
    if not all(each["ok"] for each in told):
        raise SystemExit(1)


def _run(name: str, options: Options, as_json: bool) -> dict[str, Any]:
    console = Console(stderr=True)
    began = time.monotonic()
    with console.status(f"{name} on {options.servers}"):
        told = asyncio.run(_bounded(name, options)) | {"seconds": round(time.monotonic() - began, 1)}
    if as_json:
        click.echo(json.dumps(told))
    else:
        mark = "[green]✓[/]" if told["ok"] else "[red]✗[/]"
        console.print(mark, name, *(f"{figure}={value}" for figure, value in told.items() if figure != "scenario"))
    return told


async def _bounded(name: str, options: Options) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT):
        outcome = await scenario(name)(options)
    return {
        "scenario": name,
        "servers": options.servers,
        **outcome.figures,
        "ok": outcome.ok,
        "unmet": outcome.unmet,
    }
