"""`notifier types`: which events there are, what they need, and who would hear of them."""

from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from notifier.api.event_schemas import event_of
from notifier.api.snippets import snippets
from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.runtime.settings import load_settings
from notifier.why.event_types import EventTypeView, describe, summary


@click.command()
@click.argument("type", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object; without TYPE one array of all.")
def types(type: str | None, as_json: bool) -> None:
    """List the event types that services report, or describe one TYPE: its fields, who hears of it, how to report it.

    Nothing but the templates is read: no database is needed.
    """
    settings = load_settings()
    catalog = load_catalog(settings.templates)
    if type is None:
        _list(catalog, settings.public_url, as_json)
        return
    if type not in catalog.event_types:
        raise click.BadParameter(f"there is no event type {type}; `notifier types` lists them", param_hint="TYPE")
    if as_json:
        click.echo(msgspec.json.encode(_whole(catalog, type, settings.public_url)))
    else:
        _show(Console(), describe(catalog, type), snippets(event_of(catalog, type), settings.public_url))


def _list(catalog: Catalog, url: str, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode([_whole(catalog, each, url) for each in catalog.event_types]))
        return
    for each in catalog.event_types:
        click.echo(f"{each:<28} {summary(catalog, each)}")


def _whole(catalog: Catalog, event: str, url: str) -> dict[str, Any]:
    example = event_of(catalog, event)
    return {**msgspec.to_builtins(describe(catalog, event)), "example": example, "snippets": snippets(example, url)}


def _show(console: Console, told: EventTypeView, programs: dict[str, str]) -> None:
    table = Table("field", "", "takes", "what it is")
    for field in told.fields:
        table.add_row(field.name, "required" if field.required else "", escape(field.shape), escape(field.about))
    console.print(table)
    if told.names_one_of:
        console.print(f"One of {', '.join(told.names_one_of)} is required: it names whom the event is for.")
    for listener in told.listeners:
        console.print(
            f"\n[bold]{escape(listener.name)}[/] ({listener.notification_type}): {listener.class_}, category "
            f"{listener.category}, urgency {listener.urgency}"
        )
        for words in listener.words:
            console.print(f"  {escape(words)}")
    for words in (*told.cancels, *told.answers):
        console.print(f"\n{escape(words)}")
    for language, program in programs.items():
        console.print(f"\n[bold]{language}[/]")
        click.echo(program)
