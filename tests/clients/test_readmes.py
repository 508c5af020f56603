"""The program of each client's README runs as it stands, and the service takes its event."""

import re
from pathlib import Path

import pytest

from clients.building import HERE
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.clients import compiling
from tests.clients.compiling import Command, ran

pytestmark = [on_sqlite, pytest.mark.timeout(600)]  # clients are compiled, and the machine does much else


def program(client: str) -> str:
    """The program of a client's README."""
    found = re.search(r"```\w+\n(.*?)```", (HERE / client / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


async def taken(api: Caller, command: Command, within: Path) -> None:
    """Run a program against the service, and see that its event is there."""
    told = await ran(*command, within=within, NOTIFIER_URL=api.url, NOTIFIER_API_KEY=api.key)

    (row,) = await api.rows(event)
    assert (row.source, row.source_id, row.type) == ("csms/berlin", "a-17", "charging.complete")
    assert row.id in told


async def test_the_program_for_java_runs_as_it_stands(api: Caller, tmp_path: Path) -> None:
    (tmp_path / "Report.java").write_text(program("java"))

    await taken(api, await compiling.java(tmp_path, "Report"), tmp_path)


async def test_the_program_for_typescript_runs_as_it_stands(api: Caller, tmp_path: Path) -> None:
    (tmp_path / "report.ts").write_text(program("typescript"))

    await taken(api, await compiling.typescript(tmp_path, "report"), tmp_path)


async def test_the_program_for_go_runs_as_it_stands(api: Caller, tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(program("go"))

    await taken(api, await compiling.go(tmp_path), tmp_path)
