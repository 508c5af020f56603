"""What people write back is heeded at once, once, and outranks everything but their own START."""

from typing import Any

import pytest
import sqlalchemy as sa

from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText, Keyword
from notifier.domain.channels import channels
from notifier.domain.consent import Consent
from notifier.domain.deliveries import Reason
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.store.core.database import Database
from notifier.store.core.schema import consent, suppression
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.people import consents, recipients, suppressions
from notifier.store.people.suppressions import Suppression
from tests.named import SMS
from tests.pipeline.samples import COMPLETE, NOW, Report

PHONE = "+4915123456789"


def text(body: str, sid: int, number: str = PHONE, **more: str) -> IncomingText:
    return IncomingText(number=number, body=body, sid=f"SM{sid:032x}", **more)


async def suppress(database: Database, reason: Reason) -> None:
    key = await suppressions.address_key(database)
    found = [Suppression(key(SMS, PHONE), reason)]
    await database.write(lambda connection: suppressions.add(connection, database.dialect, found, NOW))


async def rows(database: Database, table: sa.FromClause) -> list[Any]:
    async with database.engine.connect() as connection:
        return list(await connection.execute(sa.select(table)))


async def reasons(database: Database) -> list[str]:
    return [row.reason for row in await rows(database, suppression)]


@pytest.fixture
async def ada(database: Database) -> None:
    await recipients.put(database, {"ada": RecipientDetails(phone=PHONE, locale="de-AT")}, NOW)


async def test_after_stop_nothing_more_is_sent_until_start(
    engine: WorkerEngine, sandbox: Sandbox, ada: None, report: Report
) -> None:
    # Given a text that is decided and not sent yet
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    (waiting,) = [row for row in await rows(engine.database, delivery) if row.channel == "sms"]

    # When the driver writes STOP, then it is confirmed in her language, and the text ends unsent
    assert await heed(engine.database, text("Stop.", 1), NOW) == (Keyword.STOP, "de-AT")
    await deliver(engine, SMS, [waiting.id])
    (ended,) = [row for row in await rows(engine.database, delivery) if row.channel == "sms"]
    assert (ended.state, ended.reason, sandbox.ledger.entries) == ("suppressed", "stopped", [])

    # When she writes START, then the next one goes out
    assert await heed(engine.database, text("Start", 2), NOW) == (Keyword.START, "de-AT")
    await decide(engine, [await report("charging.complete", **{**COMPLETE, "session_id": "102"})])
    ids = [row.id for row in await rows(engine.database, delivery) if row.channel == "sms"]
    assert await deliver(engine, SMS, ids) == 1
    assert [entry.to for entry in sandbox.ledger.entries] == [PHONE]


async def test_a_second_stop_and_a_start_without_one_are_not_answered(database: Database, ada: None) -> None:
    assert await heed(database, text("yes", 1), NOW) is None
    assert await heed(database, text("STOP", 2), NOW) is not None
    assert await heed(database, text("stop!", 3), NOW + 1) is None

    (row,) = await rows(database, suppression)
    assert (row.reason, row.since) == ("stopped", NOW)


async def test_a_replay_moves_nothing_back(database: Database, ada: None) -> None:
    # Given a STOP and a START after it
    stop, start = text("STOP", 1), text("START", 2)
    await heed(database, stop, NOW)
    await heed(database, start, NOW)

    # When the STOP is told once more, then the number is still good; and the other way round
    assert await heed(database, stop, NOW) is None
    assert await reasons(database) == []
    await heed(database, text("STOP", 3), NOW)
    assert await heed(database, start, NOW) is None
    assert await reasons(database) == ["stopped"]


async def test_start_lifts_a_stop_and_nothing_that_a_provider_found(database: Database, ada: None) -> None:
    await suppress(database, Reason.BAD_NUMBER)

    assert await heed(database, text("START", 1), NOW) is None
    assert await reasons(database) == ["bad_number"]


async def test_a_stop_stands_over_what_a_provider_found_and_not_the_other_way_round(
    database: Database, ada: None
) -> None:
    await suppress(database, Reason.BAD_NUMBER)
    assert await heed(database, text("STOP", 1), NOW + 1) is not None
    await suppress(database, Reason.BAD_NUMBER)

    assert [(row.reason, row.since) for row in await rows(database, suppression)] == [("stopped", NOW + 1)]


async def test_of_several_findings_about_one_number_the_stop_counts_whatever_their_order(database: Database) -> None:
    found = [Suppression("k" * 32, Reason.STOPPED), Suppression("k" * 32, Reason.BAD_NUMBER)]

    news = await database.write(lambda connection: suppressions.add(connection, database.dialect, found, NOW))

    assert (news, await reasons(database)) == (1, ["stopped"])


async def test_help_is_answered_and_changes_nothing(database: Database, ada: None) -> None:
    for sid in (1, 2):
        assert await heed(database, text("Help", sid), NOW) == (Keyword.HELP, "de-AT")
    assert (await rows(database, suppression), await rows(database, audit)) == ([], [])


async def test_any_other_text_changes_nothing(database: Database, ada: None) -> None:
    assert await heed(database, text("don't stop", 1), NOW) is None
    assert await heed(database, text("STOP", 2, number="VOLTLINE"), NOW) is None
    assert (await rows(database, suppression), await rows(database, audit)) == ([], [])


async def test_a_number_that_nobody_has_can_stop_too_and_stays_stopped_for_who_gets_it(
    engine: WorkerEngine, sandbox: Sandbox, report: Report
) -> None:
    assert await heed(engine.database, text("STOP", 1), NOW) == (Keyword.STOP, None)

    await recipients.put(engine.database, {"ada": RecipientDetails(phone=PHONE)}, NOW)
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    await deliver(engine, SMS, [row.id for row in await rows(engine.database, delivery) if row.channel == "sms"])

    assert sandbox.ledger.entries == []


async def test_what_twilio_has_answered_is_done_and_not_answered_twice(database: Database, ada: None) -> None:
    assert await heed(database, text("ARRET", 1, opt_out_type="STOP"), NOW) is None
    assert await reasons(database) == ["stopped"]


async def test_the_audit_tells_what_was_asked_and_no_number(database: Database, ada: None) -> None:
    await heed(database, text("STOP", 1), NOW)
    await heed(database, text("START", 2), NOW + 1)

    told = await rows(database, audit)
    assert sorted((row.at, row.actor, row.action) for row in told) == [
        (NOW, "recipient", "sms.stop"),
        (NOW + 1, "recipient", "sms.start"),
    ]
    assert PHONE[1:] not in str(told)


async def test_stop_ends_the_consent_of_everybody_with_the_number_and_start_alone_does_not_bring_it_back(
    database: Database, ada: None
) -> None:
    # Given two people with one number who agreed to offers on every channel, and somebody else who did
    await recipients.put(database, {"bob": RecipientDetails(phone=PHONE), "eve": RecipientDetails()}, NOW)
    agreed = Consent(category="offers", channel="all", granted=True, wording="2026-03", source="app")
    said = {id_: [agreed] for id_ in ("ada", "bob", "eve")}
    await database.write(lambda connection: consents.append(connection, database.dialect, said, "app", NOW))

    # When STOP and START come, each of them twice
    for body, sid in (("please stop", 1), ("START", 2)):
        for _ in range(2):
            await heed(database, text(body, sid), NOW + sid)

    # Then texts may come again, offers by text not; and the ledger says why, once
    assert await reasons(database) == []
    for id_, by_text in (("ada", False), ("bob", False), ("eve", True)):
        held = await consents.get(database, id_, 10)
        assert held is not None
        counts, ledger = held
        assert counts == {"offers": {channel.value: channel != SMS or by_text for channel in channels()}}
        words = [(each.wording, each.source, each.actor, each.granted, each.category) for each in ledger[:-1]]
        expected = [("START", "sms", "recipient", True, "all"), ("STOP", "sms", "recipient", False, "all")]
        assert words == ([] if by_text else expected)
    assert len(await rows(database, consent)) == 7
