"""`notifier ledger --recount`: the rows of a day, against what the books say of it."""

import json
from datetime import UTC, datetime
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from notifier.cli.manage import on_database
from notifier.domain.clock import to_datetime, to_instant
from notifier.store.core.database import Database
from notifier.store.delivery.tallies import day as day_of
from notifier.store.reading.ledger import LedgerDays
from notifier.store.reading.recount import Recount, Verdict, recount

EXITS: Final[dict[Verdict, int]] = {"agrees": 0, "differs": 1, "removed": 3, "moved": 4}
VERDICTS: Final[dict[Verdict, str]] = {
    "agrees": "Books and rows agree.",
    "differs": "Books and rows DIFFER.",
    "removed": "Retention has removed rows of this day: it can't be recounted any more.",
    "moved": "The day moved while it was counted: there is no verdict yet. Try again, or once the day is sealed.",
}


def run(day: datetime, *, as_json: bool) -> int:
    """Recount a day and tell what it came to; returns the exit code that stands for that."""
    found = on_database(lambda database: _recount(database, day_of(to_instant(day.replace(tzinfo=UTC)))))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found) | {"sealed_at": _instant(found.sealed_at)}))
    else:
        _show(found)
    return EXITS[found.verdict]


def told(days: LedgerDays) -> str:
    """Which days are sealed and which are open, in a line."""
    sealed = f"Sealed days: {days.sealed:,}"
    if days.sealed:
        sealed += f" ({days.first_sealed} to {days.last_sealed}, {days.corrected:,} corrected since)"
    return f"{sealed}. Open days: {days.open:,}" + (f" (since {days.open_since})." if days.open else ".")


async def _recount(database: Database, day: int) -> Recount:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("counting rows", total=1.0)
        return await recount(database, day, lambda share: progress.update(task, completed=share))


def _show(found: Recount) -> None:
    state = "open" if found.sealed_at is None else f"sealed at {_instant(found.sealed_at)}"
    click.echo(f"{found.day}, {state}: {found.events:,} events, {found.deliveries:,} deliveries counted.")
    if found.lines:
        table = Table("part", "state", "channel", "reason", "books", "rows")
        for line in found.lines:
            table.add_row(line.part, line.state, line.channel, line.reason, f"{line.books:,}", f"{line.rows:,}")
        Console().print(table)
    click.echo(VERDICTS[found.verdict])


def _instant(at: int | None) -> str | None:
    return None if at is None else to_datetime(at).isoformat(timespec="seconds")
