"""What messages achieved, in the shell: `notifier outcomes`."""

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from notifier.cli.manage import on_database
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import DAY, HOUR, SystemClock
from notifier.domain.effects import first_by_hour
from notifier.domain.figures import BY, CHOICES, MOST_DAYS, USUAL_DAYS, By, Figures, span_of
from notifier.runtime.settings import load_settings
from notifier.why.outcomes import look, of_catalog


@click.command()
@click.argument("type", required=False)
@click.option(
    "--days", type=click.IntRange(1, MOST_DAYS), default=USUAL_DAYS, show_default=True,
    help="Days to look back; hours are kept for three.",
)  # fmt: skip
@click.option("--by", type=click.Choice(BY), help="A line for each of these.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def outcomes(type: str | None, days: int, by: By | None, as_json: bool) -> None:
    """Show what messages achieved: of all types or of one TYPE, how many were sent and opened, and whether they worked.

    The share is of the people whose outcome is certain: of hours so long ago that it has come or is too late. Messages
    count on the day of their decision, by UTC.
    """
    known = of_catalog(load_catalog(load_settings().templates))
    if type is not None and type not in known:
        raise click.BadParameter(f"there is no notification type {type}", param_hint="TYPE")
    wanted = known if type is None else {type: known[type]}
    now = SystemClock().now()
    since = now - days * DAY
    span = span_of(max(since, first_by_hour(now) * HOUR) if by == "hour" else since, now, by)
    found = on_database(lambda database: look(database, wanted, span, now, by))
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif found:
        Console().print(_table([each for each in found if each.type], by))
        for id_, outcome in wanted.items():
            if outcome is not None and any(each.type == id_ for each in found):
                click.echo(f"Outcome of {id_}: {outcome.name}, within {outcome.within}")
        made = {name: sum(getattr(each, name) for each in found if not each.type) for name in CHOICES}
        if any(made.values()):
            told = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in made.items())
            click.echo(f"Choices that no message is known to have led to: {told}")
    else:
        click.echo("Nothing was decided in that time.")


def _table(found: list[Figures], by: By | None) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("type", no_wrap=True)
    if by is not None:
        table.add_column(by, no_wrap=True)
    for heading in ("sent", "delivered", "opened", "failed", "unsub.", "outcome", "of", "half by"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        counts = (each.sent, each.delivered, each.opened, each.failed + each.undelivered, each.unsubscribed)
        table.add_row(
            escape(each.type), *([escape(each.group or "-")] if by else []), *(f"{count:,}" for count in counts),
            "" if each.share is None else f"{each.share:.1%}", f"{each.exposed:,}" if each.exposed else "",
            "" if each.median_minutes is None else f"{each.median_minutes:g} min",
        )  # fmt: skip
    return table
