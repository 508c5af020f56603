"""The program of the Java client's README runs as it stands, and the service takes its event."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.building import HERE, PROGRAMS
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.conftest import absent

pytestmark = [on_sqlite, pytest.mark.timeout(600)]  # clients are compiled, and the machine does much else


def program(client: str) -> str:
    """The program of a client's README."""
    found = re.search(r"```\w+\n(.*?)```", (HERE / client / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


async def ran(*command: str | Path, within: Path, **environment: str) -> str:
    """What a program prints, beside which the server goes on."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=within, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def taken(api: Caller, *command: str | Path, within: Path) -> None:
    """Run a program against the service, and see that its event is there."""
    told = await ran(*command, within=within, NOTIFIER_URL=api.url, NOTIFIER_API_KEY=api.key)

    (row,) = await api.rows(event)
    assert (row.source, row.source_id) == ("csms/berlin", "a-17")
    assert row.id in told


async def test_the_program_for_java_runs_as_it_stands(api: Caller, tmp_path: Path) -> None:
    shutil.which("javac") or absent("needs javac")
    _, _, _, path, _ = PROGRAMS["java"]()
    (tmp_path / "Report.java").write_text(program("java"))
    await ran("javac", "-cp", path, "Report.java", within=tmp_path)

    await taken(api, "java", "-cp", f"{tmp_path}{os.pathsep}{path}", "Report", within=tmp_path)
