"""Files that were saved on Windows begin with a byte order mark: it is passed over, whatever reads them."""

import io
import json
import mailbox
import shutil
from codecs import BOM_UTF8
from pathlib import Path

import click
import pytest

from notifier.cli.report import _batches, read_argument
from notifier.demo.acn import read_acn
from notifier.domain.catalog_files import load_catalog
from notifier.rendering import Brand, Renderer
from tests.channels.email.reports import DELIVERY, POSTFIX, dsn
from tests.cli.test_bounces import OTHER, lines, run, states, url
from tests.cli.test_commands import Shell, shell
from tests.demo.test_acn import HEADER, ROW
from tests.samples import TEMPLATES

__all__ = ["shell", "url"]


def marked(file: Path) -> Path:
    """The same file, as Windows saves it."""
    file.write_bytes(BOM_UTF8 + file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return file


def test_recipients_and_segments_are_read_from_such_files(shell: Shell, tmp_path: Path) -> None:
    # Given two files of recipients, the second put behind the first one as `copy a+b` does, and a segment's
    shell("db", "upgrade")
    people, segment = tmp_path / "people.ndjson", tmp_path / "segment.json"
    people.write_bytes(BOM_UTF8 + b'{"id": "ada"}\r\n' + BOM_UTF8 + b'{"id": "bob"}\r\n')
    segment.write_text('{"name": "Everybody"}')

    # When both are read, then nothing is left out
    told = shell("recipients", "import", str(people), "--json")
    assert json.loads(told.stdout.splitlines()[-1]) == {"written": 2, "refused": 0}
    assert shell("segments", "put", "all", str(marked(segment))).exit_code == 0
    assert json.loads(shell("segments", "count", "all", "--json").output) == {"recipients": 2}


def test_bounces_are_read_from_such_files(url: str, tmp_path: Path) -> None:
    single, many = tmp_path / "mail.eml", tmp_path / "mbox"
    single.write_bytes(POSTFIX.encode())
    box = mailbox.mbox(many)
    for mail in (dsn("5.2.2", reference=OTHER), b"To: x\n\nHello.\n"):
        box.add(mail)
    box.close()

    told = [*lines(run(url, "--json", str(marked(single)))), *lines(run(url, "--json", str(marked(many))))]

    assert [line["delivery"] for line in told] == [DELIVERY, OTHER, None]
    assert {state for state, _ in states(url).values()} == {"undelivered"}


def test_texts_and_types_are_read_from_such_files(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    for file in folder.rglob("*.*"):
        marked(file)

    catalog = load_catalog(folder)
    Renderer(catalog, folder, Brand("Voltline", "https://app.example.com"))

    assert catalog.types.keys() == load_catalog(TEMPLATES).types.keys()


def test_events_and_arguments_are_read_from_such_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.json"
    file.write_text('{"a": "ä"}', "utf-8")
    text = marked(file).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    assert json.loads(read_argument(f"@{file}")) == json.loads(read_argument("-")) == {"a": "ä"}
    assert list(_batches(io.BytesIO(BOM_UTF8 + b'{"id": "1"}\n{"id": "2"}\n'))) == [(1, [{"id": "1"}, {"id": "2"}])]


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00", b"\xff"])
def test_a_file_in_another_encoding_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "data.json"
    file.write_bytes(content)

    with pytest.raises(click.BadParameter, match=r"data\.json can't be read"):
        read_argument(f"@{file}")


def test_a_demo_reads_sessions_from_such_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sessions.csv"
    file.write_text(f"{HEADER}\n{ROW}\n")

    assert len(list(read_acn(marked(file)))) == 1
