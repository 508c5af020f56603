"""Dead letters from the shell: `notifier dead list`, `show`, `redrive` and `discard`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from notifier.api.dead import DeadLetterPage, DeadLetterQuery, DeadLetterView, find_page, told
from notifier.cli.arguments import ID, actor
from notifier.cli.manage import on_database
from notifier.cli.piecemeal import told_if_cut_short
from notifier.domain.deliveries import Channel
from notifier.pipeline import dead as pipeline
from notifier.pipeline.dead import Result
from notifier.pipeline.engine import Engine
from notifier.runtime.settings import load_settings
from notifier.startup import close, guard, open_engine
from notifier.store.reading import dead as store
from notifier.why.telling import AttemptView

PAGE = 500  # dead letters redriven or discarded in one transaction

PAST = {"redrive": "redriven", "discard": "discarded"}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Act = Callable[[Engine, Sequence[str], str], Awaitable[list[Result]]]


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that filter dead letters."""
    channels = click.Choice([channel.value for channel in Channel if channel != Channel.NONE])
    return _options(
        click.option("--type", help="Only this notification type (or, of quarantined events, event type)."),
        click.option("--channel", type=channels, help="Only this channel."),
        click.option("--reason", help="Only this reason, such as render_failed or quarantined."),
    )(command)


def letters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and options of a command that acts on dead letters."""
    return _options(
        click.argument("ids", nargs=-1, metavar="ID…", type=ID),
        filters,
        click.option(
            "--all", "every", is_flag=True, help="All that match the filters, after a confirmation of the number."
        ),
        click.option("--yes", is_flag=True, help="Don't ask."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
    )(command)


def _options(*decorators: Decorator) -> Decorator:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


@click.group()
def dead() -> None:
    """Deliveries and events that failed for good, and paused campaigns, which wait for a person: list, redrive,
    discard."""


@dead.command("list")
@filters
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Maximum number of dead letters."
)
@click.option("--cursor", help="The `next` of the page before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_(as_json: bool, **given: Any) -> None:
    """Show dead letters, newest first."""
    try:
        wanted = msgspec.convert(given, DeadLetterQuery)
    except msgspec.ValidationError:
        raise click.BadParameter("pass the `next` value of the previous page", param_hint="--cursor") from None
    page = on_database(lambda database: find_page(database, wanted))
    if as_json:
        click.echo(msgspec.json.encode(page))
        return
    _show(page)


@dead.command()
@click.argument("letter_id", metavar="ID", type=ID)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(letter_id: str, as_json: bool) -> None:
    """Show a dead letter with its attempts, the meaning of its provider's codes, and its event."""
    letter = on_database(lambda database: store.get(database, letter_id))
    if letter is None:
        raise click.ClickException(f"no dead letter has the id {letter_id}; `notifier dead list` shows them")
    if as_json:
        click.echo(msgspec.json.encode(told(letter)))
        return
    _tell(told(letter))


@dead.command()
@letters
def redrive(**given: Any) -> None:
    """Send dead letters again: a delivery as a new one whose time to live begins now; an event is decided again,
    and a paused campaign goes on.

    Repeating an ID changes nothing: each is redriven once. Exits with 1 where one was refused.
    """
    _act("redrive", pipeline.redrive, **given)


@dead.command()
@letters
def discard(**given: Any) -> None:
    """Discard dead letters: they stay in the ledger but are no longer listed. What is left of a paused campaign is
    cancelled. Exits with 1 where one was refused."""
    _act("discard", pipeline.discard, **given)


def _act(verb: str, act: Act, ids: tuple[str, ...], every: bool, yes: bool, as_json: bool, **given: Any) -> None:
    if bool(ids) == every:
        raise click.UsageError(f"name the dead letters to {verb}: IDs, or --all with filters")
    if ids and any(given.values()):
        raise click.UsageError("filters need --all")
    wanted = msgspec.convert({**given, "limit": PAGE}, DeadLetterQuery)
    if every and not yes:
        number = on_database(lambda database: store.count(database, wanted.filter))
        click.confirm(f"{verb.capitalize()} {number} dead letters?", abort=True, err=True)
    results: list[Result] = []
    with told_if_cut_short(lambda: _counted(verb, results)):
        asyncio.run(_run(act, ids, wanted, results))
    refused = [result for result in results if result.status == "refused"]
    if as_json:
        counts = {"done": len(results) - len(refused), "refused": len(refused)}
        click.echo(msgspec.json.encode({**counts, "results": results}))
    else:
        for result in refused:
            click.echo(f"{result.id} was refused: {str(result.reason).replace('_', ' ')}", err=True)
        click.echo(_counted(verb, results))
    if refused:
        raise SystemExit(1)


def _counted(verb: str, results: list[Result]) -> str:
    refused = sum(result.status == "refused" for result in results)
    return f"{len(results) - refused} {PAST[verb]}, {refused} refused."


async def _run(act: Act, ids: tuple[str, ...], wanted: DeadLetterQuery, results: list[Result]) -> None:
    """Act on these ids or, without ids, on all dead letters that match the filter, page by page; each page's results
    are appended to `results`."""
    settings = load_settings()
    guard(settings)
    engine = await open_engine(settings)
    try:
        if ids:
            results += await act(engine, ids, actor())
            return
        while True:
            page = await find_page(engine.database, wanted)
            if page.letters:
                results += await act(engine, [letter.id for letter in page.letters], actor())
            if page.next is None:
                return
            # Refused dead letters remain, and new ones appear at the front: only move forward.
            wanted = msgspec.structs.replace(wanted, cursor=page.next)
    finally:
        await close(engine)


def _show(page: DeadLetterPage) -> None:
    # Not a table: a narrow window would cut off its ids, which then couldn't be copied.
    for line in page.letters:
        channel = line.channel or line.kind
        click.echo(f"{line.id}  {line.at:%Y-%m-%d %H:%M}  {channel:<6} {line.reason or line.state:<18} {line.type}")
    if page.next:
        click.echo(f"More: --cursor {page.next}")


def _tell(letter: DeadLetterView) -> None:
    event = letter.event
    rows = {
        **{name: value for name, value in msgspec.structs.asdict(letter).items() if name not in ("attempts", "event")},
        "event": f"{event.id}: {event.type}, {event.source_id!r} of {event.source!r}",
        "subject": event.subject,
        "occurred_at": event.occurred_at,
        "accepted_at": event.accepted_at,
        **{f"try {each.number}": _tried(each) for each in letter.attempts},
    }
    for name, value in rows.items():
        if value is not None:
            shown = _moment(value) if isinstance(value, datetime) else value
            click.echo(f"{name.replace('_', ' '):<12} {shown}")


def _tried(attempt: AttemptView) -> str:
    parts = (_moment(attempt.started_at), attempt.provider, attempt.outcome, attempt.code, attempt.meaning)
    return ", ".join(part for part in parts if part)


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
