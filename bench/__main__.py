"""`python -m bench [SCENARIO …] [--events N] [--rows N] [--database sqlite] [--json] …`; with no scenario, all of them.

Each prints a line of JSON; the last line is JSON. The exit status is 1 where a ledger did not balance, a message was
lost or sent twice, or a demand was missed.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, get_args

from bench.accept import accept
from bench.alerts import alerts
from bench.assignment import assignment
from bench.burst import burst, mix, told, tried
from bench.console import console
from bench.decide import decide
from bench.distant import distant
from bench.experiments import experiments
from bench.growth import growth
from bench.options import DatabaseKind, Options
from bench.outcomes import outcomes
from bench.retention import retention
from bench.segment import segment
from bench.snapshot import snapshot
from bench.stations import stations
from bench.steady import idle, steady

Scenario = Callable[[Options], Coroutine[Any, Any, dict[str, Any]]]
SCENARIOS: dict[str, Scenario] = {
    "burst": burst, "mix": mix, "told": told, "tried": tried, "steady": steady, "idle": idle, "alerts": alerts,
    "distant": distant, "stations": stations,
    "accept": accept, "growth": growth, "retention": retention, "snapshot": snapshot,
    "decide": lambda options: decide(options.people),
    "segment": lambda options: segment(options.people), "console": lambda options: console(options.rows // 2),
    "assignment": lambda options: assignment(options.people), "experiments": lambda _: experiments(),
    "outcomes": lambda options: outcomes(options.database),
}  # fmt: skip
FIGURES = dict.fromkeys(
    (
        "events_per_s", "deliveries_per_s", "ratio_naive", "ratio_celery_apprise", "ratio_celery_apprise_helped",
        "ratio_bare_loop", "lost", "duplicated",
    )
)  # fmt: skip
"""The figures in every scenario's line, null where the scenario has none."""


def main() -> None:
    """Run scenarios and print what they found."""
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # processes that were started end with this one, as with Ctrl-C
    usual = Options()
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--events", type=int, default=usual.events, help=f"events to report (default {usual.events})")
    parser.add_argument(
        "--people",
        type=int,
        default=usual.people,
        help=f"people of decide, segment and assignment (default {usual.people})",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=usual.rows,
        help=f"deliveries of growth and retention, messages of alerts' campaign (default {usual.rows})",
    )
    parser.add_argument("--seconds", type=int, default=usual.seconds, help=f"at each rate (default {usual.seconds})")
    parser.add_argument("--database", choices=get_args(DatabaseKind), default=usual.database)
    parser.add_argument(
        "--buckets", type=int, default=usual.buckets, help="burst and mix on PostgreSQL: parts of the database"
    )
    parser.add_argument(
        "--viewers", type=int, default=usual.viewers, help=f"of stations; 20 ports each (default {usual.viewers})"
    )
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="burst and mix: ours alone")
    parser.add_argument("--json", action="store_true", help="only the JSON lines")
    given = vars(parser.parse_args())
    names, only_json = given.pop("scenarios") or list(SCENARIOS), given.pop("json")
    options = Options(**given)
    results: list[dict[str, Any]] = []
    for name in names:
        if not only_json:
            print(f"{name} … (load {os.getloadavg()[0]:.1f})", file=sys.stderr)
        results.append({**FIGURES, **asyncio.run(SCENARIOS[name](options)), "load": round(os.getloadavg()[0], 1)})
        print(json.dumps(results[-1]), flush=True)
    if any(map(_wrong, results)):
        sys.exit(1)


def _wrong(result: dict[str, Any]) -> bool:
    return any(result.get(name) for name in ("lost", "duplicated", "slow", "missed")) or not result.get(
        "balanced", True
    )


main()
