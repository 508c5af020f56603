"""Administration: the database schema and recipients."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from notifier.cli.arguments import actor
from notifier.cli.piecemeal import writing_whole
from notifier.domain.clock import SystemClock, to_instant
from notifier.people.export import export_recipient
from notifier.people.importing import ImportAnswer, import_recipients
from notifier.runtime.settings import load_settings
from notifier.startup import open_database
from notifier.store.core import buckets, migrate
from notifier.store.core.database import Database
from notifier.store.people import erasures
from notifier.why.archive import archive

T = TypeVar("T")


def on_database(work: Callable[[Database], Awaitable[T]], *, schema: bool = True) -> T:
    """Run work on the configured database and return its result; the schema is checked unless `schema` is False."""

    async def run() -> T:
        settings = load_settings()
        database = await open_database(settings) if schema else Database(settings.database_url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


@click.group()
def db() -> None:
    """The database schema."""


@db.command()
def upgrade() -> None:
    """Upgrade the schema to this version; does nothing where it is current.

    There is no time limit. Of a database that has tables, each change is told on standard error before it begins. An
    upgrade may be interrupted and run again; of several at once one works and the others wait.
    """
    before, _ = on_database(migrate.revisions, schema=False)
    tell = migrate.quiet if before is None else partial(click.echo, err=True)
    on_database(lambda database: migrate.upgrade(database, tell), schema=False)
    current, _ = on_database(migrate.revisions)
    click.echo(f"The schema is at revision {current}.")


@db.command("create")
@click.option("--buckets", "number", type=click.IntRange(2), required=True, help="How many parts, for good.")
def create_database(number: int) -> None:
    """Make the schema of an empty PostgreSQL database in so many BUCKETS.

    People are spread over them, each with all about them, so that servers of a cluster can share the work
    (docs/scale.md). The number stays: choose some times as many as there will ever be servers. A database on one server
    needs none; `notifier db upgrade` makes it.
    """

    async def work(database: Database) -> None:
        await migrate.create(database, number, lambda what: click.echo(what, err=True))

    on_database(work, schema=False)
    click.echo(f"The database has {number} buckets.")


@db.command()
def distribute() -> None:
    """Spread the buckets of a database over the servers of its Citus cluster.

    Run it on the coordinator, after `notifier db create` and again after servers were added; it may be interrupted and
    run again (docs/scale.md).
    """

    async def work(database: Database) -> None:
        await buckets.distribute(database, lambda what: click.echo(what, err=True))

    on_database(work)
    click.echo("The buckets are distributed.")


@db.command("export")
@click.option(
    "--before",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    metavar="DAY",
    help="Events accepted before this day (2026-11-24) began, in UTC.",
)
@click.option(
    "--to", "target", type=click.Path(path_type=Path),
    help="A new file, or a folder to make one in; compressed where its name ends in .gz. Standard output by default.",
)  # fmt: skip
def export_events(day: datetime, target: Path | None) -> None:
    """Write the events before a DAY with all that belongs to them as NDJSON: a copy of what retention removes.

    \b
    One event a line, with its deliveries, their attempts, and the decisions about it:
      notifier db export --before 2026-10-01 --to /backup
      zcat /backup/events-before-2026-10-01.ndjson.gz | head -1

    What an erasure or retention has blanked is blank here too. It contains personal data; nobody else may read the
    file. A file that is there is complete: until then it has the ending .part.
    """
    before = to_instant(day.replace(tzinfo=UTC))
    if target is None:
        on_database(lambda database: _export_events(database, before, lambda piece: click.echo(piece, nl=False)))
        return
    file = target / f"events-before-{day:%Y-%m-%d}.ndjson.gz" if target.is_dir() else target
    if file.exists():
        raise click.BadParameter(f"{file} exists already; choose another name", param_hint="--to")
    with writing_whole(file) as write:
        count = on_database(lambda database: _export_events(database, before, write))
    click.echo(f"{count:,} events written to {file}.", err=True)


@click.group()
def recipients() -> None:
    """The people who can be notified."""


@recipients.command("import")
@click.argument("file", metavar="FILE|-", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def import_file(file: BinaryIO, as_json: bool) -> None:
    """Import the recipients of an NDJSON FILE, one object with its id a line, straight into the database.

    Invalid lines are reported on standard error and keep no other line out. Exits with 1 where a line was refused.
    """
    told = on_database(lambda database: _import(database, file))
    for refusal in told.refusals:
        click.echo(f"line {refusal.line}: {refusal.problem['detail']}", err=True)
    counts = {"written": told.written, "refused": told.refused}
    click.echo(json.dumps(counts) if as_json else f"{told.written} written, {told.refused} refused.")
    if told.refused:
        raise SystemExit(1)


@recipients.command()
@click.argument("recipient_id", metavar="ID")
def export(recipient_id: str) -> None:
    """Print all data held about the recipient ID, as one JSON object."""
    if not on_database(lambda database: _export(database, recipient_id)):
        raise click.ClickException(f"there is no recipient {recipient_id}")


@recipients.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Don't ask.")
def erase(ids: tuple[str, ...], yes: bool) -> None:
    """Erase recipients: nothing more is sent to them, and the clock removes their data within a minute."""
    if not yes:
        click.confirm(f"Erase {len(ids)} recipients? This can't be undone.", abort=True, err=True)
    now = SystemClock().now()
    on_database(lambda database: erasures.begin(database, ids, actor(), now))
    click.echo(f"{len(ids)} erased. The clock (`notifier clock`) removes the rest of their data within a minute.")


async def _export(database: Database, recipient_id: str) -> bool:
    pieces = await export_recipient(database, recipient_id)
    if pieces is None:
        return False
    async for piece in pieces:
        click.echo(piece, nl=False)
    click.echo()
    return True


async def _export_events(database: Database, before: int, write: Callable[[bytes], object]) -> int:
    count = 0
    columns = SpinnerColumn(), TextColumn("Events"), TextColumn("{task.completed:,.0f}")
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Events", total=None)
        async for piece in archive(database, before):
            write(piece)
            if piece.endswith(b"\n"):
                count += 1
                progress.update(task, completed=count)
    return count


async def _import(database: Database, file: BinaryIO) -> ImportAnswer:
    async def lines() -> AsyncIterator[bytes]:
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("Recipients", total=_size(file))
            for line in file:
                yield line
                progress.advance(task, len(line))

    return await import_recipients(database, SystemClock(), lines(), actor(), load_settings().channels)


def _size(file: BinaryIO) -> int | None:
    """The bytes of a file; None for what is no file, such as a pipe."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None
