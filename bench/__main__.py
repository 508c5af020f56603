"""`python -m bench [SCENARIO …] [--events N] [--json]`; with no scenario, all of them. The last line is JSON."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bench.burst import burst
from bench.console import console

SCENARIOS: dict[str, Callable[[int], Coroutine[Any, Any, dict[str, Any]]]] = {"burst": burst, "console": console}
EVENTS = {"burst": 5_000, "console": 500_000}


def main() -> None:
    """Run scenarios and print what they found."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--events", type=int, help=f"events; otherwise {EVENTS}")
    parser.add_argument("--json", action="store_true", help="only the JSON lines")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in arguments.scenarios or SCENARIOS:
        events = arguments.events or EVENTS[name]
        if not arguments.json:
            print(f"{name}: {events} events …", file=sys.stderr)
        results.append(asyncio.run(SCENARIOS[name](events)))
        print(json.dumps(results[-1]), flush=True)
    if any(map(_wrong, results)):
        sys.exit(1)


def _wrong(result: dict[str, Any]) -> bool:
    return any(result.get(name) for name in ("lost", "duplicated", "slow")) or not result.get("balanced", True)


main()
