"""What is installed from a wheel works by itself, far from the sources."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from notifier.runtime.settings import environment

ROOT = Path(__file__).parents[2]
WITHIN = 120  # seconds for any of it, on a busy machine


def test_a_wheel_brings_its_texts_its_schema_and_its_pages(tmp_path: Path) -> None:
    # Given a wheel of these sources, unpacked where there is nothing else
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", str(ROOT)]
    subprocess.run([*build, "--wheel-dir", tmp_path], check=True, timeout=WITHIN, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")

    def notifier(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "notifier.cli", *arguments],
            check=True, timeout=WITHIN, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
            env=environment({}) | {"PYTHONPATH": str(tmp_path / "site"), "COLUMNS": "200"},
        ).stdout  # fmt: skip

    # When it is asked for its settings, makes its database and looks through the texts that it brought
    settings = notifier("doctor", "--settings")
    notifier("db", "upgrade")
    types = notifier("templates", "list", "--json")

    # Then all of it came from the wheel
    assert str(tmp_path / "site" / "notifier" / "_templates") in settings
    assert (tmp_path / "var" / "notifier.db").is_file()
    assert "charging-complete" in types
    missing = [
        path.relative_to(ROOT)
        for path in (ROOT / "notifier").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if not (tmp_path / "site" / path.relative_to(ROOT)).is_file()
    ]
    assert missing == []
