"""Segments from the shell: list them, write one from a file, and count a segment's recipients."""

from pathlib import Path

import click
import msgspec

from notifier.cli.manage import on_database
from notifier.domain.clock import SystemClock
from notifier.domain.problems import UNDECODABLE, from_decoding
from notifier.domain.reading import unmarked
from notifier.domain.segments import Segment, SegmentId
from notifier.store.core.database import Database
from notifier.store.people import segments as store

PAGE = 1000  # segments a page


@click.group()
def segments() -> None:
    """Saved queries over recipients, which select the audience of a campaign."""


@segments.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_(as_json: bool) -> None:
    """List all segments."""
    found = on_database(_every)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for id_, segment in found.items():
        click.echo(f"{id_}  {segment.name}")


@segments.command()
@click.argument("segment_id", metavar="ID")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
def put(segment_id: str, file: Path) -> None:
    """Replace the segment ID with the one in a JSON FILE (- for standard input)."""
    with click.open_file(str(file), "rb") as source:
        try:
            given = msgspec.json.decode(unmarked(source.read()), type=Segment)
        except UNDECODABLE as error:
            raise from_decoding(42206, error) from None
    try:
        id_ = msgspec.convert(segment_id, SegmentId)
    except msgspec.ValidationError:
        raise click.BadParameter("1 to 100 characters, without spaces and slashes", param_hint="ID") from None
    on_database(lambda database: store.put(database, id_, given, SystemClock().now()))
    click.echo(f"{id_} is written.")


@segments.command()
@click.argument("segment_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def count(segment_id: str, as_json: bool) -> None:
    """Count the recipients who belong to the segment ID now."""
    found = on_database(lambda database: _count(database, segment_id))
    if found is None:
        raise click.ClickException(f"no segment has the id {segment_id}; `notifier segments list` shows them")
    click.echo(msgspec.json.encode({"recipients": found}) if as_json else f"{found} recipients.")


async def _every(database: Database) -> dict[str, Segment]:
    found: dict[str, Segment] = {}
    while page := await store.find(database, next(reversed(found), ""), PAGE):
        found |= page
    return found


async def _count(database: Database, id_: str) -> int | None:
    segment = await store.get(database, id_)
    return None if segment is None else await store.count(database, segment)
