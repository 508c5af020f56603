"""The command line as an administrator meets it."""

import asyncio
import getpass
import json
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from notifier.cli import COMMANDS, main
from notifier.runtime.settings import every
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.people import recipients


@pytest.fixture
def shell(tmp_path: Path) -> "Shell":
    return Shell(tmp_path)


class Shell:
    """Runs commands on a database of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'notifier.db'}"

    def __call__(self, *arguments: str, **environment: str) -> Result:
        given = {
            "NOTIFIER_DATABASE_URL": self.url,
            **{f"NOTIFIER_{name.upper()}": v for name, v in environment.items()},
        }
        return CliRunner().invoke(main, arguments, env=given)


def test_every_command_explains_itself(shell: Shell) -> None:
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        told = shell(name, "--help")
        assert command is not None
        assert told.exit_code == 0
        assert command.help, f"{name} has no help"
        assert command.help.splitlines()[0] in told.output.replace("\n  ", " ")


def test_a_database_without_its_schema_says_how_to_mend_it(shell: Shell) -> None:
    told = shell("ledger")

    assert told.exit_code == 78
    assert "run `notifier db upgrade`" in told.output


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"port": "high"}, "NOTIFIER_PORT"),
        ({"prot": "1"}, "NOTIFIER_PROT"),
        ({"database_url": "oracle://x/y"}, "oracle"),
    ],
)
def test_a_setting_that_is_nonsense_is_named_and_ends_with_the_status_for_configuration(
    shell: Shell, environment: dict[str, str], said: str
) -> None:
    told = shell("ledger", **environment)

    assert told.exit_code == 78
    assert said in told.output


def test_a_new_database_is_made_in_one_line_and_of_an_old_one_each_change_is_told(shell: Shell, tmp_path: Path) -> None:
    # Given no tables, then all there is to tell is that they are there
    made = shell("db", "upgrade")
    assert (made.exit_code, made.output.count("\n")) == (0, 1), made.output

    # Given an upgrade that ended before its second revision, then what is left of it is told, change by change
    old = f"sqlite:///{tmp_path / 'old.db'}"

    def tell(what: str) -> None:
        if what.startswith("column event.cursor"):
            raise RuntimeError(what)

    async def upgrade() -> None:
        database = Database(old)
        try:
            await migrate.upgrade(database, tell)
        finally:
            await database.close()

    with pytest.raises(RuntimeError):
        asyncio.run(upgrade())
    ended = shell("db", "upgrade", database_url=old)
    assert ended.stderr.startswith("column event.cursor")
    assert ended.stdout == made.stdout


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(shell: Shell) -> None:
    # Given a key
    shell("db", "upgrade")
    text = shell("keys", "create", "billing", "--scope", "events:write").output.strip()
    _, id_, secret = text.split("_")

    # When it is listed, then its secret is not there
    listed = shell("keys", "list", "--json").output
    assert json.loads(listed)[0] | {"created": ""} == {
        "id": id_, "name": "billing", "scopes": "events:write", "created": "", "revoked": None, "expires": None,
        "used": None, "sources": "", "types": "", "rate": None, "daily": None, "parties": "",
        "test": False, "replaced_by": None,
    }  # fmt: skip
    assert secret not in listed

    # And when it is revoked, it can't be again
    assert shell("keys", "revoke", id_).exit_code == 0
    again = shell("keys", "revoke", id_)
    assert again.exit_code == 1
    assert "notifier keys list" in again.output


def test_a_test_key_is_made_and_listed_as_such_and_has_no_scope_about_real_people(shell: Shell) -> None:
    shell("db", "upgrade")
    scopes = ("--scope", "events:write", "--scope", "deliveries:read")

    made = shell("keys", "create", "staging", "--test", *scopes).output.strip()
    refused = shell("keys", "create", "staging", "--test", *scopes, "--scope", "recipients:write")

    (told,) = json.loads(shell("keys", "list", "--json").output)
    assert (made[:9], told["id"], told["test"]) == ("ntf_test_", made.split("_")[2], True)
    assert refused.exit_code == 2
    assert "not recipients:write: that is about real people" in " ".join(refused.output.replace("│", " ").split())
    again = shell("keys", "rotate", told["id"]).output
    assert again.startswith("ntf_test_")


def test_a_key_is_bound_and_the_audit_tells_who_made_and_who_ended_it(shell: Shell) -> None:
    # Given a key that is bound to a source and a type, with a rate and an end
    shell("db", "upgrade")
    bounds = (
        "--source",
        "csms/*",
        "--type",
        "charging.complete",
        "--rate",
        "50",
        "--daily",
        "9000",
        "--expires-in",
        "90 d",
    )
    id_ = shell("keys", "create", "csms", "--scope", "events:write", *bounds).output.split("_")[1]
    (told,) = json.loads(shell("keys", "list", "--json").output)
    assert (told["sources"], told["types"]) == ("csms/*", "charging.complete")
    assert (told["rate"], told["daily"]) == (50.0, 9000)
    assert told["expires"] > told["created"]

    # When it is revoked, then both stand in the audit
    shell("keys", "revoke", id_)
    connection = sqlite3.connect(shell.folder / "notifier.db")
    audited = connection.execute("SELECT action, subject, actor FROM audit ORDER BY action").fetchall()
    connection.close()
    assert audited == [(action, id_, f"cli:{getpass.getuser()}") for action in ("key.create", "key.revoke")]


@pytest.mark.parametrize(
    "bounds",
    [
        ("--type", "no.such"),
        ("--expires-in", "soon"),
        *(("--daily", daily) for daily in ("0", "-1", "1.5", "9" * 30)),
        ("--source", ""),
        ("--source", "csms/*/berlin"),
        ("--source", "x" * 1001),
        *(("--rate", rate) for rate in ("0", "-1", "nan", "inf", "1e300", "fast")),
    ],
)
def test_bounds_that_make_no_sense_are_refused_by_name(shell: Shell, bounds: tuple[str, str]) -> None:
    shell("db", "upgrade")

    told = shell("keys", "create", "csms", "--scope", "events:write", *bounds)

    assert told.exit_code == 2
    assert bounds[0] in told.output


def test_a_key_is_rotated_and_both_are_valid_until_the_overlap_is_over(shell: Shell) -> None:
    # Given a key with bounds that is valid for 90 days
    shell("db", "upgrade")
    bounds = ("--source", "csms/*", "--type", "charging.complete", "--rate", "50", "--expires-in", "90 d")
    old = shell("keys", "create", "csms", "--scope", "events:write", *bounds).output.split("_")[1]

    # When it is rotated
    new = shell("keys", "rotate", old, "--overlap", "2 d").output.split("_")[1]

    # Then the list says which key takes its place, with the same bounds and as long a life, and when it ends
    first, second = json.loads(shell("keys", "list", "--json").output)
    same = ("name", "scopes", "sources", "types", "rate", "parties")
    assert (first["id"], first["replaced_by"], second["id"], second["replaced_by"]) == (old, new, new, None)
    assert [first[name] for name in same] == [second[name] for name in same]
    begins, ends = (datetime.fromisoformat(at) for at in (second["created"], first["expires"]))
    assert ends - begins == timedelta(days=2)
    assert datetime.fromisoformat(second["expires"]) - begins == timedelta(days=90)

    # And it can't be rotated again, but its successor can
    again = shell("keys", "rotate", old)
    assert again.exit_code == 1
    assert "notifier keys list" in again.output
    assert shell("keys", "rotate", new).exit_code == 0
    connection = sqlite3.connect(shell.folder / "notifier.db")
    audited = connection.execute("SELECT subject, detail FROM audit WHERE action = 'key.rotate' ORDER BY at").fetchall()
    connection.close()
    assert audited[0] == (old, f"replaced by {new}")
    assert audited[1][0] == new


@pytest.mark.parametrize("overlap", ["soon", "-1 d", "0 d"])
def test_an_overlap_that_is_no_time_is_refused_by_name(shell: Shell, overlap: str) -> None:
    told = shell("keys", "rotate", "0" * 16, "--overlap", overlap)

    assert told.exit_code == 2
    assert "--overlap" in told.output


@pytest.mark.parametrize(
    ("given", "kept"), [(["de*abc", "BE-BEC"], "DE*ABC BE*BEC"), (["DEABC"], "DE*ABC"), (["any"], "")]
)
def test_a_key_for_ocpi_names_the_parties_that_it_speaks_for(shell: Shell, given: list[str], kept: str) -> None:
    shell("db", "upgrade")
    parties = [part for each in given for part in ("--ocpi-party", each)]

    assert shell("keys", "create", "hub", "--scope", "ocpi", *parties).exit_code == 0

    assert json.loads(shell("keys", "list", "--json").output)[0]["parties"] == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--ocpi-party"),
        (["--ocpi-party", "DE*ABCD"], "DE*ABC"),
        (["--ocpi-party", "any", "--source", "csms/*"], "sources and types"),
        (["--ocpi-party", "any", "--type", "charging.complete"], "sources and types"),
    ],
)
def test_a_key_for_ocpi_without_a_party_or_with_bounds_that_are_none_is_not_made(
    shell: Shell, given: list[str], said: str
) -> None:
    shell("db", "upgrade")

    told = shell("keys", "create", "hub", "--scope", "ocpi", *given)

    assert told.exit_code == 2
    assert said in told.output


def test_importing_recipients_tells_bad_lines_and_writes_the_others(shell: Shell) -> None:
    # Given a file of three recipients, one with a phone that can't exist
    shell("db", "upgrade")
    file = shell.folder / "people.ndjson"
    chosen = {"switches": {"charging": {"sms": False}}, "quiet_hours": {"from": "22:00", "until": "07:00"}}
    good = {"id": "ada", "email": "ada@example.com", "tokens": ["T1"], "preferences": chosen}
    file.write_text("\n".join(map(json.dumps, [good, {"id": "bob", "phone": "+49 99"}, {"id": "eve"}])))

    # When it is imported
    told = shell("recipients", "import", str(file), "--json")

    # Then the exit status says that something was left out, and the line says what
    assert told.exit_code == 1
    assert json.loads(told.stdout.splitlines()[-1]) == {"written": 2, "refused": 1}
    assert "line 2: phone" in told.stderr
    assert "+49 99" not in told.stderr

    async def found() -> list[bool]:
        database = Database(shell.url)
        try:
            return [await recipients.get(database, id_) is not None for id_ in ("ada", "bob", "eve")]
        finally:
            await database.close()

    assert asyncio.run(found()) == [True, False, True]

    # And what a line says of preferences is what the person chose, as the shell's user had it from them
    exported = json.loads(shell("recipients", "export", "ada").output)
    assert exported["recipient"]["preferences"] == chosen
    ((actor, preferences),) = [(each["actor"], each["preferences"]) for each in exported["preference_history"]]
    assert (actor, preferences) == (f"cli:{getpass.getuser()}", chosen)


def test_recipients_are_imported_from_standard_input_too(shell: Shell) -> None:
    shell("db", "upgrade")

    told = CliRunner().invoke(
        main,
        ["recipients", "import", "-"],
        env={"NOTIFIER_DATABASE_URL": shell.url},
        input='{"id": "ada", "email": "ada@example.com"}\n',
    )

    assert (told.exit_code, told.stdout) == (0, "1 written, 0 refused.\n")
    assert json.loads(shell("recipients", "export", "ada").output)["recipient"]["email"] == "ada@example.com"


def test_a_recipient_is_erased_once_it_is_confirmed_and_is_then_nobodys(shell: Shell) -> None:
    # Given a recipient
    shell("db", "upgrade")
    file = shell.folder / "people.ndjson"
    file.write_text('{"id": "ada", "email": "ada@example.com"}')
    shell("recipients", "import", str(file))

    # When erasing is asked for and not confirmed, then nothing happens
    assert shell("recipients", "erase", "ada").exit_code == 1
    assert json.loads(shell("recipients", "export", "ada").output)["recipient"]["email"] == "ada@example.com"

    # When it is, then there is nothing left to export; and again does no harm
    for _ in range(2):
        assert shell("recipients", "erase", "ada", "--yes").exit_code == 0
    gone = shell("recipients", "export", "ada")
    assert (gone.exit_code, "no recipient ada" in gone.stderr) == (1, True)
    assert shell("ledger", "--check").exit_code == 0


def test_an_empty_ledger_balances(shell: Shell) -> None:
    shell("db", "upgrade")

    told = shell("ledger", "--json", "--check")

    assert told.exit_code == 0
    assert json.loads(told.output)["balanced"] is True


def test_sending_without_a_key_or_with_data_that_is_not_json_says_what_to_do(shell: Shell) -> None:
    assert "notifier keys create" in shell("send", "charging.complete").output

    told = shell("send", "charging.complete", "--data", "{", api_key="ntf_1_2")

    assert told.exit_code == 2
    assert "not JSON" in told.output


def test_the_doctor_lists_every_setting_and_masks_secrets(shell: Shell) -> None:
    told = shell("doctor", "--settings", api_key="ntf_a_canary")

    assert told.exit_code == 0
    listed = [line.partition("=") for line in told.output.splitlines() if line.startswith("NOTIFIER_")]
    assert [name for name, _, _ in listed] == [f"NOTIFIER_{name.upper()}" for name in every()]
    assert ("NOTIFIER_API_KEY", "=", "…") in listed
    assert "canary" not in told.output + shell("doctor", "--settings", "--json", api_key="ntf_a_canary").output
