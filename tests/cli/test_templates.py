"""Texts in the shell and in CI: what is wrong with them, what they change, and how they go out and come back."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.cli import main
from tests.samples import TEMPLATES

Shell = Callable[..., Result]
TYPE = "charging-complete"
MAIL = "session-receipt"


@pytest.fixture
def shell(tmp_path: Path, empty_sqlite: Path) -> Shell:
    """Runs `notifier templates` on a database of its own."""
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    settings = {"NOTIFIER_DATABASE_URL": f"sqlite:///{tmp_path / 'notifier.db'}", "COLUMNS": "200"}
    return lambda *arguments: CliRunner().invoke(main, ["templates", *map(str, arguments)], env=settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What ships, to be changed."""
    return shutil.copytree(TEMPLATES, tmp_path / "texts")


def change(folder: Path, old: str, new: str, locale: str = "de", type_: str = TYPE) -> None:
    """Write something else in a text of the type."""
    file = folder / type_ / f"{locale}.toml"
    source = file.read_text("utf-8")
    assert old in source
    file.write_text(source.replace(old, new), "utf-8")


def read(told: Result) -> Any:
    """What a command said as JSON."""
    return json.loads(told.stdout)


# ── lint


def test_files_without_a_fault_pass_and_need_no_database(folder: Path) -> None:
    told = CliRunner().invoke(
        main, ["templates", "lint", TYPE, "--from", str(folder)], env={"NOTIFIER_DATABASE_URL": "sqlite:////none/x.db"}
    )

    assert (told.exit_code, told.stderr) == (0, "")
    assert "hint" in told.stdout
    assert "error" not in told.stdout


def test_a_bad_text_is_named_with_its_file_its_part_and_its_line(shell: Shell, folder: Path) -> None:
    # Given two texts that name a field which isn't there
    change(folder, "{{ station }}", "{{ statoin }}")

    # When they are checked, among all or by their type
    every, one = shell("lint", "--from", folder), shell("lint", TYPE, "--from", folder)

    # Then each is told, and the others are checked all the same
    for told in (every, one):
        assert told.exit_code == 1
        assert f"{TYPE}/de.toml: push.body: line 1: there is no field statoin; there are " in told.stdout
        assert f"{TYPE}/de.toml: sms.text: line 9: there is no field statoin" in told.stdout
    assert "error   payment-failed" not in every.stdout


UNKEPT = [
    # in which type what is written in place of what, and how that is told
    (TYPE, "Ladelimit", r"Lade\u0000limit", "push.title: line 1: U+0000"),
    (MAIL, "[email.details]\n", '[email.details]\n"a\\u0000" = "b"\n', "email.details: line 1: U+0000"),
    (MAIL, 'preheader = "', 'preheader = "\\u0000', "email.preheader: line 1: U+0000"),
    (TYPE, 'text = """', 'text = """\n\n\\u007F', "sms.text: line 2: U+007F"),
    (TYPE, 'text = """', 'text = """{{ energy_kwh | plural(other="\\\\ud83d") }}', "sms.text: line 1: '\\ud83d' has"),
]
"""What a file may say by an escape, and PostgreSQL refuses."""


@pytest.mark.parametrize(("type_", "old", "new", "told"), UNKEPT)
def test_what_no_database_may_keep_is_an_error_with_its_file_its_part_and_its_line(
    shell: Shell, folder: Path, type_: str, old: str, new: str, told: str
) -> None:
    # Given a text with a character that is none
    change(folder, old, new, type_=type_)

    # When it is checked, and published all the same
    lint, publish = shell("lint", type_, "--from", folder), shell("publish", type_, "--from", folder, "--why", "try")

    # Then both name it, and nothing was published
    for each in (lint, publish):
        assert each.exit_code == 1
        assert f"error   {type_}/de.toml: {told}" in each.stdout
    assert "Not published" in publish.stdout


def test_findings_are_one_json_document(shell: Shell, folder: Path) -> None:
    change(folder, "{{ station }}", "{{ statoin }}", "fr")

    told = shell("lint", TYPE, "--from", folder, "--json")

    assert told.exit_code == 1
    found = [each for each in read(told)[TYPE] if each["level"] == "error"]
    assert [(each["code"], each["locale"], each["channel"], each["part"]) for each in found] == [
        ("language", "fr", "push", "body"),
        ("language", "fr", "sms", "text"),
        ("language", "fr", "inbox", "body"),
    ]


def test_a_file_that_is_no_toml_is_named_with_its_line(shell: Shell, folder: Path) -> None:
    with (folder / TYPE / "fr.toml").open("a") as file:
        file.write("nonsense\n")

    told = shell("lint", "--from", folder)

    assert (told.exit_code, told.stdout) == (78, "")
    assert re.search(rf"{TYPE}/fr.toml: Expected '=' .* \(at line \d+, column 9\)", told.stderr)


def test_a_link_that_cannot_be_made_is_named(shell: Shell, folder: Path) -> None:
    file = folder / TYPE / "type.toml"
    file.write_text(file.read_text("utf-8").replace("/{{ session_id }}", "/{{ cost }}"), "utf-8")

    told = shell("lint", TYPE, "--from", folder)

    assert told.exit_code == 78
    assert f"{TYPE}/type.toml: link, line 1: there is no field cost" in told.stderr


def test_warnings_pass_unless_one_is_strict(shell: Shell, folder: Path) -> None:
    change(folder, "{{ station }}", "{{ station }} 🎉", "en")

    usual, strict = shell("lint", TYPE, "--from", folder), shell("lint", TYPE, "--from", folder, "--strict")

    assert (usual.exit_code, strict.exit_code) == (0, 1)
    assert "“🎉” is not in the GSM-7 alphabet" in usual.stdout


def test_what_is_live_is_checked_without_a_folder(shell: Shell) -> None:
    assert shell("lint", TYPE, "station-available").exit_code == 0


@pytest.mark.parametrize(
    "command",
    [
        ["lint", "nobody"], ["lint", "nobody", "--from", TEMPLATES], ["render", "nobody"], ["diff", "nobody"],
        ["publish", "nobody"], ["rollback", "nobody", "1", "--why", "x"], ["versions", "nobody"],
    ],
    ids=lambda command: " ".join(map(str, command[:1])),
)  # fmt: skip
def test_a_type_that_is_not_there_is_told_with_those_that_are(shell: Shell, command: list[Any]) -> None:
    told = shell(*command)

    assert (told.exit_code, told.stdout) == (1, "")
    assert "there is no notification type 'nobody'; there are charging-complete, " in told.stderr


# ── render


def test_what_people_read_is_shown_by_channel(shell: Shell) -> None:
    told = shell("render", TYPE, "--locale", "de-AT", "--sample", "Limit reached")

    assert told.exit_code == 0
    assert told.stdout.startswith("push\n  title: Dein Ladelimit ist erreicht\n")
    assert "\nsms\n  text: Voltline: Dein Ladelimit" in told.stdout


def test_a_folders_texts_are_shown_as_json(shell: Shell, folder: Path) -> None:
    change(folder, "[push]\n", '[push]\naction = "Öffnen"\n')
    change(folder, 'title = "', 'title = "Neu: ')

    told = read(shell("render", TYPE, "--locale", "de", "--from", folder, "--json"))

    assert list(told) == ["push", "sms", "inbox"]
    assert (told["push"]["title"], told["push"]["action"]) == ("Neu: Dein Auto ist voll geladen", "Öffnen")
    assert "image" not in told["push"]


@pytest.mark.parametrize("command", ["render", "diff"])
def test_texts_that_cannot_be_used_are_not_shown_but_named(shell: Shell, folder: Path, command: str) -> None:
    change(folder, "{{ station }}", "{{ statoin }}")

    told = shell(command, TYPE, "--from", folder)

    assert (told.exit_code, told.stdout) == (1, "")
    assert "(42207): de.toml: push.body: line 1: there is no field statoin" in told.stderr


def test_messages_that_take_too_long_to_make_are_told_so(shell: Shell, folder: Path) -> None:
    # Given a wording whose parts are allowed one by one, and together take a child's whole time
    change(folder, "{{ station }}", "{{ station }}{{ energy_kwh | energy }}" * 800)
    texts = (folder / TYPE / "de.toml").read_text("utf-8")
    for locale in (
        "af",
        "bg",
        "bn",
        "br",
        "bs",
        "ca",
        "cs",
        "cy",
        "da",
        "el",
        "et",
        "eu",
        "fa",
        "fi",
        "fo",
        "ga",
        "gl",
    ):
        (folder / TYPE / f"{locale}.toml").write_text(texts, "utf-8")

    told = shell("render", TYPE, "--from", folder)

    assert (told.exit_code, told.stdout) == (1, "")
    assert "make the texts simpler or shorter" in told.stderr


def test_a_sample_that_is_not_there_is_told_with_those_that_are(shell: Shell) -> None:
    told = shell("render", TYPE, "--sample", "Nothing like it")

    assert told.exit_code == 1
    assert "it has Full, with an idle fee, Limit reached" in told.stderr


# ── diff


def test_what_would_change_is_told_with_fields_segments_and_examples(shell: Shell, folder: Path) -> None:
    # Given a German text that leaves a field out, tells another, and takes two SMS
    change(
        folder,
        "{{ station }}{% if energy_kwh %}: {{ energy_kwh",
        "{{ completed_at | time }}, " + "viele Worte, " * 9 + "{% if energy_kwh %}{{ energy_kwh",
    )

    # When it is held against what is live
    told, document = shell("diff", TYPE, "--from", folder), read(shell("diff", TYPE, "--from", folder, "--json"))

    # Then that is what it says, in words and as JSON
    assert told.exit_code == 0
    assert "de sms +completed_at -station SMS 1 → 2" in told.stdout
    assert "  Limit reached\n  - Voltline: Dein Ladelimit" in told.stdout
    (sms,) = (each for each in document["changed"] if each["channel"] == "sms")
    assert (sms["locale"], sms["gained"], sms["lost"], sms["segments"]) == ("de", ["completed_at"], ["station"], [1, 2])
    assert "viele Worte" in sms["examples"][0]["after"]


def test_a_language_more_or_less_is_told(shell: Shell, folder: Path) -> None:
    shutil.copy(folder / TYPE / "en.toml", folder / TYPE / "nl.toml")
    (folder / TYPE / "fr.toml").unlink()

    told = shell("diff", TYPE, "--from", folder)

    assert "+ nl is added\n- fr is removed\n" in told.stdout


def test_where_nothing_changes_that_is_said(shell: Shell, folder: Path) -> None:
    assert shell("diff", TYPE, "--from", folder).stdout == "No message changes.\n"


def test_without_a_folder_or_a_draft_there_is_nothing_to_compare(shell: Shell) -> None:
    told = shell("diff", TYPE)

    assert told.exit_code == 1
    assert f"{TYPE} has no draft; edit it in the console, or name a folder by --from" in told.stderr


# ── publish, roll back


def test_an_error_keeps_texts_in_whatever_the_reason(shell: Shell, folder: Path) -> None:
    change(folder, "{{ station }}", "{{ statoin }}")

    told = shell("publish", TYPE, "--from", folder, "--why", "it has to")

    assert told.exit_code == 1
    assert "there is no field statoin" in told.stdout
    assert told.stdout.endswith("Not published: fix the errors, or give --why.\n")
    assert len(read(shell("versions", TYPE, "--json"))) == 1


def test_a_warning_asks_for_a_reason_and_the_history_keeps_it(shell: Shell, folder: Path) -> None:
    # Given a text with a doubt
    change(folder, "{{ brand }}:", "{{ brand }}: 🎉", "en")

    # When it is published without a reason, and with one
    without = shell("publish", TYPE, "--from", folder, "--json")
    given = shell("publish", TYPE, "--from", folder, "--why", "people like it", "--json")

    # Then it goes out only for the reason, which stands in the history
    assert (without.exit_code, read(without)["version"]) == (1, None)
    assert (given.exit_code, read(given)["version"]) == (0, 2)
    assert {each["code"] for each in read(given)["findings"] if each["level"] == "warning"} == {"segments", "ucs2"}
    last = read(shell("versions", TYPE, "--json"))[0]
    assert (last["number"], last["origin"], last["why"]) == (2, "import", "people like it")
    assert last["actor"].startswith("cli:")
    assert "🎉" in last["wording"]["en"]["sms"]["text"]


def test_an_earlier_version_comes_back_as_a_new_one(shell: Shell, folder: Path) -> None:
    change(folder, "{{ brand }}:", "{{ brand }} –")
    assert shell("publish", TYPE, "--from", folder).stdout.endswith(f"{TYPE} is at version 2.\n")

    told = shell("rollback", TYPE, 1, "--why", "it confused people")

    assert told.stdout == f"{TYPE} is at version 3, with the texts of version 1.\n"
    assert "rollback:1" in shell("versions", TYPE).stdout
    assert shell("diff", TYPE, "--from", TEMPLATES).stdout == "No message changes.\n"
    assert shell("rollback", TYPE, 9, "--why", "x").exit_code == 1


# ── export


def test_what_is_exported_comes_back_as_it_was(shell: Shell, folder: Path, tmp_path: Path) -> None:
    # Given texts with everything that a file can hold
    change(folder, "[push]", '[push]\nimage = "https://i.example/{{ station }}.png"\naction = "\\"Ja\\""', "en")
    change(folder, "{{ brand }}:", "{{ brand }}:\\n\\t", "de")
    shell("publish", TYPE, "--from", folder, "--why", "try")

    # When they are exported, and published from there
    first, second = tmp_path / "first", tmp_path / "second"
    told = shell("export", first, TYPE)
    again = shell("diff", TYPE, "--from", first)
    shell("publish", TYPE, "--from", first, "--why", "again")
    shell("export", second, TYPE)

    # Then nothing changes for anybody, and git sees no difference
    assert told.stdout == f"4 files are in {first}.\n"
    assert again.stdout == "No message changes.\n"
    assert {file.name: file.read_text("utf-8") for file in (first / TYPE).iterdir()} == {
        file.name: file.read_text("utf-8") for file in (second / TYPE).iterdir()
    }


def test_all_types_are_listed_and_exported(shell: Shell, tmp_path: Path) -> None:
    listed = read(shell("list", "--json"))
    shell("export", tmp_path / "all")

    assert {each["type"] for each in listed} == {file.name for file in (tmp_path / "all").iterdir()}
    assert {(each["version"], each["draft"]) for each in listed} == {(1, False)}
    assert "charging-complete" in shell("list").stdout
