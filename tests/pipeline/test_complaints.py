"""Complaints: whoever called a mail spam gets no more marketing by e-mail, once, and it is counted."""

import asyncio
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY, MINUTE, ManualClock
from notifier.domain.consent import Consent
from notifier.domain.deliveries import Reason, State
from notifier.domain.effects import hour_of
from notifier.domain.segments import Segment
from notifier.domain.twins import twin
from notifier.pipeline import complaints
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.expand import expand
from notifier.sandbox import Sandbox
from notifier.store.core import audit
from notifier.store.core.schema import delivery as decided
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import effects
from notifier.store.people import consents, erasures, segments
from tests.named import EMAIL, PUSH
from tests.pipeline.receipts import bounced, mail, row, tell_one, text
from tests.pipeline.samples import NOW, OFFER, Report

GOLD = msgspec.convert({"name": "Gold", "all": [{"field": "locale", "operator": "eq", "value": "de-AT"}]}, Segment)


@pytest.fixture
async def customer(engine: WorkerEngine, driver: str) -> str:
    """A driver who belongs to a segment and agreed to offers by mail and push."""
    await segments.put(engine.database, "gold", GOLD, NOW)
    for channel in ("email", "push"):
        word = Consent(category="offers", channel=channel, granted=True, wording="2026-03", source="app")
        await consents.add(engine.database, driver, word, "test", NOW)
    return driver


async def offer(engine: WorkerEngine, report: Report, campaign: str, *, send: bool = True) -> dict[str, Any]:
    """The deliveries of one more campaign, by channel."""
    event = await report("marketing.offer", **{**OFFER, "campaign_id": campaign})
    while not await expand(engine, [event]):
        pass
    query = sa.select(delivery).where(delivery.c.event_id == event)
    async with engine.database.engine.connect() as connection:
        found = {each.channel: each.id for each in await connection.execute(query)}
    if send:
        await deliver(engine, EMAIL, [found["email"]])
        await deliver(engine, PUSH, [found["push"]])
    return {channel: await row(engine, id_) for channel, id_ in found.items()}


async def complain(engine: WorkerEngine, *ids: str) -> list[bool]:
    return await complaints.take(engine.database, ids, engine.clock.now())


async def complained(engine: WorkerEngine) -> list[tuple[str, str, str, int]]:
    """What is counted of complaints, by type, channel and locale."""
    hour = hour_of(engine.clock.now())
    found = await effects.read(engine.database, hour - 1_000, hour + 1)
    return [(each.type, each.channel, each.locale, each.number) for each in found if each.what == "complained"]


async def said(engine: WorkerEngine, person: str) -> list[tuple[str, str, bool, str]]:
    """The ledger of a person's consents, the latest first."""
    found = await consents.get(engine.database, person, 10)
    assert found is not None
    return [(each.category, each.channel, each.granted, each.wording) for each in found[1]]


async def test_whoever_complains_gets_no_more_marketing_by_mail_and_all_else(
    engine: WorkerEngine, clock: ManualClock, customer: str, report: Report
) -> None:
    # Given an offer that went out, and one that waits
    first = await offer(engine, report, "one")
    assert (first["email"].state, first["push"].state) == (State.SENT, State.SENT)
    second = await offer(engine, report, "two", send=False)

    # When a provider tells that its customer complained
    assert await complain(engine, first["email"].id) == [True]

    # Then the other one goes out by push alone, and so do those to come; and a receipt is mailed
    for channel in (EMAIL, PUSH):
        await deliver(engine, channel, [second[channel].id])
    waiting = await row(engine, second["email"].id)
    assert (waiting.state, waiting.reason) == (State.SUPPRESSED, Reason.NO_CONSENT)
    assert (await row(engine, second["push"].id)).state == State.SENT
    clock.advance(8 * DAY)  # so many offers may speak to one person in a week
    third = await offer(engine, report, "three")
    assert (third["email"].reason, third["push"].state) == (Reason.NO_CONSENT, State.SENT)
    assert (await mail(engine, report)).state == State.SENT


async def test_it_stands_in_the_consents_and_in_the_audit_and_is_counted_for_the_hour_of_the_mail(
    engine: WorkerEngine, clock: ManualClock, customer: str, report: Report
) -> None:
    # Given a mail
    sent = (await offer(engine, report, "one"))["email"]
    hour = hour_of(engine.clock.now())

    # When its complaint comes two days later
    clock.advance(2 * DAY)
    assert await complain(engine, sent.id) == [True]

    # Then the ledger tells why consent ended, the audit of which mail, and it counts for the mail's hour
    assert (await said(engine, customer))[0] == ("all", "email", False, "complained")
    (entry,) = (await audit.find(engine.database, "recipient", None, 10)).rows
    assert (entry.action, entry.subject, entry.at) == ("email.complaint", sent.id, engine.clock.now())
    assert await complained(engine) == [("offer", "email", "de", 1)]
    assert [each.hour for each in await effects.read(engine.database, hour, hour + 1)] == [hour]


async def test_a_repeat_changes_nothing_even_after_the_person_agreed_anew(
    engine: WorkerEngine, clock: ManualClock, customer: str, report: Report
) -> None:
    # Given a complaint that came twice in one batch, and several times at once
    sent = (await offer(engine, report, "one"))["email"]
    told = await asyncio.gather(*(complain(engine, sent.id, sent.id) for _ in range(4)))
    assert sorted(map(sorted, told)) == [[False, False]] * 3 + [[False, True]]
    assert len(await said(engine, customer)) == 3

    # When the person agrees again, and the report is replayed
    clock.advance(MINUTE)
    word = Consent(category="offers", channel="email", granted=True, wording="2026-04", source="app")
    await consents.add(engine.database, customer, word, "test", engine.clock.now())
    assert await complain(engine, sent.id) == [False]

    # Then their word stands
    assert (await offer(engine, report, "two"))["email"].state == State.SENT
    assert await complained(engine) == [("offer", "email", "de", 1)]


async def test_a_complaint_of_a_receipt_ends_marketing_and_no_receipts(
    engine: WorkerEngine, customer: str, report: Report
) -> None:
    assert await complain(engine, (await mail(engine, report)).id) == [True]

    assert (await offer(engine, report, "one"))["email"].reason == Reason.NO_CONSENT
    assert (await mail(engine, report, 2)).state == State.SENT
    assert await complained(engine) == [("session-receipt", "email", "de", 1)]


async def test_what_names_no_mail_that_went_out_changes_nothing(
    engine: WorkerEngine, sandbox: Sandbox, customer: str, report: Report
) -> None:
    # Given a text, a push, a mail that waits, one that bounced, and one of a test
    waiting = await offer(engine, report, "one", send=False)
    bounce = await mail(engine, report)
    await tell_one(engine, bounced(bounce.id))
    tested = await mail(engine, report, 2)
    query = sa.update(decided).where(decided.c.id == tested.id).values(type=twin("session-receipt"))
    async with engine.database.engine.begin() as connection:
        await connection.execute(query)
    ids = [(await text(engine, report)).id, waiting["push"].id, waiting["email"].id, bounce.id, tested.id, "0" * 32]

    # When each is complained of
    assert await complain(engine, *ids) == [False] * len(ids)

    # Then the person's word stands, and nothing is counted
    assert (await offer(engine, report, "two"))["email"].state == State.SENT
    assert await complained(engine) == []


async def test_somebody_who_is_erased_leaves_no_trace_by_it(
    engine: WorkerEngine, customer: str, report: Report
) -> None:
    sent = (await offer(engine, report, "one"))["email"]
    await erasures.begin(engine.database, [customer], "test", engine.clock.now())

    assert await complain(engine, sent.id) == [False]

    assert [each.action for each in (await audit.find(engine.database, "recipient", None, 10)).rows] == []
