"""Receipts: what providers tell later moves deliveries forward and never back, and bad addresses are left alone."""

from itertools import count, pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.clock import HOUR, MINUTE, ManualClock
from notifier.deliveries import MOVES, TERMINAL, Channel, Lane, Reason, State
from notifier.messages import Device, Report
from notifier.pipeline import clock as clock_step
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import LEASE, WorkerEngine
from notifier.pipeline.receipts import Recorded, advance, record
from notifier.recipients import RecipientDetails
from notifier.sandbox import Rule, Sandbox
from notifier.store import deliveries, ledger, recipients
from notifier.store.database import Database
from notifier.store.deliveries import NewDelivery, Settled
from notifier.store.receipts import Standing
from notifier.store.schema import delivery, suppression
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT
from tests.pipeline.samples import Report as Tell

PHONE = "+4915123456789"
MAILBOX = "ada@example.com"
MOVED, NOTHING = Recorded(moved=True), Recorded()


@pytest.fixture
async def driver(database: Database) -> str:
    """A driver with a number and a mailbox."""
    await recipients.put(database, {"ada": RecipientDetails(email=MAILBOX, phone=PHONE, tokens=["NL-TST-C1"])}, NOW)
    return "ada"


async def row(engine: WorkerEngine, id_: str) -> Any:
    """A delivery as it is now."""
    async with engine.database.engine.connect() as connection:
        return (await connection.execute(sa.select(delivery).where(delivery.c.id == id_))).one()


async def decided(engine: WorkerEngine, event: str, channel: Channel) -> str:
    """The id of an event's delivery on a channel, once it is decided."""
    await decide(engine, [event])
    query = sa.select(delivery.c.id).where(delivery.c.event_id == event, delivery.c.channel == channel)
    async with engine.database.engine.connect() as connection:
        id_: str = (await connection.execute(query)).scalar_one()
        return id_


async def suppressed(engine: WorkerEngine) -> list[str]:
    """Why addresses are suppressed."""
    async with engine.database.engine.connect() as connection:
        return list((await connection.execute(sa.select(suppression.c.reason))).scalars())


async def text(engine: WorkerEngine, tell: Tell, number: int = 1, *, sent: bool = True) -> Any:
    """The delivery of one more text to the driver."""
    event = await tell("charging.complete", **{**COMPLETE, "session_id": str(number)})
    id_ = await decided(engine, event, Channel.SMS)
    if sent:
        await deliver(engine, Channel.SMS, [id_])
    return await row(engine, id_)


async def mail(engine: WorkerEngine, tell: Tell, number: int = 1) -> Any:
    """The delivery of one more mail to the driver."""
    event = await tell("session.receipt", **{**RECEIPT, "cdr_id": str(number)})
    id_ = await decided(engine, event, Channel.EMAIL)
    await deliver(engine, Channel.EMAIL, [id_])
    return await row(engine, id_)


def told(id_: str, state: State = State.DELIVERED, **more: Any) -> Report:
    return Report(**{"delivery": id_, "channel": Channel.SMS, "provider": "twilio", "state": state, **more})


def gone(id_: str, *addresses: str, suppress: Reason = Reason.BAD_NUMBER, **more: Any) -> Report:
    """The report that an address is no more."""
    more = {"reason": "address_gone", "code": "30005", "addresses": addresses, "suppress": suppress, **more}
    return told(id_, State.UNDELIVERED, **more)


def bounced(id_: str, *addresses: str) -> Report:
    return gone(id_, *addresses, suppress=Reason.BOUNCED, channel=Channel.EMAIL, provider=None, code="5.1.1")


async def tell_one(engine: WorkerEngine, report: Report) -> Recorded:
    (recorded,) = await record(engine.database, [report], engine.clock.now())
    return recorded


# Forward only


async def test_a_text_is_sent_then_delivered_and_a_repeat_changes_nothing(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Tell
) -> None:
    # Given a text that Twilio took
    sent = await text(engine, report)
    assert (sent.state, sent.provider) == ("sent", "twilio")

    # When its receipts come, late, twice, and the first one last
    clock.advance(MINUTE)
    heard = [await tell_one(engine, told(sent.id, state)) for state in (State.SENT, State.DELIVERED)]
    clock.advance(MINUTE)
    heard += [await tell_one(engine, told(sent.id, state)) for state in (State.DELIVERED, State.SENT)]

    # Then the delivery is delivered since the first time, and the books balance
    assert heard == [NOTHING, MOVED, NOTHING, NOTHING]
    after = await row(engine, sent.id)
    assert (after.state, after.reason, after.updated_at) == ("delivered", None, NOW + MINUTE)
    assert after.provider_reference == sent.provider_reference
    assert (await ledger.read(engine.database)).balanced


async def test_a_text_that_could_not_be_delivered_tells_why(engine: WorkerEngine, driver: str, report: Tell) -> None:
    sent = await text(engine, report)

    assert await tell_one(engine, told(sent.id, State.UNDELIVERED, reason="refused", code="30007")) == MOVED
    assert await tell_one(engine, told(sent.id)) == NOTHING

    after = await row(engine, sent.id)
    assert (after.state, after.reason, after.code, after.signal_at) == ("undelivered", "refused", "30007", None)
    assert await suppressed(engine) == []


async def test_reports_that_come_together_are_taken_one_after_the_other(
    engine: WorkerEngine, driver: str, report: Tell
) -> None:
    sent = await text(engine, report)
    delivered = told(sent.id)

    reports = [told(sent.id, State.SENT), delivered, delivered, told(sent.id, State.UNDELIVERED), told("0" * 32)]
    recorded = await record(engine.database, reports, NOW)

    assert recorded == [NOTHING, MOVED, NOTHING, NOTHING, NOTHING]
    assert (await row(engine, sent.id)).state == "delivered"


async def test_a_receipt_is_for_its_own_channel_and_for_a_delivery_that_is_there(
    engine: WorkerEngine, driver: str, report: Tell
) -> None:
    sent = await text(engine, report)

    assert await tell_one(engine, bounced(sent.id, MAILBOX)) == NOTHING
    assert await tell_one(engine, told("0" * 32)) == NOTHING
    assert ((await row(engine, sent.id)).state, await suppressed(engine)) == ("sent", [])


async def test_what_went_out_twice_is_undelivered_only_where_the_last_one_is(
    engine: WorkerEngine, driver: str, report: Tell
) -> None:
    # Given a text, and a first copy of it that Twilio had taken without our knowing
    sent = await text(engine, report)

    # When the first copy fails, then nothing is said of the other
    assert await tell_one(engine, told(sent.id, State.UNDELIVERED, reference="SM" + "0" * 32)) == NOTHING

    # And when the first copy arrives after all, then the person has it
    assert await tell_one(engine, told(sent.id, reference="SM" + "0" * 32)) == MOVED


# Before the worker has written it down


@pytest.mark.parametrize("state", [State.SENT, State.DELIVERED, State.UNDELIVERED])
async def test_a_receipt_that_overtakes_its_worker_stands_and_the_worker_adds_what_it_knows(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Tell, state: State
) -> None:
    # Given a worker that has handed a text over and not settled yet
    waiting = await text(engine, report, sent=False)
    await deliveries.claim(engine.database, [waiting.id], "token", NOW, NOW + LEASE)

    # When the receipt comes first
    assert await tell_one(engine, told(waiting.id, state, reference="SM1")) == MOVED
    settled = Settled(
        id=waiting.id, state=State.UNKNOWN, reason="unknown", due_at=NOW, signal_at=NOW, attempts=1, provider="twilio",
        provider_reference=None, locale="de",
    )  # fmt: skip

    # Then the worker's outcome is recorded beside it, once, and moves nothing
    assert await deliveries.settle(engine.database, "token", [settled], [], [], NOW) == 1
    assert await deliveries.settle(engine.database, "token", [settled], [], [], NOW) == 0
    after = await row(engine, waiting.id)
    assert (after.state, after.locale, after.provider_reference, after.lease_token) == (state, "de", "SM1", None)
    clock.advance(LEASE)
    assert await deliveries.return_expired_leases(engine.database, clock.now(), 10) == 0


async def test_a_worker_that_died_after_the_send_is_put_right_by_the_receipt(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Tell
) -> None:
    # Given a worker that died between Twilio's answer and writing it down
    waiting = await text(engine, report, sent=False)
    await deliveries.claim(engine.database, [waiting.id], "token", NOW, NOW + LEASE)

    # When Twilio says that it has the text, and the lease runs out
    assert await tell_one(engine, told(waiting.id, State.SENT)) == MOVED
    clock.advance(LEASE)
    await clock_step.tick(engine)

    # Then nobody sends it again
    assert await deliver(engine, Channel.SMS, [waiting.id]) == 0
    assert ((await row(engine, waiting.id)).state, sandbox.ledger.entries) == ("sent", [])


@pytest.mark.parametrize("state", [State.SENT, State.DELIVERED, State.UNDELIVERED])
async def test_an_unknown_delivery_is_known_by_its_receipt(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Tell, state: State
) -> None:
    # Given a text that Twilio took without an answer
    sandbox.faults.add(Rule(channel="sms", action="drop_after"))
    unknown = await text(engine, report)
    assert unknown.state == "unknown"

    # When its receipt comes
    assert await tell_one(engine, told(unknown.id, state)) == MOVED

    # Then it is settled, and the clock has nothing more to do with it
    after = await row(engine, unknown.id)
    assert (after.state, after.reason, after.code, after.signal_at) == (state, None, None, None)


async def test_what_is_to_be_sent_again_is_not_once_a_receipt_says_that_it_arrived(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Tell
) -> None:
    # Given a text that was unknown and waits for its second try
    waiting = await text(engine, report, sent=False)

    # When the first try's receipts come: an undelivered one is what the second try is for
    assert await tell_one(engine, gone(waiting.id, PHONE)) == NOTHING
    assert await tell_one(engine, told(waiting.id)) == MOVED

    # Then there is no second
    assert await deliver(engine, Channel.SMS, [waiting.id]) == 0
    assert sandbox.ledger.entries == []


# Bad addresses


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
    assert sandbox.ledger.accepted(Channel.SMS, second.id) == 0

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
    sandbox.faults.add(Rule(channel="sms", action="fail", status=status, code=code, times=1))

    first, second = await text(engine, report), await text(engine, report, 2)

    assert (first.state, first.reason, first.code) == (*ended, str(code))
    assert (second.state, second.reason) == ("suppressed", reason)


async def test_a_mailbox_that_the_server_refuses_at_once_is_suppressed_as_well(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Tell
) -> None:
    sandbox.faults.add(Rule(channel="email", action="fail", stage="rcpt", reply="550 5.1.1 No such mailbox", times=1))

    first, second = await mail(engine, report), await mail(engine, report, 2)

    assert (first.state, first.reason, first.code) == ("failed", "address_gone", "5.1.1")
    assert (second.state, second.reason) == ("suppressed", "bounced")


async def test_a_device_that_is_gone_is_no_suppression(
    engine: WorkerEngine, sandbox: Sandbox, report: Tell, database: Database
) -> None:
    await recipients.put(database, {"ada": RecipientDetails(devices=[Device(value="token-1")], phone=PHONE)}, NOW)
    sandbox.faults.add(Rule(channel="push", action="fail", status=404, code="UNREGISTERED"))
    push = await decided(engine, await report("charging.complete", **COMPLETE), Channel.PUSH)

    await deliver(engine, Channel.PUSH, [push])

    assert ((await row(engine, push)).state, await suppressed(engine)) == ("failed", [])


# Any order

STATES = st.sampled_from([State.SENT, State.DELIVERED, State.UNDELIVERED])
SIDS = st.sampled_from([None, "SM1", "SM2"])
REPORTS = st.lists(st.tuples(STATES, SIDS), max_size=8)


@given(st.sampled_from(State), SIDS, REPORTS, st.integers(0, 8))
def test_reports_move_a_delivery_alike_however_they_are_batched(
    state: State, sid: str | None, reports: list[tuple[State, str | None]], cut: int
) -> None:
    # Given a delivery anywhere, and reports in any order
    start = Standing(id="d", channel=Channel.SMS, state=state, provider_reference=sid)
    batch = [told("d", each, reference=reference) for each, reference in reports]

    # When they come in one batch
    moved = advance({"d": start}, batch)

    # Then each that counts is a move that there is, at most two, and never out of an end
    states = [state, *(report.state for report, counted in zip(batch, moved, strict=True) if counted)]
    assert all(after in MOVES[before] for before, after in pairwise(states))
    assert len(states) <= 3
    # And what comes after the cut moves it as it would have alone
    now = Standing(id="d", channel=Channel.SMS, state=state, provider_reference=sid)
    for report, counted in zip(batch[:cut], moved[:cut], strict=True):
        now = Standing(
            id="d", channel=Channel.SMS, state=report.state if counted else now.state, provider_reference=sid
        )
    assert advance({"d": now}, batch[cut:]) == moved[cut:]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("report"), STATES),
        st.tuples(st.just("claim"), st.just(State.SENDING)),
        st.tuples(st.just("settle"), st.sampled_from([State.SENT, State.PENDING, State.UNKNOWN, State.FAILED])),
        st.tuples(st.just("lease"), st.just(State.UNKNOWN)),
        st.tuples(st.just("resend"), st.just(State.PENDING)),
    ),
    min_size=1,
    max_size=10,
)
_numbers = count()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_no_interleaving_of_workers_clocks_and_receipts_moves_an_end(
    database: Database, steps: list[tuple[str, State]]
) -> None:
    # Given a delivery that is due
    id_, now, token = f"{next(_numbers):032x}", NOW, "none"
    new = NewDelivery(
        id=id_, event_id=id_, recipient_id="ada", type="t", channel=Channel.SMS, target="", lane=Lane.NORMAL, about=id_,
        state=State.PENDING, reason=None, created_at=NOW, updated_at=NOW, due_at=NOW, expires_at=NOW + HOUR,
        signal_at=NOW,
    )  # fmt: skip
    await database.write(lambda connection: deliveries.add(connection, database.dialect, [new]))
    state = State.PENDING

    # When workers, the clock and receipts do to it whatever they can, in any order
    for number, (step, wished) in enumerate(steps):
        now += 1
        match step:
            case "report":
                await record(database, [told(id_, wished)], now)
            case "claim":
                if await deliveries.claim(database, [id_], f"token-{number}", now, now + LEASE):
                    token = f"token-{number}"
            case "settle":
                settled = Settled(
                    id=id_, state=wished, reason=None, due_at=now, signal_at=None, attempts=1, provider="twilio",
                    provider_reference="SM1", locale="de",
                )  # fmt: skip
                await deliveries.settle(database, token, [settled], [], [], now)
            case "lease":
                now += LEASE
                await deliveries.return_expired_leases(database, now, 10)
            case "resend":
                move = deliveries.Move(
                    id=id_, before=State.UNKNOWN, state=wished, reason=None, due_at=now, signal_at=now
                )
                await deliveries.move(database, [move], now)

        # Then every move is one that there is, and an end stays
        after = (await deliveries.states(database))["sms", id_]
        assert after == state or after in MOVES[state], (step, wished)
        assert state not in TERMINAL or after == state
        state = after
