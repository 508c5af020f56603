"""`notifier demo`: the whole system on this machine, with nothing else installed."""

import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from notifier.demo import trial
from notifier.demo.local import LocalSystem
from notifier.demo.run import Progress, Summary, read_sessions, run, schedule
from notifier.demo.sessions import ChargingSession, generate, people
from notifier.demo.trial import TrialSummary
from notifier.domain.users import Role, User, hash_password, make_password
from notifier.store.console import users

SESSIONS = 300  # a summer weekday's worth of a large site, replayed in half a minute
SEED = 7
SESSIONS_A_SECOND = 12  # arrivals a second unless --seconds is given
MOST_SECONDS = 90  # seconds at most, for the largest files
DRIVERS = 600  # of an experiment, so that a gain of 25 percentage points is found
WARNINGS_A_SECOND = 30  # of an experiment


@click.command()
@click.option(
    "--sessions",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An ACN-Data csv (or .csv.gz) to replay instead of generated sessions.",
)
@click.option("--count", type=click.IntRange(1), default=SESSIONS, show_default=True, help="Sessions to generate.")
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    help="Seconds over which cars arrive; by default depends on the number of sessions.",
)
@click.option(
    "--experiment",
    is_flag=True,
    help="Try two idle warnings on 600 drivers instead, who move their cars as the words make them.",
)
@click.option(
    "--exit", "ends", is_flag=True, help="End when everything is delivered; otherwise the pages stay up until Ctrl-C."
)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def demo(
    file: Path | None, count: int, seconds: float | None, experiment: bool, ends: bool, as_json: bool
) -> None:  # fmt: skip
    """Watch charging sessions become messages on people's phones: pushes, texts, mails, and in the app.

    Starts SQLite, a private Redis, the sandbox, web, workers and clock on this machine, reports the events of a
    charging site, and compares the messages received by the stand-ins for FCM, Twilio and the mail server with the
    ledger. Nothing leaves this machine. Exits with 1 where a message was lost or duplicated, or where --experiment
    doesn't find the words that are better.
    """
    if experiment and file:
        raise click.UsageError("--experiment has drivers of its own, and takes no --sessions")
    sessions = read_sessions(file) if file else list(generate(count, SEED))
    seconds = seconds or min(len(sessions) / SESSIONS_A_SECOND, MOST_SECONDS)
    console = Console(stderr=True)
    # Ctrl-C and SIGTERM end every process that the demo started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        summary = asyncio.run(_try_words(ends, console) if experiment else _demo(sessions, seconds, ends, console))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(summary)))
    if not summary.ok:
        raise SystemExit(1)


async def _demo(sessions: list[ChargingSession], seconds: float, ends: bool, console: Console) -> Summary:
    crowd = people(max(len(sessions) // 3, 30), SEED)
    drivers = [id_ for id_, details in crowd if details.get("kind", "driver") == "driver"]
    due = schedule(sessions, drivers, seconds)
    with tempfile.TemporaryDirectory(prefix="notifier-") as folder:
        async with LocalSystem(Path(folder)) as system:
            await _welcome(system, console)
            console.print(f"{len(sessions)} charging sessions, {len(due)} events, {len(crowd)} people\n")
            with _shown(console) as show:
                summary = await run(system, crowd, due, show)
            _tell(console, summary)
            await _stay(console, ends)
    return summary


async def _try_words(ends: bool, console: Console) -> TrialSummary:
    with tempfile.TemporaryDirectory(prefix="notifier-") as folder:
        async with LocalSystem(Path(folder), {"templates": trial.templates(Path(folder))}) as system:
            await _welcome(system, console)
            console.print(
                f"{DRIVERS} drivers are warned of an idle fee; half of them read that others wait. "
                f"Half an hour of theirs takes {trial.WITHIN}.\n"
            )
            with _shown(console) as show:
                summary = await trial.try_words(system, DRIVERS, DRIVERS / WARNINGS_A_SECOND, SEED, show)
            _tell(console, summary)
            _tell_result(console, summary)
            await _stay(console, ends)
    return summary


async def _welcome(system: LocalSystem, console: Console) -> None:
    console.print(f"Inboxes   [link]{system.sandbox_url}[/]      what people see")
    console.print(f"Map       [link]{system.settings.public_url}/map[/]      where one can charge now")
    console.print(f"API       [link]{system.settings.public_url}/docs[/]")
    password = await _let_in(system)
    console.print(f"Console   [link]{system.settings.public_url}/console[/]      name demo, password {password}")


@contextlib.contextmanager
def _shown(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Show the progress of the events."""
    bar = Bar(TextColumn("Events"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    task = bar.add_task("events", total=None)
    with Live(console=console, refresh_per_second=8) as live:

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.sent, total=progress.events)
            grid = Table.grid()
            grid.add_row(bar)
            grid.add_row(_states(progress))
            live.update(grid)

        yield show


async def _stay(console: Console, ends: bool) -> None:
    if not ends:
        console.print("\nThe pages stay up. Ctrl-C ends everything.")
        await asyncio.Event().wait()


async def _let_in(system: LocalSystem) -> str:
    """Create a console administrator and return their password."""
    password = make_password()
    user = User(name="demo", role=Role.ADMIN, password_hash=hash_password(password), created_at=system.clock.now())
    await users.add(system.database, user, "demo")
    return password


def _states(progress: Progress) -> Table:
    table = Table("state", "deliveries", box=None, padding=(0, 2))
    for state, count in progress.books.deliveries.items():
        if count:
            table.add_row(state, str(count))
    return table


def _tell_result(console: Console, summary: TrialSummary) -> None:
    table = Table("arm", box=None, padding=(0, 2))
    for heading in ("people", "left in time", "share", "truly", "gain, in points"):
        table.add_column(heading, justify="right")
    for arm in summary.result.arms:
        known = arm.gain_low is not None and arm.gain_high is not None
        gain = f"{100 * (arm.gain_low or 0):+.1f} to {100 * (arm.gain_high or 0):+.1f}" if known else ""
        table.add_row(
            arm.arm, str(arm.people), str(arm.answered), f"{arm.share or 0:.1%}", f"{trial.LEAVE[arm.arm]:.0%}", gain
        )
    console.print()
    console.print(table)
    style = "green" if summary.result.arm == trial.ARM else "red"
    console.print(f"[{style}]{summary.result.words}[/] Version {summary.live} of the texts is live.")


def _tell(console: Console, summary: Summary) -> None:
    received = ", ".join(f"{count} by {channel}" for channel, count in summary.provider_received.items())
    console.print(
        f"\n{summary.events} events became {sum(summary.deliveries.values())} deliveries in {summary.seconds} s."
    )
    console.print(f"The providers received {received}.")
    for reason, count in summary.reasons.items():
        console.print(f"  {count:>6}  {reason.replace('_', ' ')}", style="dim")
    if summary.waiting:
        console.print(
            f"  {summary.waiting:>6}  wait until they are due: a digest's window, a turn on call, quiet hours",
            style="dim",
        )
    verdict = (
        "[green]Nothing was lost, nothing was sent twice.[/]"
        if summary.ok
        else "[red]The ledger and the providers' records differ.[/]"
    )
    console.print(f"{verdict} lost {summary.lost}, duplicated {summary.duplicated}, unrecorded {summary.unrecorded}")
