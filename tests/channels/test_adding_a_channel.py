"""The page that tells how a channel is added, followed to the letter in a copy of the engine."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("notifier", "workers", "templates", "tests", "docs")
WALKS: Final = (
    "tests/channels/pager",
    "tests/channels/test_writings.py",
    "tests/channels/test_provider_specs.py",
    "tests/sandbox/test_stand_ins.py",
    "tests/runtime/test_settings.py",
)
_PATH: Final = re.compile(r"`((?:notifier|tests)/channels/pager/[^`]+)`")
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run(folder: Path, *command: str) -> str:
    """What a command says in the copy; it must end well."""
    path = f"{folder}/.venv/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")}
    environ = {**clean, "PATH": path, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(folder: Path) -> None:
    """Make an environment in which `notifier` is the copy, with the packages that this one has."""
    venv.create(folder / ".venv", with_pip=False)
    (site,) = (folder / ".venv").glob("lib/python*/site-packages")
    (site / "copy.pth").write_text(f"{folder}\n{sysconfig.get_path('purelib')}\n", "utf-8")
    script = folder / ".venv" / "bin" / "notifier"
    script.write_text(f"#!{script.parent}/python\nfrom notifier.cli import main\n\nmain()\n", "utf-8")
    script.chmod(0o755)


@pytest.mark.timeout(240)  # several processes start one after the other, on a machine that may be busy
def test_a_channel_is_added_by_the_pages_files_and_commands_alone(tmp_path: Path) -> None:
    # Given
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    install(tmp_path)
    page, told, end = (ROOT / "docs" / "adding-a-channel.md").read_text("utf-8"), "", 0

    # When each file is written under the last path before it, and each command run
    for block in _BLOCK.finditer(page):
        before, end = page[end : block.start()], block.end()
        if block[1] == "sh":
            told += run(tmp_path, "bash", "-ec", block[2])
        else:
            file = tmp_path / _PATH.findall(before)[0]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block[2], "utf-8")

    # Then its message is written, and it passes what all channels do
    assert "by pager: to be sent immediately" in told
    assert "line Gent Zuid offline" in told
    run(tmp_path, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "pager or page_of", *WALKS)
    run(tmp_path, "ruff", "check", "notifier/channels/pager", "tests/channels/pager")
    run(tmp_path, "ruff", "format", "--check", "notifier/channels/pager", "tests/channels/pager")
