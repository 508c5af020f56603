"""What the clients say of events' data is what the OpenAPI document says of it, and versions agree."""

import json
import re
import tomllib
from pathlib import Path

from clients.generate import HERE, JAVA, files

VERSION = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["version"]


def test_the_types_of_events_are_made_of_the_document_as_it_is() -> None:
    made = files()

    assert {path: path.read_text() for path in made} == made
    assert set(JAVA.glob("*.java")) == {path for path in made if path.suffix == ".java"}


def test_all_clients_have_the_version_of_the_service() -> None:
    def found(path: str, pattern: str) -> str:
        told = re.search(pattern, Path(HERE / path).read_text())
        assert told is not None
        return told[1]

    assert json.loads((HERE / "typescript/package.json").read_text())["version"] == VERSION
    assert found("typescript/src/producer.ts", r'VERSION = "(.*)"') == VERSION
    assert found("go/producer.go", r'version = "(.*)"') == VERSION
    assert found("java/pom.xml", r"<version>(.*)</version>") == VERSION
    assert found("java/src/main/java/io/github/notifier/client/Producer.java", r'VERSION = "(.*)"') == VERSION
