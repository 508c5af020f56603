"""Segments from the shell."""

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import Shell, shell

__all__ = ["shell"]

GOLD = {"name": "Gold", "all": [{"field": "attribute.plan", "operator": "eq", "value": "gold"}]}


def test_a_segment_is_written_from_a_file_listed_and_counted(shell: Shell, tmp_path: Path) -> None:
    # Given a segment and one recipient who belongs
    shell("db", "upgrade")
    file, people = tmp_path / "gold.json", tmp_path / "people.ndjson"
    file.write_text(json.dumps(GOLD))
    people.write_text('{"id": "ada", "attributes": {"plan": "gold"}}\n{"id": "bob"}\n')
    shell("recipients", "import", str(people))

    # When it is put, then it is listed and counted
    assert shell("segments", "put", "gold", str(file)).exit_code == 0
    assert json.loads(shell("segments", "list", "--json").output) == {"gold": GOLD}
    assert shell("segments", "list").output == "gold  Gold\n"
    assert json.loads(shell("segments", "count", "gold", "--json").output) == {"recipients": 1}


@pytest.mark.parametrize(
    ("id_", "text", "said"), [("x", "{", "Malformed JSON"), ("x", "{}", "Segment"), ("a b", '{"name": "x"}', "spaces")]
)
def test_what_does_not_fit_is_told_and_nothing_is_written(
    shell: Shell, tmp_path: Path, id_: str, text: str, said: str
) -> None:  # fmt: skip
    shell("db", "upgrade")
    file = tmp_path / "segment.json"
    file.write_text(text)

    told = shell("segments", "put", id_, str(file))

    assert told.exit_code != 0
    assert said in told.output
    assert json.loads(shell("segments", "list", "--json").output) == {}
    assert "no segment has the id" in shell("segments", "count", "x").output
