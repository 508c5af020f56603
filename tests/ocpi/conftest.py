"""The official OCPI 2.2.1 examples, read verbatim; tests change them only in memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Example = Callable[[str], dict[str, Any]]


@pytest.fixture
def example(shared_data: Path) -> Example:
    """Reads an example by its file's name, without `.json`."""

    def read(name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((shared_data / "ocpi-2.2.1" / f"{name}.json").read_bytes())
        return value

    return read
