"""One channel after the other: a later one is sent only while nobody has seen the earlier ones."""

from notifier.domain.clock import SECOND, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.messages import Report as Told
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline import receipts
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import FaultRule, Match, Sandbox
from notifier.store.delivery import leases
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.named import PUSH, SMS
from tests.pipeline.samples import NOW, Report
from tests.pipeline.steps import OFFER, deliver_due, ends, one, rows

STEP = 20 * SECOND


async def opened(engine: WorkerEngine, id_: str) -> None:
    """The app says that a push was opened."""
    told = Told(delivery=id_, channel=PUSH, state=State.DELIVERED)
    await receipts.record(engine.database, [told], engine.clock.now())


async def test_what_nobody_has_opened_goes_out_on_the_next_channel_when_its_time_has_come(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a driver whose turn it is
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])
    text = await one(engine, channel="sms")
    assert (text.step, text.reason, text.due_at) == (1, "waits_turn", NOW + STEP)

    # When the push is sent and nobody opens it, then the text waits its time and goes out
    await deliver_due(engine)
    clock.advance(STEP - 1)
    await deliver_due(engine)
    assert sandbox.ledger.accepted(SMS, text.id) == 0
    clock.advance(1)
    await deliver_due(engine)
    assert sandbox.ledger.accepted(SMS, text.id) == 1
    assert (await ledger.read(engine.database)).balanced


async def test_a_push_that_is_opened_on_one_phone_silences_the_text(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a push that is opened on one of two phones
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])
    await deliver_due(engine)
    first, _second = await rows(engine, channel="push")
    await opened(engine, first.id)

    # When the text's time comes
    clock.advance(STEP)
    await deliver_due(engine)

    # Then it isn't sent, and the books say why
    assert ends(await rows(engine, channel="sms")) == [("sms", "suppressed", "reached")]
    assert {entry.channel for entry in sandbox.ledger.entries} == {"push"}


async def test_a_push_that_is_opened_after_the_text_was_signalled_counts_at_the_last_look(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a text that is due
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])
    await deliver_due(engine)
    clock.advance(STEP)
    text = await one(engine, channel="sms")

    # When the push is opened before a worker claims the text
    await opened(engine, (await rows(engine, channel="push"))[0].id)
    (ready,) = await leases.claim(engine.database, [text.id], "worker", clock.now(), clock.now() + LEASE)

    # Then it sees so
    assert ready.reached


async def test_the_text_comes_at_once_where_no_phone_takes_the_push(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given phones that have the app no more
    for token in ("token-1", "token-2"):
        sandbox.faults.add(
            FaultRule(channel="push", action="fail", status=404, code="UNREGISTERED", match=Match(to=token))
        )
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])

    # When one of the pushes fails, then the text still waits for the other
    first, second = await rows(engine, channel="push")
    await deliver(engine, PUSH, [first.id])
    assert (await one(engine, channel="sms")).due_at == NOW + STEP

    # When the other fails, then the text is due at once
    await deliver(engine, PUSH, [second.id])
    text = await one(engine, channel="sms")
    assert (text.due_at, text.next_check_at, text.reason) == (NOW, NOW, None)
    await deliver_due(engine)
    assert sandbox.ledger.accepted(SMS, text.id) == 1


async def test_the_text_does_not_wait_for_a_phone_that_is_not_there(engine: WorkerEngine, report: Report) -> None:
    await recipients.put(engine.database, {"ada": RecipientDetails(phone="+4915123456789")}, NOW)

    await decide(engine, [await report("waitlist.your_turn", **OFFER)])

    text = await one(engine, channel="sms")
    assert (text.step, text.due_at, text.reason) == (0, NOW, None)


async def test_a_text_that_was_tried_and_waits_for_its_provider_is_not_hurried(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a text whose provider asks for patience, and pushes whose fate is not known
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=429, retry_after=60))
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])
    pushes = [row.id for row in await rows(engine, channel="push")]
    clock.advance(STEP)
    await deliver_due(engine)
    waiting = await one(engine, channel="sms")
    assert (waiting.state, waiting.reason) == ("pending", "throttled")

    # When the pushes come to nothing
    lost = [Told(delivery=id_, channel=PUSH, state=State.UNDELIVERED) for id_ in pushes]
    await receipts.record(engine.database, lost, clock.now())

    # Then the text still waits as long as its provider asked
    assert (await one(engine, channel="sms")).due_at == waiting.due_at


async def test_a_text_that_is_switched_off_meanwhile_is_not_brought_out_by_a_failed_push(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    sandbox.faults.add(FaultRule(channel="push", action="fail", status=404, code="UNREGISTERED"))
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])
    off = RecipientDetails(phone="+4915123456789", preferences=Preferences(switches={"waitlist": {"sms": False}}))
    await deliver(engine, PUSH, [row.id for row in await rows(engine, channel="push")])
    assert (await one(engine, channel="sms")).due_at == NOW
    await recipients.put(engine.database, {"ada": off}, NOW)

    await deliver_due(engine)

    assert ends(await rows(engine, channel="sms")) == [("sms", "suppressed", "switched_off")]


async def test_the_turn_dies_with_its_offer_and_with_its_time(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given an offer that somebody else takes before the text's time
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])
    clock.advance(SECOND)
    await decide(engine, [await report("offer.expired", offer_id="7781")])
    clock.advance(STEP)
    await deliver_due(engine)
    assert {row.state for row in await rows(engine)} == {"cancelled"}

    # And an offer whose time is over before anybody was told
    late = {**OFFER, "offer_id": "7782", "respond_by": "2026-03-09T17:40:40Z"}
    await decide(engine, [await report("waitlist.your_turn", **late)])
    assert {(row.state, row.expires_at - NOW) for row in await rows(engine, state="pending")} == {
        ("pending", 40 * SECOND)
    }
    clock.advance(STEP)
    await deliver_due(engine)

    # Then nobody is told of either
    assert {row.state for row in await rows(engine)} == {"cancelled", "expired"}
    assert sandbox.ledger.entries == []
