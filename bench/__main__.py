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
from bench.decide import decide
from bench.segment import segment

Scenario = Callable[[int], Coroutine[Any, Any, dict[str, Any]]]
SCENARIOS: dict[str, tuple[Scenario, str]] = {
    "burst": (burst, "events"), "decide": (decide, "people"), "segment": (segment, "people"),
}  # fmt: skip
"""Each with what it counts."""
EVENTS = 5000
PEOPLE = 1_000_000


def main() -> None:
    """Run scenarios and print what they found."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--events", type=int, default=EVENTS, help=f"events to report (default {EVENTS})")
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"people to decide for (default {PEOPLE})")
    parser.add_argument("--json", action="store_true", help="only the JSON lines")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in arguments.scenarios or SCENARIOS:
        scenario, counts = SCENARIOS[name]
        number = getattr(arguments, counts)
        if not arguments.json:
            print(f"{name}: {number} {counts} …", file=sys.stderr)
        results.append(asyncio.run(scenario(number)))
        print(json.dumps(results[-1]), flush=True)
    if any(result["lost"] or result["duplicated"] or not result["balanced"] for result in results):
        sys.exit(1)


main()
