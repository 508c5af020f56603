"""Inspect a running system: `notifier ledger` and `notifier doctor`."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from notifier.cli import recounting
from notifier.cli.manage import on_database
from notifier.doctor import examine
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import PREFIX, Settings, every, load_settings
from notifier.startup import guard
from notifier.store.reading import ledger as ledger_store


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--check", is_flag=True, help="Exit with 1 where the ledger doesn't balance.")
@click.option(
    "--recount", "day", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY",
    help="Count the rows of a day (2026-11-24, in UTC) and compare them with the books.",
)  # fmt: skip
def ledger(as_json: bool, check: bool, day: datetime | None) -> None:
    """Check that nothing was lost: events accepted and deliveries planned, against their present states.

    The ledger counts no row of what is over. A day of which all is over is sealed: its sums are written down once, and
    what comes later is a correction beside them. A recount proves such sums against the rows of that day, a part at a
    time, while messages go out:

    \b
      notifier ledger --recount 2026-11-24
    \b
    It exits with
      0  where books and rows agree
      1  where they differ; the lines that do are listed
      3  where retention has removed rows of the day, which can't be recounted any more
      4  where the day moved during each of three counts, so that there is no verdict yet
    """
    if day is not None:
        raise SystemExit(recounting.run(day, as_json=as_json))
    books = on_database(ledger_store.read)
    if as_json:
        click.echo(json.dumps(books.as_dict()))
    else:
        told = f"{books.events} events: {books.decided} decided, {books.undecided} undecided"
        table = Table("state", "deliveries", title=f"{told}, {books.quarantined} quarantined")
        for state, count in books.deliveries.items():
            table.add_row(state, str(count))
        table.add_section()
        table.add_row("total", str(books.total))
        table.add_row("planned by decisions", str(books.planned))
        Console().print(table)
        for reason, count in books.reasons.items():
            click.echo(f"{count:>8}  {reason}")
        click.echo(recounting.told(books.days))
        click.echo(
            "The ledger balances."
            if books.balanced
            else f"The ledger does NOT balance: {books.imbalance} unaccounted for."
        )
    if check and not books.balanced:
        raise SystemExit(1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--settings", "list_settings", is_flag=True, help="List every setting with its description instead.")
def doctor(as_json: bool, list_settings: bool) -> None:
    """Check what is configured, reachable and missing, and how to fix it. Exits with 1 where something is wrong."""
    settings = load_settings()
    if list_settings:
        _list(settings, as_json=as_json)
        return
    guard(settings)
    findings = asyncio.run(examine(settings))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _show(findings)
    if any(finding.verdict == "wrong" for finding in findings):
        raise SystemExit(1)


def _show(findings: list[DoctorFinding]) -> None:
    marks = {"good": "[green]✓[/]", "missing": "[yellow]○[/]", "wrong": "[red]✗[/]", "unknown": "[dim]?[/]"}
    table = Table(show_header=False, box=None, padding=(0, 1))
    for finding in findings:
        table.add_row(marks[finding.verdict], finding.part, finding.told)
        if finding.way_out:
            table.add_row("", "", f"[dim]→ {finding.way_out}[/]")
    Console().print(table)


def _list(settings: Settings, *, as_json: bool) -> None:
    """Print the settings as lines of an environment file, each under its description; secrets are masked."""
    told = []
    values, defaults = settings.values(), Settings().values()
    for name, setting in every().items():
        value, default = _written(values[name]), _written(defaults[name])
        told.append(
            {
                "variable": PREFIX + name.upper(),
                "value": "…" if setting.secret and value != default else value,
                "default": default,
                "about": setting.about,
            }
        )
    if as_json:
        click.echo(json.dumps(told))
        return
    for each in told:
        unset = "" if each["value"] == each["default"] else f" (unless set: {each['default'] or 'none'})"
        click.echo(f"# {each['about']}{unset}\n{each['variable']}={each['value']}\n")


def _written(value: object) -> str:
    """Return a setting's value as it is written in the environment."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
