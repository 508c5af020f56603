"""The programs that the documentation shows, copied and run: each reports its event, and the event is taken."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from notifier.api.event_schemas import event_of, samples_of
from notifier.api.snippets import snippets
from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.conftest import absent
from tests.samples import CATALOG

pytestmark = on_sqlite

HOSTILE = 'it\'s "Mitte" — $(touch /tmp/x) `id` \\ 🚗\nline two'


async def run(api: Caller, folder: Path, *command: str) -> str:
    """What a program prints that has the API key in its environment."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "NOTIFIER_API_KEY": api.key}, cwd=folder, stdout=-1, stderr=-1
    )
    told, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return told.decode()


async def test_curl_reports_an_event_of_every_type(api: Caller, tmp_path: Path) -> None:
    curl = shutil.which("curl") or absent("needs curl")
    assert curl
    script = tmp_path / "report.sh"
    script.write_text(
        "\n".join(
            snippets(event_of(CATALOG, each), api.url)["curl"].replace(
                "curl ", "curl --silent --output /dev/null --write-out '%{http_code}\\n' ", 1
            )
            for each in CATALOG.event_types
        )
    )

    told = await run(api, tmp_path, "bash", str(script))

    assert told.split() == ["202"] * len(CATALOG.event_types)
    assert {row.type for row in await api.rows(event)} == set(CATALOG.event_types)


async def test_python_reports_every_sample_of_every_type(api: Caller, tmp_path: Path) -> None:
    examples = [each for name in CATALOG.event_types for each in samples_of(CATALOG, name).values()]
    script = tmp_path / "report.py"
    script.write_text("\n".join(snippets(each, api.url)["Python"] for each in examples))

    await run(api, tmp_path, sys.executable, str(script))

    assert {row.source_id for row in await api.rows(event)} == {each["id"] for each in examples}


@pytest.mark.parametrize(("language", "command"), [("curl", "bash"), ("Python", sys.executable)])
async def test_a_text_is_reported_as_it_is_whatever_stands_in_it(
    api: Caller, tmp_path: Path, language: str, command: str
) -> None:
    # Given an example with the signs of shells and programs, which the engine takes
    example = event_of(CATALOG, "charging.complete")
    example["data"] = {**example["data"], "session_id": HOSTILE}
    script = tmp_path / "report"
    script.write_text(snippets(example, api.url)[language])

    await run(api, tmp_path, command, str(script))

    (row,) = await api.rows(event)
    assert json.loads(row.data)["session_id"] == HOSTILE
