"""`notifier retention`: say what would go by the policy, or remove it now."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from notifier.cli.arguments import actor
from notifier.cli.manage import on_database
from notifier.cli.piecemeal import told_if_cut_short
from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import SystemClock, to_datetime
from notifier.domain.retention import BY_CLASS, CLASSES, Part, Retention
from notifier.pipeline import retention as pipeline
from notifier.runtime.settings import load_settings
from notifier.store.core import audit
from notifier.store.core.ageing import Step
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database

ABOUT = {
    Part.DATA: "data of events",
    Part.DECISIONS: "decisions",
    Part.DELIVERIES: "deliveries, with their attempts",
    Part.EVENTS: "events",
    Part.REPEATS: "what repeats are known by",
    Part.SESSIONS: "charging sessions",
    Part.PREFERENCES: "changes of preferences",
    Part.AUDIT: "entries of the audit",
    Part.CHANGES: "rows of the log of changes",
    Part.STATUSES: "statuses that ports had",
}


@dataclass
class Sum:
    """How many rows of one part went (or would go), and the instant of the oldest."""

    number: int = 0
    oldest: int | None = None

    def add(self, step: Step) -> None:
        """Add a chunk."""
        self.number += step.number
        self.oldest = min((at for at in (self.oldest, step.oldest) if at is not None), default=None)


Sums = dict[Part, Sum]


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def retention(dry_run: bool, as_json: bool) -> None:
    """Remove what is kept no longer, now. The clock does the same by itself, a little at a time.

    \b
    How long things are kept stands in templates/_policy.toml:
      [retention]
      data = "30 d"           what events carried, and their subjects
      decisions = "400 d"     who was told or not, and why
      deliveries = "forever"  with their attempts, and what people did with them
      events = "forever"
      repeats = "forever"     for so long a repeat of an event changes nothing
      sessions = "90 d"       charging sessions, from their last change on
      preferences = "1100 d"  what people chose before; the last choice stays
      audit = "1100 d"
      [retention.marketing]   a class of notification types, where it differs
      data = "14 d"

    What is open stays, however old it is: what is to be decided or sent, dead letters that nobody has handled, and
    whatever is within its time to live. So do consents. Removed rows can't be brought back: to keep a copy, run
    `notifier db export --before DAY` first.

    \b
    Look first:   notifier retention --dry-run
    Then remove:  notifier retention

    It may be interrupted and run again at any time.
    """
    catalog, now = load_catalog(load_settings().templates), SystemClock().now()
    sums: Sums = {part: Sum() for part in Part}

    async def work(database: Database) -> None:
        if dry_run:
            await _sum(pipeline.preview(database, catalog, now), sums)
            return
        await _sum(pipeline.remove(database, catalog, now, everything=True), sums)
        if any(each.number for each in sums.values()):
            entry = AuditEntry(at=now, actor=actor(), action="retention.apply", subject="retention", detail=_line(sums))
            await audit.tell(database, entry)

    if dry_run:
        on_database(work)
    else:
        with told_if_cut_short(lambda: _line(sums)):
            on_database(work)
    if as_json:
        click.echo(json.dumps(_told(catalog, sums, dry_run=dry_run)))
    else:
        _show(catalog.regulation.retention, sums, dry_run=dry_run)


async def _sum(steps: AsyncIterator[tuple[Part, Step]], sums: Sums) -> None:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f}")
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}
        async for part, step in steps:
            if part not in tasks:
                tasks[part] = progress.add_task(ABOUT[part], total=None)
            sums[part].add(step)
            progress.update(tasks[part], completed=sums[part].number)


def _line(sums: Sums) -> str:
    return ", ".join(f"{each.number} {part}" for part, each in sums.items() if each.number) or "nothing"


def _told(catalog: Catalog, sums: Sums, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "parts": {
            part.value: {
                "rows": each.number,
                "oldest": _instant(each.oldest),
                "period": catalog.regulation.retention.told(part),
            }
            for part, each in sums.items()
        },
    }


def _show(kept: Retention, sums: Sums, *, dry_run: bool) -> None:
    table = Table("what", "kept for", "would go" if dry_run else "removed", "oldest")
    for part, each in sums.items():
        table.add_row(ABOUT[part], _periods(kept, part), f"{each.number:,}", _instant(each.oldest) or "")
    Console().print(table)


def _periods(kept: Retention, part: Part) -> str:
    usual = kept.told(part)
    own = {class_: kept.told(part, class_) for class_ in CLASSES} if part in BY_CLASS else {}
    return "\n".join([usual, *(f"{class_}: {period}" for class_, period in own.items() if period != usual)])


def _instant(at: int | None) -> str | None:
    return None if at is None else to_datetime(at).isoformat(timespec="seconds")
