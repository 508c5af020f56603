"""Mails that can be switched off say how, and it works; mails that can't don't."""

from email import message_from_bytes
from email.message import Message

from notifier.channels.email.messages import EmailMessage
from notifier.channels.email.sandbox import ReceivedMail
from notifier.domain.deliveries import State
from notifier.domain.links import Unsubscribe
from notifier.domain.preferences import Defaults
from notifier.people.choosing import Said, switch
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.prepare import prepare
from notifier.sandbox import Sandbox
from notifier.store.delivery import deliveries
from notifier.store.people import preferences
from tests.named import EMAIL
from tests.pipeline.samples import NOW, RECEIPT, Report
from tests.pipeline.test_way import deliver_all, rows
from tests.samples import EVENT, LINKS

FAILED = {**EVENT["data"], "driver_id": "ada"}


def mails(sandbox: Sandbox) -> list[Message]:
    """The mails that arrived."""
    return [message_from_bytes(e.content.raw) for e in sandbox.ledger.entries if isinstance(e.content, ReceivedMail)]


def part(mail: Message, kind: str) -> str:
    """The text of a part."""
    (found,) = [each for each in mail.walk() if each.get_content_type() == kind]
    content = found.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


async def test_a_mail_that_can_be_switched_off_has_its_link_in_the_header_and_in_the_footer(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    await decide(engine, [await report("payment.failed", **FAILED)])
    await deliver_all(engine)

    (mail,) = mails(sandbox)
    (sent,) = [row for row in await rows(engine) if row.channel == EMAIL]
    url = LINKS.unsubscribe_url("ada", "billing", EMAIL)
    # The one in the header says which mail it came with; those in the words are alike in all
    assert mail["List-Unsubscribe"] == f"<{LINKS.unsubscribe_url('ada', 'billing', EMAIL, sent.id)}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert url in part(mail, "text/plain")
    assert url in part(mail, "text/html")


async def test_a_receipt_and_what_a_tenant_locked_have_none(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    await preferences.put_defaults(engine.database, "network", Defaults(locked={"billing": []}), "test", NOW)
    for event in (await report("session.receipt", **RECEIPT), await report("payment.failed", **FAILED)):
        await decide(engine, [event])
    await deliver_all(engine)

    assert len(mails(sandbox)) == 2
    for mail in mails(sandbox):
        assert mail["List-Unsubscribe"] is None
        assert "/u/" not in part(mail, "text/plain")


async def test_whoever_unsubscribed_gets_the_texts_and_no_mail_not_even_one_that_was_under_way(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a mail that was decided, and its link used before it went out
    await decide(engine, [await report("payment.failed", **FAILED)])
    link = Unsubscribe("ada", "billing", EMAIL)
    assert await switch(engine.database, link, Said({}, "test", "v1"), on=False, now=NOW, categories={})
    await deliver_all(engine)

    # And one after it; and a receipt, which can't be switched off
    await decide(engine, [await report("payment.failed", **FAILED | {"attempt": 8})])
    await decide(engine, [await report("session.receipt", **RECEIPT)])
    await deliver_all(engine)

    found = [(row.type, row.state, row.reason) for row in await rows(engine) if row.channel == "email"]
    assert sorted(found) == [
        ("payment-failed", "suppressed", "switched_off"), ("payment-failed", "suppressed", "switched_off"),
        ("session-receipt", "sent", None),
    ]  # fmt: skip
    assert {row.state for row in await rows(engine) if row.channel == "sms"} == {"sent"}


async def test_a_mail_that_is_rendered_again_is_the_same_to_the_letter(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    await decide(engine, [await report("payment.failed", **FAILED)])
    (id_,) = [row.id for row in await rows(engine) if row.channel == "email"]
    (ready,) = await deliveries.load(engine.database, [id_], State.PENDING)

    first, later = (prepare(engine.catalog, engine.renderer, engine.links, ready, NOW + wait) for wait in (0, 60_000))

    assert isinstance(first.message, EmailMessage)
    assert first.message.unsubscribe_url
    assert first.words.content_hash == later.words.content_hash
