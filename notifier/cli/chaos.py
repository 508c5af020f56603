"""`notifier chaos`: break a whole system on this machine on purpose, and count what was lost."""

import asyncio
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from notifier.chaos.clusters.server import NotInstalled
from notifier.chaos.options import Options
from notifier.chaos.scenarios import MODULES, rounds, scenario

TIMEOUT = 1800  # seconds for one scenario: in the longest an endpoint is away for ten minutes


@click.command()
@click.argument("name", metavar="SCENARIO", type=click.Choice([*MODULES, "all"]))
@click.option("--short", is_flag=True, help="The short form, as the tests run it.")
@click.option("--database", help="A server instead of SQLite: postgresql:// or mariadb://. A database is made there.")
@click.option("--broker", help="A server instead of a Redis of its own: redis:// or amqp://. It is emptied.")
@click.option(
    "--release",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="The release before, for rolling_upgrade: the folder of a checkout of it.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a scenario.")
def chaos(
    name: str, short: bool, database: str | None, broker: str | None, release: Path | None, as_json: bool
) -> None:
    """Start a system of real processes, break it, and compare its ledger with the messages that arrived.

    SCENARIO is `all` or one of the scenarios in docs/reliability.md; `all` leaves out those that need Debian packages
    which aren't installed, and says so. Nothing leaves this machine. Exits with 1 where a guarantee did not hold.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a signal must not leave the system running
    options = Options(short, database, broker, release)
    if name == "all":
        told = [
            each
            for together in rounds(side_by_side=not broker)
            for each in _run_if_installed(together, options, as_json)
        ]
    else:
        told = _run((name,), options, as_json)
    if not all(each["ok"] for each in told):
        raise SystemExit(1)


def _run_if_installed(names: Sequence[str], options: Options, as_json: bool) -> list[dict[str, Any]]:
    """Run scenarios side by side; where the packages of one aren't there, say so and leave them out."""
    try:
        return _run(names, options, as_json)
    except NotInstalled as missing:
        click.echo(f"{', '.join(names)} left out: {missing}", err=True)
        return []


def _run(names: Sequence[str], options: Options, as_json: bool) -> list[dict[str, Any]]:
    """Run scenarios side by side and print a line for each."""
    console = Console(stderr=True)
    with console.status(f"{', '.join(names)} on {options.servers}"):
        told = asyncio.run(_together(names, options))
    for each in told:
        if as_json:
            click.echo(json.dumps(each))
        else:
            mark = "[green]✓[/]" if each["ok"] else "[red]✗[/]"
            console.print(mark, *(f"{figure}={value}" for figure, value in each.items()))
    return told


async def _together(names: Sequence[str], options: Options) -> list[dict[str, Any]]:
    return await asyncio.gather(*(_bounded(name, options) for name in names))


async def _bounded(name: str, options: Options) -> dict[str, Any]:
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT):
            outcome = await scenario(name)(options)
    except TimeoutError:
        raise click.ClickException(f"{name} waited for something that did not come, or took {TIMEOUT} s") from None
    return {
        "scenario": name,
        "servers": options.servers,
        **outcome.figures,
        "ok": outcome.ok,
        "unmet": outcome.unmet,
        "seconds": round(time.monotonic() - began, 1),
    }
