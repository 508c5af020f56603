"""`notifier experiments`: plan, start, read and end experiments from the shell."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from notifier.cli.arguments import Text, actor
from notifier.cli.templates import with_engine
from notifier.domain.clock import to_datetime
from notifier.domain.experiments import Experiment, ExperimentId, Plan
from notifier.domain.problems import UNDECODABLE, from_decoding
from notifier.domain.reading import unmarked
from notifier.experiments import managing, results
from notifier.experiments.results import ArmResult, Result
from notifier.pipeline.engine import Engine
from notifier.store.console import experiments as store

T = TypeVar("T")
NAMED = Text(ExperimentId, "1 to 60 characters, without spaces and slashes")


@click.group()
def experiments() -> None:
    """Ways of telling the same, tried on people who are assigned to them, and what each achieves."""


@experiments.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_(as_json: bool) -> None:
    """List all experiments, the one that was changed last first."""
    found = _on(lambda engine: store.every(engine.database))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for each in found:
        click.echo(f"{each.id}  {each.state}  {each.plan.type}  {', '.join(each.plan.arms)}")


@experiments.command()
@click.argument("experiment_id", metavar="ID", type=NAMED)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--revision", type=int, default=0, help="The revision that the plan replaces; 0 for a new one.")
def plan(experiment_id: str, file: Path, revision: int) -> None:
    """Write the plan of the experiment ID from a JSON FILE (- for standard input).

    \b
    {"type": "idle-warning", "why": "Does a softer tone get cars moving sooner?",
     "arms": {"control": {}, "softer": {"version": 4}},
     "weights": {"control": 5000, "softer": 5000}, "gain": 0.05, "longest": "28 d"}

    Weights are in ten-thousandths. An arm has the version of other texts, `later` ("5 min"), `channels`, or is
    `silent`. Of one that runs only weights and longest may change.
    """
    with click.open_file(str(file), "rb") as source:
        try:
            given = msgspec.json.decode(unmarked(source.read()), type=Plan)
        except UNDECODABLE as error:
            raise from_decoding(42208, error) from None
    made = _on(lambda engine: managing.put(engine, experiment_id, given, revision, actor()))
    click.echo(f"{made.id} is {made.state}, at revision {made.revision}.")


@experiments.command()
@click.argument("experiment_id", metavar="ID", type=NAMED)
def start(experiment_id: str) -> None:
    """Start the experiment ID: within seconds every process assigns people to its arms."""
    made = _on(lambda engine: managing.start(engine, experiment_id, actor()))
    click.echo(f"{made.id} is {made.state}.")


@experiments.command()
@click.argument("experiment_id", metavar="ID", type=NAMED)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(experiment_id: str, as_json: bool) -> None:
    """Show what the experiment ID has come to. Looking often does no harm: the intervals hold at every look."""

    async def read(engine: Engine) -> tuple[Experiment, Result]:
        found = await managing.get(engine, experiment_id)
        return found, await results.read(engine, found)

    found, result = _on(read)
    if as_json:
        click.echo(msgspec.json.encode({"experiment": found, "result": result}))
        return
    since = "" if found.started_at is None else f" since {to_datetime(found.started_at):%Y-%m-%d %H:%M} UTC"
    click.echo(f"{found.id} on {found.plan.type}, {found.state}{since}: {found.plan.why}")
    click.echo(f"{'arm':<20}{'people':>8}{'outcome':>9}{'share':>8}{'median':>9}  gain on the control")
    for each in result.arms:
        click.echo(_line(each))
    click.echo(result.words)


def _line(arm: ArmResult) -> str:
    share = "" if arm.share is None else f"{arm.share:.1%}"
    median = "" if arm.median_minutes is None else f"{arm.median_minutes:g} min"
    gain = "" if arm.gain_low is None else f"{100 * arm.gain_low:+.1f} to {100 * (arm.gain_high or 0):+.1f} points"
    return f"{arm.arm:<20}{arm.people:>8}{arm.answered:>9}{share:>8}{median:>9}  {gain}".rstrip()


@experiments.command()
@click.argument("experiment_id", metavar="ID", type=NAMED)
@click.option("--why", required=True, help="Why it ends, for the history.")
@click.option("--winner", help="The arm that is decided for.")
@click.option("--publish", is_flag=True, help="Publish the winner's texts by the gate, so that everybody gets them.")
def end(experiment_id: str, why: str, winner: str | None, publish: bool) -> None:
    """End the experiment ID: everybody is told by the live texts again."""
    if publish and winner is None:
        raise click.UsageError("--publish needs a --winner, whose texts go live")
    if publish and winner is not None:
        arm = winner
        made = with_engine(lambda engine, child: managing.decide(engine, child, experiment_id, actor(), why, arm))
    else:
        made = _on(lambda engine: managing.end(engine, experiment_id, actor(), why, winner))
    click.echo(f"{made.id} has ended{'' if made.winner is None else f' for {made.winner}'}.")


def _on(work: Callable[[Engine], Awaitable[T]]) -> T:
    async def run(engine: Engine, _child: Any) -> T:
        return await work(engine)

    return with_engine(run)
