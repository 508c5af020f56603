"""Report events from the shell: `notifier send` and `notifier replay`."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from notifier.cli.piecemeal import told_if_cut_short
from notifier.client import BATCH, Producer
from notifier.domain.errors import ConfigurationError, Problem
from notifier.domain.keys import Scope
from notifier.domain.problems import UNDECODABLE
from notifier.domain.reading import read_text, unmarked
from notifier.runtime.settings import Settings, load_settings


@click.command()
@click.argument("type")
@click.option(
    "--data", default="{}", help="The event's data, a JSON object; @FILE reads it from a file, - from standard input."
)
@click.option("--id", "event_id", help="The event's id: a repeated id is the same event. Random by default.")
@click.option("--source", default="notifier-cli", show_default=True, help="The event's source.")
@click.option("--subject", help="The event's subject.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def send(type: str, data: str, event_id: str | None, source: str, subject: str | None, as_json: bool) -> None:
    """Report one event of TYPE, such as charging.complete."""
    try:
        decoded = msgspec.json.decode(read_argument(data))
    except UNDECODABLE as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--data") from None
    with _producer(source) as producer:
        accepted = producer.send(type, decoded, id=event_id, subject=subject, time=datetime.now(UTC))
    click.echo(json.dumps({"event": accepted}) if as_json else f"Accepted as {accepted}.")


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--source", default="notifier-cli", show_default=True, help="The source of events that don't name one.")
@click.option("--now", is_flag=True, help="Set every event's time to now, so that none has expired.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def replay(file: BinaryIO, source: str, now: bool, as_json: bool) -> None:
    """Report the events of an NDJSON FILE (- for standard input), one CloudEvent a line.

    Events that were accepted before are not processed twice. Refused lines are reported on standard error and keep no
    other line out. Exits with 1 where a line was refused.
    """
    accepted = refused = 0
    following = 1

    def done() -> str:
        return f"{accepted} accepted, {refused} refused, up to line {following - 1}."

    with _producer(source) as producer, told_if_cut_short(done), Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Events", total=None)
        for first, batch in _batches(file):
            events = [{**event, "time": datetime.now(UTC)} if now else event for event in batch]
            for number, result in enumerate(producer.send_many(events), first):
                if isinstance(result, Problem):
                    refused += 1
                    click.echo(f"line {number}: {result.title}: {result.detail}", err=True)
                else:
                    accepted += 1
            following = first + len(batch)
            progress.advance(task, len(batch))
    click.echo(
        json.dumps({"accepted": accepted, "refused": refused})
        if as_json
        else f"{accepted} accepted, {refused} refused."
    )
    if refused:
        raise SystemExit(1)


def _producer(source: str) -> Producer:
    settings = load_settings()
    return Producer(settings.public_url, key_of(settings, "events:write"), source)


def key_of(settings: Settings, scope: Scope) -> str:
    """Return the API key that is set; raises ConfigurationError, which says how to make one with a scope."""
    if not settings.api_key:
        raise ConfigurationError(
            f"NOTIFIER_API_KEY is not set; `notifier keys create NAME --scope {scope}` creates a key"
        )
    return settings.api_key


def _batches(file: BinaryIO) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    batch: list[dict[str, Any]] = []
    first = 1
    for number, line in enumerate(file, 1):
        try:
            batch.append(msgspec.json.decode(unmarked(line), type=dict[str, Any]))
        except UNDECODABLE as error:
            raise click.ClickException(f"line {number} is not a JSON object ({error})") from None
        if len(batch) == BATCH:
            yield first, batch
            batch, first = [], number + 1
    if batch:
        yield first, batch


def read_argument(data: str) -> str:
    """Return an argument's text: the argument itself, a file's content (`@FILE`), or standard input (`-`)."""
    try:
        if data == "-":
            return unmarked(sys.stdin.buffer.read()).decode()
        return read_text(Path(data[1:])) if data.startswith("@") else data
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(
            f"{data.removeprefix('@')} can't be read ({type(error).__name__})", param_hint="--data"
        ) from None
