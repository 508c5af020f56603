"""`notifier bounces` as a mail server and an administrator call it."""

import asyncio
import json
import mailbox
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from notifier.cli import main
from notifier.domain.deliveries import Lane, State
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.database import Database
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import deliveries
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.people import recipients
from tests.channels.email.reports import DELIVERY, POSTFIX, YAHOO, arf, dsn
from tests.named import EMAIL

OTHER = "6f" * 16


@pytest.fixture
def url(tmp_path: Path, empty_sqlite: Path) -> str:
    """A database with two mails that were sent."""
    file = tmp_path / "notifier.db"
    shutil.copy(empty_sqlite, file)
    asyncio.run(_fill(f"sqlite:///{file}"))
    return f"sqlite:///{file}"


async def _fill(url: str) -> None:
    database = Database(url, connections=1)
    await recipients.put(database, {"ada": RecipientDetails(email="ada@example.com")}, 1)
    new = [
        NewDelivery(
            id=id_, event_id=id_, recipient_id="ada", type="session-receipt", channel=EMAIL, target="",
            lane=Lane.NORMAL, subject_key=id_, state=State.SENT, reason=None, created_at=1, updated_at=1, due_at=1,
            expires_at=2, next_check_at=None,
        )
        for id_ in (DELIVERY, OTHER)
    ]  # fmt: skip
    await database.write(lambda connection: deliveries.add(connection, database.dialect, new))
    await database.close()


def states(url: str) -> dict[str, tuple[str, str | None]]:
    async def read() -> dict[str, tuple[str, str | None]]:
        database = Database(url, connections=1)
        async with database.engine.connect() as connection:
            found = {row.id: (row.state, row.code) for row in await connection.execute(sa.select(delivery))}
        await database.close()
        return found

    return asyncio.run(read())


def run(url: str, *arguments: str, mail: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["bounces", *arguments], input=mail, env={"NOTIFIER_DATABASE_URL": url})


def lines(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_a_mail_server_pipes_a_bounce_in(url: str) -> None:
    # When Postfix hands over a bounce, and the same once more
    first, again = (run(url, "--json", mail=POSTFIX.encode()) for _ in range(2))

    # Then the delivery is undelivered and its mailbox suppressed, once
    told = {"delivery": DELIVERY, "action": "failed", "code": "5.1.1"}
    assert lines(first) == [{**told, "moved": True, "suppressed": True}]
    assert lines(again) == [{**told, "moved": False, "suppressed": False}]
    assert states(url) == {DELIVERY: ("undelivered", "5.1.1"), OTHER: ("sent", None)}


def test_a_mail_server_pipes_a_complaint_in(url: str) -> None:
    # When a provider's feedback report comes, and the same once more
    first, again = (run(url, "--json", mail=YAHOO.encode()) for _ in range(2))

    # Then consent to marketing by mail is taken back, once, and the mail stays as it was
    told = {"delivery": DELIVERY, "feedback": "abuse"}
    assert lines(first) == [{**told, "withdrawn": True}]
    assert lines(again) == [{**told, "withdrawn": False}]
    assert states(url) == {DELIVERY: ("sent", None), OTHER: ("sent", None)}


def test_bounces_and_complaints_of_one_mailbox_are_each_taken_as_what_they_are(url: str, tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "mbox")
    for mail in (arf("fraud"), dsn("5.2.2", reference=OTHER), YAHOO.encode(), b"To: x\n\nHello.\n"):
        box.add(mail)
    box.close()

    told = lines(run(url, "--json", str(tmp_path / "mbox")))

    assert [line.get("feedback") for line in told] == ["fraud", None, "abuse", None]
    assert [line.get("moved") for line in told] == [None, True, None, False]
    assert [line.get("withdrawn") for line in told] == [False, None, True, None]


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        (POSTFIX.encode(), f"{DELIVERY}: undelivered, 5.1.1; its mailbox is suppressed."),
        (dsn("5.2.2"), f"{DELIVERY}: undelivered, 5.2.2."),
        (dsn("4.4.1", "delayed"), "Nothing to do: delayed."),
        (arf(), f"{DELIVERY}: a complaint; its recipient gets no more marketing by e-mail."),
        (arf(mail=f"Message-ID: <{'0' * 32}@x>"), f"{'0' * 32}: a complaint, already known."),
        (arf(mail="X: y"), "Nothing to do: feedback abuse."),
        (arf("not-spam"), "Nothing to do: feedback not-spam."),
        (dsn(reference="0" * 32), f"{'0' * 32}: already known."),
        (b"To: a@example.com\n\nI am away.", "This mail is neither a bounce nor a complaint."),
        (b"", "This mail is neither a bounce nor a complaint."),
        (b"\xff" * 2_000_000, "This mail is neither a bounce nor a complaint."),
    ],
)
def test_it_says_in_words_what_it_did_and_never_whom_it_is_about(url: str, mail: bytes, said: str) -> None:
    result = run(url, "-", mail=mail)

    assert (result.exit_code, result.output) == (0, said + "\n")


def test_a_file_with_one_mail_an_mbox_and_a_maildir_are_read_alike(url: str, tmp_path: Path) -> None:
    # Given the same mails in an mbox and in a Maildir, one of them no bounce
    box, folder = mailbox.mbox(tmp_path / "mbox"), mailbox.Maildir(tmp_path / "maildir")
    for mail in (POSTFIX.encode(), b"To: x\n\nHello.\n", dsn("5.2.2", reference=OTHER)):
        box.add(mail)
        folder.add(mail)
    box.close()
    single = tmp_path / "mail.eml"
    single.write_bytes(POSTFIX.encode())

    # When each is read, one after the other
    told = [lines(run(url, "--json", str(tmp_path / name))) for name in ("mbox", "maildir", "mail.eml")]

    # Then the first does it all, and the others find nothing new
    assert [line["action"] for line in told[0]] == ["failed", None, "failed"]
    assert [line["moved"] for line in told[0]] == [True, False, True]
    assert sorted(str(line["delivery"]) for line in told[1]) == sorted([DELIVERY, OTHER, "None"])
    assert not any(line["moved"] for line in told[1] + told[2])
    assert {state for state, _ in states(url).values()} == {"undelivered"}


def test_a_file_that_is_not_there_is_told_by_its_status(url: str, tmp_path: Path) -> None:
    result = run(url, str(tmp_path / "nothing"))

    assert result.exit_code == 66
    assert "can't be read" in result.output


def test_a_database_that_does_not_answer_leaves_the_mail_with_the_mail_server() -> None:
    result = run("postgresql://nobody@127.0.0.1:1/none", mail=POSTFIX.encode())

    assert result.exit_code == 75


def test_a_setting_that_is_nonsense_ends_with_the_status_for_configuration() -> None:
    assert run("oracle://x/y", mail=POSTFIX.encode()).exit_code == 78
