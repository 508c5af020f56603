"""Tools that tests fetch from a package index once: they are too large for our locks, or of another language."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.conftest import absent


def fetched(what: tuple[str, ...], *command: str) -> Path:
    """A folder with what a package manager was asked for, kept from one run to the next; skips where it can't be had.

    In the command, `{}` is the folder.
    """
    name = "-".join(each.replace("/", "_") for each in what)
    folder = Path(tempfile.gettempdir()) / f"notifier-tests-{os.getuid()}-{name}"
    if folder.exists():
        return folder
    begun = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        subprocess.run([*(part.replace("{}", str(begun)) for part in command), *what], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(begun)
        absent(f"needs {' and '.join(what)}, which can't be had: {error}")
    begun.rename(folder)
    return folder
