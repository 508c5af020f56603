"""Hold clients against the behaviour table: `python -m clients [--case WORDS] [CLIENT …]`; all by default."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from clients.building import PROGRAMS
from clients.programs import run_all
from clients.table import cases


def main() -> None:
    """Run the cases, and exit with 1 where a client does something else."""
    parser = argparse.ArgumentParser(prog="python -m clients", description="Hold clients against the behaviour table.")
    parser.add_argument("client", nargs="*", choices=[*PROGRAMS, []], help="all where it is left out")
    parser.add_argument("--case", default="", help="only cases with these words in their names")
    asked = parser.parse_args()
    failed = False
    for client in asked.client or PROGRAMS:
        these = [case for case in cases() if client not in case.without and asked.case in case.name]
        with tempfile.TemporaryDirectory() as folder:
            wrong = asyncio.run(run_all(these, PROGRAMS[client](), Path(folder)))
        print(f"{client}: {len(these) - len(wrong)} of {len(these)} cases")
        for name, why in wrong.items():
            print(f"  {name}\n    {why}")
        failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
