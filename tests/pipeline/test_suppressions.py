"""Addresses that are bad are not written to again: found by a receipt or at the send, and never anybody else's."""

import pytest
import sqlalchemy as sa

from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.receipts import Recorded
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.database import Database
from notifier.store.core.schema import suppression
from notifier.store.people import recipients
from tests.named import PUSH, SMS
from tests.pipeline.receipts import (
    MAILBOX,
    MOVED,
    NOTHING,
    PHONE,
    bounced,
    decided,
    gone,
    mail,
    row,
    suppressed,
    tell_one,
    text,
)
from tests.pipeline.samples import COMPLETE, NOW
from tests.pipeline.samples import Report as Tell


async def test_a_number_that_is_no_good_gets_no_more_texts_and_a_new_one_does(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Tell
) -> None:
    # Given a number that Twilio reports as unknown to its carrier
    first = await text(engine, report)
    assert await tell_one(engine, gone(first.id, PHONE)) == Recorded(moved=True, suppressed=True)
    assert await suppressed(engine) == ["bad_number"]

    # When there is more to tell the driver
    second = await text(engine, report, 2)

    # Then it ends just before the wire, with the reason
    assert (second.state, second.reason) == ("suppressed", "bad_number")
    assert sandbox.ledger.accepted(SMS, second.id) == 0

    # And when the driver has a new number, that one gets it
    await recipients.put(engine.database, {driver: RecipientDetails(phone="+4915198765432")}, NOW)
    third = await text(engine, report, 3)
    assert (third.state, sandbox.ledger.entries[-1].to) == ("sent", "+4915198765432")


async def test_a_replay_suppresses_nothing_anew(engine: WorkerEngine, driver: str, report: Tell) -> None:
    # Given a number that was suppressed, and that a person has put right since
    sent = await text(engine, report)
    await tell_one(engine, gone(sent.id, PHONE))
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.delete(suppression))

    # When the same receipt comes again
    assert await tell_one(engine, gone(sent.id, PHONE)) == NOTHING

    # Then it stays right
    assert await suppressed(engine) == []


async def test_a_mailbox_that_bounced_gets_no_more_mail_and_the_number_still_gets_texts(
    engine: WorkerEngine, driver: str, report: Tell
) -> None:
    first = await mail(engine, report)

    # When a bounce names the mailbox, in capitals
    assert await tell_one(engine, bounced(first.id, "ADA@example.com")) == Recorded(moved=True, suppressed=True)

    # Then the next mail is not sent, and texts are
    after, second = await row(engine, first.id), await mail(engine, report, 2)
    assert (after.state, after.code, after.provider) == ("undelivered", "5.1.1", "smtp")
    assert (second.state, second.reason) == ("suppressed", "bounced")
    assert (await text(engine, report)).state == "sent"


async def test_a_bounce_can_speak_of_no_other_mailbox(engine: WorkerEngine, driver: str, report: Tell) -> None:
    # Given somebody who knows a delivery and writes a bounce that names the neighbours too
    await recipients.put(engine.database, {"bea": RecipientDetails(email="bea@example.com")}, NOW)
    sent = await mail(engine, report)

    # When it comes
    assert await tell_one(engine, bounced(sent.id, "bea@example.com", "eve@example.com")) == MOVED

    # Then nobody's mailbox is suppressed
    assert await suppressed(engine) == []


async def test_a_bounce_of_an_old_mailbox_does_no_harm_to_the_new_one(
    engine: WorkerEngine, driver: str, report: Tell
) -> None:
    sent = await mail(engine, report)
    await recipients.put(
        engine.database, {driver: RecipientDetails(email="new@example.com", tokens=["NL-TST-C1"])}, NOW
    )

    assert await tell_one(engine, bounced(sent.id, MAILBOX)) == MOVED
    assert (await mail(engine, report, 2)).state == "sent"


@pytest.mark.parametrize(
    ("code", "status", "ended", "reason"),
    [(21211, 400, ("failed", "address_gone"), "bad_number"), (21610, 400, ("suppressed", "opted_out"), "stopped")],
)
async def test_a_number_that_twilio_refuses_at_once_is_suppressed_as_well(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Tell,
    code: int, status: int, ended: tuple[str, str], reason: str,
) -> None:  # fmt: skip
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=status, code=code, times=1))

    first, second = await text(engine, report), await text(engine, report, 2)

    assert (first.state, first.reason, first.code) == (*ended, str(code))
    assert (second.state, second.reason) == ("suppressed", reason)


async def test_a_mailbox_that_the_server_refuses_at_once_is_suppressed_as_well(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Tell
) -> None:
    sandbox.faults.add(
        FaultRule(channel="email", action="fail", stage="rcpt", reply="550 5.1.1 No such mailbox", times=1)
    )

    first, second = await mail(engine, report), await mail(engine, report, 2)

    assert (first.state, first.reason, first.code) == ("failed", "address_gone", "5.1.1")
    assert (second.state, second.reason) == ("suppressed", "bounced")


async def test_a_device_that_is_gone_is_no_suppression(
    engine: WorkerEngine, sandbox: Sandbox, report: Tell, database: Database
) -> None:
    await recipients.put(database, {"ada": RecipientDetails(devices=[Device(value="token-1")], phone=PHONE)}, NOW)
    sandbox.faults.add(FaultRule(channel="push", action="fail", status=404, code="UNREGISTERED"))
    push = await decided(engine, await report("charging.complete", **COMPLETE), PUSH)

    await deliver(engine, PUSH, [push])

    assert ((await row(engine, push)).state, await suppressed(engine)) == ("failed", [])
