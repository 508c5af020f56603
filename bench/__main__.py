"""`python -m bench [SCENARIO …] [--events N] [--json]`; with no scenario, all of them. The last line is JSON."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bench.burst import burst

SCENARIOS: dict[str, Callable[[int], Coroutine[Any, Any, dict[str, Any]]]] = {"burst": burst}
EVENTS = 5000


def main() -> None:
    """Run scenarios and print what they found."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--events", type=int, default=EVENTS, help=f"events to report (default {EVENTS})")
    parser.add_argument("--json", action="store_true", help="only the JSON lines")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in arguments.scenarios or SCENARIOS:
        if not arguments.json:
            print(f"{name}: {arguments.events} events …", file=sys.stderr)
        results.append(asyncio.run(SCENARIOS[name](arguments.events)))
        print(json.dumps(results[-1]), flush=True)
    if any(result["lost"] or result["duplicated"] or not result["balanced"] for result in results):
        sys.exit(1)


main()
