"""What a Dockerfile says, read as far as ours go."""

import shlex
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """One instruction: its name, and the words after it."""

    name: str
    words: list[str]
    text: str


def stages(file: Path) -> list[list[Step]]:
    """The instructions of each stage of a Dockerfile, from its FROM on; what stands before the first is left out."""
    found: list[list[Step]] = []
    lines = file.read_text().replace("\\\n", " ").splitlines()
    for name, _, text in (line.partition(" ") for line in lines if line and not line.startswith("#")):
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append(Step(name, shlex.split(text), text))
    return found
