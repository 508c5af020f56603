"""`python -m bench [SCENARIO …] [--events N] [--people N] [--json]`; with no scenario, all of them.

The last line is JSON.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bench.burst import burst
from bench.console import console
from bench.decide import decide
from bench.segment import segment

Scenario = Callable[[int], Coroutine[Any, Any, dict[str, Any]]]
SCENARIOS: dict[str, tuple[Scenario, str, int]] = {
    "burst": (burst, "events", 5_000), "console": (console, "events", 500_000),
    "decide": (decide, "people", 1_000_000), "segment": (segment, "people", 1_000_000),
}  # fmt: skip
"""Each with what it counts, and how many unless told."""


def main() -> None:
    """Run scenarios and print what they found."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--events", type=int, help="events to report")
    parser.add_argument("--people", type=int, help="people to decide for")
    parser.add_argument("--json", action="store_true", help="only the JSON lines")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in arguments.scenarios or SCENARIOS:
        scenario, counts, usual = SCENARIOS[name]
        number = getattr(arguments, counts) or usual
        if not arguments.json:
            print(f"{name}: {number} {counts} …", file=sys.stderr)
        results.append(asyncio.run(scenario(number)))
        print(json.dumps(results[-1]), flush=True)
    if any(map(_wrong, results)):
        sys.exit(1)


def _wrong(result: dict[str, Any]) -> bool:
    return any(result.get(name) for name in ("lost", "duplicated", "slow")) or not result.get("balanced", True)


main()
