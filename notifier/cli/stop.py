"""`notifier cancel`: stop notifications from the shell."""

import asyncio

import click
import msgspec

from notifier.cli.arguments import actor
from notifier.pipeline import stopping
from notifier.pipeline.stopping import Stopping
from notifier.runtime.settings import load_settings
from notifier.startup import close, guard, open_engine
from notifier.store.delivery import events


@click.command()
@click.argument("type", required=False)
@click.argument("about", required=False)
@click.option("--event", nargs=2, metavar="SOURCE ID", help="Instead of a type: the notifications of this event.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def cancel(type: str | None, about: str | None, event: tuple[str, str] | None, as_json: bool) -> None:
    """Stop unsent notifications of TYPE about ABOUT (its session, its station …) of all events so far, on every
    channel. Repeating the command does no harm.
    """
    if (event is None) != (type is not None and about is not None) or (event and type):
        raise click.UsageError("give a TYPE and its subject (ABOUT), or --event SOURCE ID")
    stopped = asyncio.run(_cancel(type or "", about or "", event))
    if as_json:
        click.echo(msgspec.json.encode(stopped))
        return
    for each in stopped.deliveries:
        click.echo(f"{each.id}  {each.channel:<6} {each.state:<10} {each.type}")
    click.echo(f"{stopped.stopped} stopped; deliveries in progress may still be sent.")


async def _cancel(type_: str, about: str, event: tuple[str, str] | None) -> Stopping:
    settings = load_settings()
    guard(settings)
    engine = await open_engine(settings)
    try:
        if event is not None:
            named = await events.find(engine.database, *event, test=False)
            stopped = named and await stopping.cancel_event(engine, named, actor())
            if not stopped:
                raise click.ClickException("no event has this source and id")
            return stopped
        if type_ not in engine.catalog.types:
            raise click.ClickException(
                f"there is no notification type {type_}; there are {', '.join(engine.catalog.types)}"
            )
        return await stopping.cancel(engine, engine.catalog.types[type_], about, actor())
    finally:
        await close(engine)
