"""The programs that the documentation shows for clients that are compiled: each reports its event, and it is taken."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from clients.building import HERE, PROGRAMS, tsc
from notifier.api.event_schemas import event_of, samples_of
from notifier.api.snippets import snippets
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.clients.test_readmes import ran
from tests.conftest import absent
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


async def taken(api: Caller, *command: str | Path, within: Path) -> None:
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
    shutil.which("javac") or absent("needs javac")
    _, _, _, path, _ = PROGRAMS["java"]()

    # Given the programs as classes of one, which differ in their names alone
    texts = [each.replace("class Report", f"class Report{at}") for at, each in enumerate(programs(api, "Java"))]
    names = written(tmp_path, "Report{}.java", texts)
    calls = "".join(f"Report{at}.main(arguments);" for at in range(len(texts)))
    (tmp_path / "All.java").write_text(
        f"class All {{ public static void main(String[] arguments) throws Exception {{ {calls} }} }}"
    )
    await ran("javac", "-encoding", "UTF-8", "-Xlint:all", "-Werror", "-cp", path, "All.java", *names, within=tmp_path)

    await taken(api, "java", "-cp", f"{tmp_path}{os.pathsep}{path}", "All", within=tmp_path)


async def test_typescript_reports_every_sample_of_every_type(api: Caller, tmp_path: Path) -> None:
    shutil.which("npm") or absent("needs npm")
    _, runner = PROGRAMS["typescript"]()

    # Given the programs as modules, whose data is checked against the client's types
    client = tmp_path / "node_modules/notifier-client"
    for sources in (HERE / "typescript/src", Path(runner).parents[1] / "src"):
        shutil.copytree(sources, client, dirs_exist_ok=True)
    package = {"type": "module", "exports": {"types": "./index.ts", "default": "./index.js"}}
    (client / "package.json").write_text(json.dumps(package))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    names = written(tmp_path, "report{}.ts", programs(api, "TypeScript"))
    (tmp_path / "all.ts").write_text("".join(f'await import("./{each[:-3]}.js");\n' for each in names))
    options = {"rootDir": ".", "outDir": "made", "declaration": False}
    config = {"extends": str(HERE / "typescript/tsconfig.json"), "compilerOptions": options, "include": ["*.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    await ran(*tsc(), "-p", tmp_path, within=tmp_path)

    await taken(api, "node", "made/all.js", within=tmp_path)


async def test_go_reports_every_sample_of_every_type(api: Caller, tmp_path: Path) -> None:
    shutil.which("go") or absent("needs go")

    # Given the programs as one, in which each is a function of its own
    texts = [each.replace("func main()", f"func report{at}()") for at, each in enumerate(programs(api, "Go"))]
    written(tmp_path, "report{}.go", texts)
    calls = "".join(f"\treport{at}()\n" for at in range(len(texts)))
    (tmp_path / "all.go").write_text(f"package main\n\nfunc main() {{\n{calls}}}\n")
    own = "github.com/notifier/notifier/clients/go"
    (tmp_path / "go.mod").write_text(
        f"module report\n\ngo 1.19\n\nrequire {own} v0.0.0\n\nreplace {own} => {HERE / 'go'}\n"
    )
    await ran("go", "build", "-o", "all", ".", within=tmp_path)

    await taken(api, tmp_path / "all", within=tmp_path)
