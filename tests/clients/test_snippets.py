"""The programs that the documentation shows for clients that are compiled: each reports its event, and it is taken."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from notifier.api.event_schemas import event_of, samples_of
from notifier.api.snippets import snippets
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.clients import compiling
from tests.clients.compiling import Command, ran
from tests.samples import CATALOG

pytestmark = [on_sqlite, pytest.mark.timeout(600)]  # clients are compiled, and the machine does much else

HOSTILE = 'it\'s "Mitte" — ${x} #{x} $(touch /tmp/x) `id` \\ \\u000a */ 🚗\nline two\t'
"""Signs of programs, of which the engine takes all."""


def examples() -> list[dict[str, Any]]:
    """Every sample of every type, and one that has the signs of programs in its data."""
    odd = event_of(CATALOG, "charging.complete")
    odd = {**odd, "id": "odd", "data": {**odd["data"], "session_id": HOSTILE}}
    return [odd, *(each for name in CATALOG.event_types for each in samples_of(CATALOG, name).values())]


def programs(api: Caller, language: str) -> list[str]:
    return [snippets(each, api.url)[language] for each in examples()]


async def taken(api: Caller, command: Command, within: Path) -> None:
    """Run what reports all examples, and see that they are there as they were."""
    await ran(*command, within=within, NOTIFIER_API_KEY=api.key)

    rows = {row.source_id: row for row in await api.rows(event)}
    assert set(rows) == {each["id"] for each in examples()}
    assert json.loads(rows["odd"].data)["session_id"] == HOSTILE


def written(folder: Path, name: str, texts: Sequence[str]) -> list[str]:
    """Write each text into a file of its own, whose name has its number for {}; return the names."""
    names = [name.format(number) for number in range(len(texts))]
    for each, text in zip(names, texts, strict=True):
        (folder / each).write_text(text)
    return names


async def test_java_reports_every_sample_of_every_type(api: Caller, tmp_path: Path) -> None:
    # Given the programs as classes of one, which differ in their names alone
    texts = [each.replace("class Report", f"class Report{at}") for at, each in enumerate(programs(api, "Java"))]
    written(tmp_path, "Report{}.java", texts)
    calls = "".join(f"Report{at}.main(arguments);" for at in range(len(texts)))
    (tmp_path / "All.java").write_text(
        f"class All {{ public static void main(String[] arguments) throws Exception {{ {calls} }} }}"
    )

    await taken(api, await compiling.java(tmp_path, "All"), tmp_path)


async def test_typescript_reports_every_sample_of_every_type(api: Caller, tmp_path: Path) -> None:
    names = written(tmp_path, "report{}.ts", programs(api, "TypeScript"))
    (tmp_path / "all.ts").write_text("".join(f'await import("./{each[:-3]}.js");\n' for each in names))

    await taken(api, await compiling.typescript(tmp_path, "all"), tmp_path)


async def test_go_reports_every_sample_of_every_type(api: Caller, tmp_path: Path) -> None:
    # Given the programs as one, in which each is a function of its own
    texts = [each.replace("func main()", f"func report{at}()") for at, each in enumerate(programs(api, "Go"))]
    written(tmp_path, "report{}.go", texts)
    calls = "".join(f"\treport{at}()\n" for at in range(len(texts)))
    (tmp_path / "all.go").write_text(f"package main\n\nfunc main() {{\n{calls}}}\n")

    await taken(api, await compiling.go(tmp_path), tmp_path)
