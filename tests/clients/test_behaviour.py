"""Every client, in every language, behaves as the table says."""

import shutil
from pathlib import Path

import pytest

from clients.building import PROGRAMS
from clients.programs import run_all
from clients.table import cases
from tests.conftest import absent

pytestmark = pytest.mark.timeout(600)  # a client is compiled, and the machine does much else

CASES = cases()
TOOLS = {"java": ("javac",), "typescript": ("node", "npm"), "go": ("go",)}


@pytest.mark.parametrize("client", PROGRAMS)
async def test_a_client_does_what_the_table_says(client: str, tmp_path: Path) -> None:
    for tool in TOOLS.get(client, ()):
        shutil.which(tool) or absent(f"needs {tool}")
    command = PROGRAMS[client]()

    wrong = await run_all([case for case in CASES if client not in case.without], command, tmp_path)

    assert wrong == {}


def test_each_row_of_the_table_has_a_name_of_its_own_and_says_what_is_seen() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.results or case.results_all or case.sent or case.requests is not None, case.name
        assert case.without.keys() <= {"python", "asyncio", "java", "typescript", "go"}
