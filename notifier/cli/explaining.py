"""Ask why, why not and what if: `notifier explain`, `notifier simulate` and `notifier replay-day`."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from notifier.api.explaining import Asked
from notifier.cli.arguments import OWN_ID
from notifier.cli.manage import on_database
from notifier.cli.report import read_argument
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import SystemClock, to_instant
from notifier.domain.cloudevents import EventReader
from notifier.domain.experiments import Experiments
from notifier.domain.keys import UNBOUND
from notifier.domain.links import Links
from notifier.domain.problems import UNDECODABLE, from_decoding
from notifier.experiments import keeping
from notifier.policy import phrases
from notifier.runtime.settings import load_settings
from notifier.startup import load_renderer, open_links
from notifier.store.core.database import Database
from notifier.store.reading import explaining
from notifier.store.reading.explaining import Found
from notifier.texts import publishing
from notifier.why import replaying
from notifier.why import simulate as simulating
from notifier.why.explain import DecisionView, Explanation, MessageParts, RuleView
from notifier.why.explain import explain as explain_found
from notifier.why.replaying import Differences
from notifier.why.simulate import Simulation, Trial

MARKS = {
    None: "[dim]·[/]",
    "send": "[green]✓[/]",
    "hold": "[yellow]…[/]",
    "suppress": "[red]✗[/]",
    "expire": "[red]✗[/]",
}
"""The symbol and style of a rule's verdict: none, send, hold, or end."""


@click.command()
@click.argument("event", required=False, type=OWN_ID)
@click.option("--source", help="With --id: the event's source, if the id is the source's and not ours.")
@click.option("--id", "id_", help="The id that the source gave the event.")
@click.option("--delivery", type=OWN_ID, help="The event of this delivery, for its recipient.")
@click.option("--recipient", help="Only this recipient; for somebody who was not notified, why not.")
@click.option(
    "--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Maximum number of decisions."
)
@click.option("--cursor", help="The `next` of the page before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(event: str | None, id_: str | None, as_json: bool, **given: Any) -> None:
    """Explain what became of an EVENT and why: each decision with every rule's answer, each delivery with its text.

    The output contains personal data.
    """
    try:
        asked = msgspec.convert({**given, "event": event, "id": id_}, Asked)
    except msgspec.ValidationError as error:
        raise from_decoding(42205, error) from None
    settings = load_settings()
    catalog = load_catalog(settings.templates)

    renderer = load_renderer(settings, catalog)

    async def read(database: Database) -> tuple[Found | None, Links]:
        found = await explaining.read(database, await asked.wanted(database, UNBOUND))
        sent = found.sent.values() if found else ()
        await publishing.have_all(database, renderer, ((each.type, each.version) for each in sent))
        return found, await open_links(settings, database)

    found, links = on_database(read)
    if found is None:
        raise click.ClickException("this database has no such event or delivery")
    told = explain_found(catalog, renderer, links, found)
    if as_json:
        click.echo(msgspec.json.encode(told))
    else:
        _explain(Console(), told)


@click.command()
@click.argument("type")
@click.option(
    "--data", default="{}", help="The event's data, a JSON object; @FILE reads it from a file, - from standard input."
)
@click.option("--time", help="When the event happened (RFC 3339); by default the moment of the simulation.")
@click.option(
    "--at", help='When to simulate: an instant (RFC 3339), or the recipient\'s next local time such as "23:10".'
)
@click.option("--recipient", help="Only this recipient's id.")
@click.option("--suppose", help="A hypothetical recipient: the JSON that PUT /v1/recipients takes, or @FILE.")
@click.option("--preferences", help="Preferences to use instead of the recipient's own: JSON, or @FILE.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def simulate(as_json: bool, recipient: str | None, suppose: str | None, **given: str | None) -> None:
    """Simulate an event of TYPE: who would be notified, how, and with what text. Nothing is written or sent."""
    if recipient and suppose:
        raise click.UsageError("--recipient is an existing recipient, --suppose a hypothetical one; give only one")
    members = {
        "event": {
            "type": given["type"],
            "data": _json("--data", given["data"]),
            **({} if given["time"] is None else {"time": given["time"]}),
        },
        "at": given["at"],
        "recipient": recipient if suppose is None else _json("--suppose", suppose),
        "preferences": None if given["preferences"] is None else _json("--preferences", given["preferences"]),
    }
    try:
        trial = msgspec.convert(members, Trial)
    except msgspec.ValidationError as error:
        raise from_decoding(42205, error) from None
    settings = load_settings()
    catalog = load_catalog(settings.templates)
    renderer, reader, now = load_renderer(settings, catalog), EventReader(catalog), SystemClock().now()

    async def run(database: Database) -> Any:
        await publishing.refresh(database, renderer)
        experiments = Experiments()
        await keeping.refresh(database, catalog, renderer, experiments)
        return await simulating.simulate(database, catalog, reader, renderer, trial, now, experiments.running)

    told = on_database(run)
    if as_json:
        click.echo(msgspec.json.encode(told))
    else:
        _simulate(Console(), told)


@click.command()
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]))
@click.option(
    "--templates", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with the types and rules to decide by; by default the configured one.",
)  # fmt: skip
@click.option("--time-zone", default="UTC", show_default=True, help="The time zone of the day.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def replay_day(day: datetime, templates: Path | None, time_zone: str, as_json: bool) -> None:
    """Decide the events of a past DAY (2026-11-24) again with other types or rules, and report what would differ.

    Nothing is written or sent.
    """
    try:
        begins = to_instant(day.replace(tzinfo=ZoneInfo(time_zone)))
    except (ValueError, LookupError, OSError):
        raise click.BadParameter("write an IANA zone such as Europe/Berlin", param_hint="--time-zone") from None
    catalog = load_catalog(templates or load_settings().templates)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Events", total=1.0)
        told = on_database(
            lambda database: replaying.replay(
                database, catalog, begins, lambda done: progress.update(task, completed=done)
            )
        )
    if as_json:
        click.echo(msgspec.json.encode(told))
    else:
        _replay(Console(), told)


def _json(option: str, text: str | None) -> Any:
    try:
        return msgspec.json.decode(read_argument(text or "{}"))
    except UNDECODABLE as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint=option) from None


def _explain(console: Console, told: Explanation) -> None:
    event = told.event
    console.print(
        f"[bold]{escape(event.type)}[/]{' (test)' if event.test else ''}  {escape(event.source_id)} of "
        f"{escape(event.source)}  [dim]{event.id}[/]"
    )
    for line in (*told.why_not, *told.gone):
        console.print(escape(line))
    for each in told.decisions:
        _decision(console, each)
    if told.next:
        console.print(f"More: --cursor {escape(told.next)}")


def _decision(console: Console, told: DecisionView) -> None:
    console.print()
    console.print(f"[bold]{escape(told.name)}[/] for [bold]{escape(told.recipient or 'an unknown recipient')}[/]")
    zone = ZoneInfo(told.time_zone)
    for moment in told.timeline:
        channel = moment.channel or ""
        shown = moment.at.astimezone(zone)
        console.print(f"  {shown:%Y-%m-%d %H:%M:%S}  {channel:<5}  {escape(moment.words)}")
    console.print(f"  [dim]times in {told.time_zone}[/]")
    for answer in told.answers:
        console.print(f"\n  [bold]{phrases.way(answer.channel)}[/]: {escape(answer.words)}")
        _rules(console, answer.rules)
        if answer.unchanged is False:
            console.print("    [yellow]The type or the rules have changed since: today the decision would differ.[/]")
    for delivery in told.deliveries:
        if delivery.content is not None:
            proof = {True: "proven by its hash", False: "NOT as sent: the texts have changed", None: "not proven"}
            made = f"{delivery.template.locale}, {delivery.template.time_zone or 'UTC'}"
            console.print(f"\n  [bold]{phrases.way(delivery.channel)}[/], {made}, {proof[delivery.proven]}:")
            _content(console, delivery.content)


def _rules(console: Console, rules: Iterable[RuleView]) -> None:
    for rule in rules:
        console.print(f"    {MARKS[rule.says]} {escape(rule.words)}")


def _content(console: Console, content: MessageParts) -> None:
    for name, value in content.items():
        if value and name != "html":
            console.print(f"    [dim]{name}[/] {escape(value)}")


def _simulate(console: Console, told: Simulation) -> None:
    for line in told.why_not:
        console.print(escape(line))
    for fate in told.fates:
        who = escape(fate.recipient or "an unknown recipient")
        console.print(f"\n[bold]{escape(fate.name)}[/] for [bold]{who}[/], where it is {fate.local_time}")
        for answer in fate.answers:
            console.print(f"  [bold]{phrases.way(answer.channel)}[/]: {escape(answer.words)}")
            _rules(console, answer.rules)
            if answer.content is not None:
                _content(console, answer.content)
    for line in told.takes_back:
        console.print(f"It cancels or supersedes: {escape(line)}.")
    if told.more:
        console.print(f"And {told.more} more people.")
    if not told.fates and not told.why_not:
        console.print("Nobody would be notified.")


def _replay(console: Console, told: Differences) -> None:
    console.print(
        f"{told.events} events, {told.decisions} decisions, {told.answers} answers: {told.differ} would differ."
    )
    if told.by_today:
        console.print(f"{told.by_today} decisions have no recipient facts; today's facts were used instead.")
    if told.failed:
        console.print(f"{told.failed} events have data that doesn't fit these types.")
    if told.gone:
        console.print(f"{told.gone} events have no data any more: they are not kept for so long.")
    if told.changes:
        table = Table("answers", "type", "channel", "before", "after", "such as")
        for each in told.changes:
            example = each.examples[0]
            such = f"{example.event} {example.recipient or ''}"
            table.add_row(*map(escape, (str(each.count), each.type, each.channel, each.before, each.after, such)))
        console.print(table)
