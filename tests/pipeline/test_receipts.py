"""Receipts: what providers tell later moves deliveries forward and never back."""

from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.channels.sms.receipts import StatusCallback, read_status
from notifier.domain.clock import HOUR, MINUTE, ManualClock
from notifier.domain.deliveries import MOVES, TERMINAL, Lane, State
from notifier.domain.ids import make_id
from notifier.domain.messages import Report
from notifier.pipeline import clock as clock_step
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.receipts import advance, record
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.database import Database
from notifier.store.delivery import deliveries, due, leases
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.delivery.leases import Attempt, Settled
from notifier.store.delivery.receipts import DeliveryStatus
from notifier.store.reading import ledger
from tests.named import SMS
from tests.pipeline.receipts import MAILBOX, MOVED, NOTHING, PHONE, bounced, gone, row, suppressed, tell_one, text, told
from tests.pipeline.samples import NOW
from tests.pipeline.samples import Report as Tell

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
    assert (after.state, after.reason, after.code, after.next_check_at) == ("undelivered", "refused", "30007", None)
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


@pytest.mark.parametrize("code", ["30001", "30003", "30008", "30017", "30022", "30500"])
async def test_a_text_that_met_a_trouble_that_passes_goes_out_once_more_and_not_twice(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Tell, code: str
) -> None:
    # Given a text that Twilio took and could not deliver
    sent = await text(engine, report)
    failed = undelivered(sent, code)
    assert await tell_one(engine, failed) == MOVED

    # Then it waits for a later try, whatever of the first one is told again
    waiting = await row(engine, sent.id)
    assert (waiting.state, waiting.code) == (State.PENDING, code)
    assert NOW < waiting.due_at < waiting.expires_at
    assert await tell_one(engine, failed) == NOTHING
    assert await tell_one(engine, told(sent.id, State.SENT, reference=sent.provider_reference)) == NOTHING

    # When it goes out again, and fails again, then that is all
    clock.advance(waiting.due_at - NOW)
    assert await deliver(engine, SMS, [sent.id]) == 1
    again = await row(engine, sent.id)
    assert (again.state, sandbox.ledger.accepted(SMS, sent.id)) == (State.SENT, 2)
    assert await tell_one(engine, failed) == NOTHING
    assert await tell_one(engine, undelivered(again, code)) == MOVED
    assert (await row(engine, sent.id)).state == State.UNDELIVERED


async def test_a_text_that_would_come_too_late_is_not_tried_again(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Tell
) -> None:
    sent = await text(engine, report)

    assert await record(engine.database, [undelivered(sent, "30003")], sent.expires_at - 1) == [MOVED]
    assert (await row(engine, sent.id)).state == State.UNDELIVERED


def undelivered(sent: Any, code: str) -> Report:
    """What Twilio tells of a text, by its own id."""
    callback = StatusCallback(status="undelivered", sid=sent.provider_reference, to=PHONE, error_code=code)
    found = read_status(sent.id, callback, "twilio")
    assert found is not None
    return found


# Before the worker has written it down


@pytest.mark.parametrize("state", [State.SENT, State.DELIVERED, State.UNDELIVERED])
async def test_a_receipt_that_overtakes_its_worker_stands_and_the_worker_adds_what_it_knows(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Tell, state: State
) -> None:
    # Given a worker that has handed a text over and not settled yet
    waiting = await text(engine, report, sent=False)
    await leases.claim(engine.database, [waiting.id], make_id("token"), NOW, NOW + LEASE)

    # When the receipt comes first
    assert await tell_one(engine, told(waiting.id, state, reference="SM1")) == MOVED
    settled = Settled(
        id=waiting.id,
        recipient_id="ada",
        channel=SMS,
        lease_token=make_id("token"),
        state=State.UNKNOWN,
        reason="unknown",
        due_at=NOW,
        next_check_at=NOW,
        attempts=1,
        provider="twilio",
        provider_reference=None,
        locale="de",
        time_zone="Europe/Vienna",
        content_hash="0" * 32,
        version=7,
    )

    tried = Attempt(
        delivery_id=waiting.id, number=1, started_at=NOW, ended_at=NOW, provider="twilio", outcome="unknown", code=None
    )  # fmt: skip

    # Then the worker's outcome is recorded beside it, once, and moves nothing
    assert await leases.settle(engine.database, [settled], [tried], [], NOW) == 1
    assert await leases.settle(engine.database, [settled], [tried], [], NOW) == 0
    after = await row(engine, waiting.id)
    assert (after.state, after.locale, after.provider_reference, after.lease_token) == (state, "de", "SM1", None)
    assert (after.time_zone, after.content_hash, after.version) == ("Europe/Vienna", "0" * 32, 7)
    assert after.provider == "twilio"
    clock.advance(LEASE)
    assert await due.return_expired_leases(engine.database, clock.now(), 10) == 0


async def test_a_worker_that_died_after_the_send_is_put_right_by_the_receipt(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Tell
) -> None:
    # Given a worker that died between Twilio's answer and writing it down
    waiting = await text(engine, report, sent=False)
    await leases.claim(engine.database, [waiting.id], make_id("token"), NOW, NOW + LEASE)

    # When Twilio says that it has the text, and the lease runs out
    assert await tell_one(engine, told(waiting.id, State.SENT)) == MOVED
    clock.advance(LEASE)
    await clock_step.tick(engine)

    # Then nobody sends it again
    assert await deliver(engine, SMS, [waiting.id]) == 0
    assert ((await row(engine, waiting.id)).state, sandbox.ledger.entries) == ("sent", [])


@pytest.mark.parametrize("state", [State.SENT, State.DELIVERED, State.UNDELIVERED])
async def test_an_unknown_delivery_is_known_by_its_receipt(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Tell, state: State
) -> None:
    # Given a text that Twilio took without an answer
    sandbox.faults.add(FaultRule(channel="sms", action="drop_after"))
    unknown = await text(engine, report)
    assert unknown.state == "unknown"

    # When its receipt comes
    assert await tell_one(engine, told(unknown.id, state)) == MOVED

    # Then it is settled, and the clock has nothing more to do with it
    after = await row(engine, unknown.id)
    assert (after.state, after.reason, after.code, after.next_check_at) == (state, None, None, None)


async def test_what_is_to_be_sent_again_is_not_once_a_receipt_says_that_it_arrived(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Tell
) -> None:
    # Given a text that was unknown and waits for its second try
    waiting = await text(engine, report, sent=False)

    # When the first try's receipts come: an undelivered one is what the second try is for
    assert await tell_one(engine, gone(waiting.id, PHONE)) == NOTHING
    assert await tell_one(engine, told(waiting.id)) == MOVED

    # Then there is no second
    assert await deliver(engine, SMS, [waiting.id]) == 0
    assert sandbox.ledger.entries == []


# Any order

STATES = st.sampled_from([State.SENT, State.DELIVERED, State.UNDELIVERED])
SIDS = st.sampled_from([None, "SM1", "SM2"])
REPORTS = st.lists(st.tuples(STATES, SIDS), max_size=8)


def known_as(state: State, reference: str | None) -> DeliveryStatus:
    return DeliveryStatus(
        id="d", recipient_id="ada", channel=SMS, state=state, reason=None, attempts=1, crashes=0, started_at=None,
        batch_token=None,
        provider=None, provider_reference=reference, expires_at=NOW,
    )  # fmt: skip


@given(st.sampled_from(State), SIDS, REPORTS, st.integers(0, 8))
def test_reports_move_a_delivery_alike_however_they_are_batched(
    state: State, sid: str | None, reports: list[tuple[State, str | None]], cut: int
) -> None:
    # Given a delivery anywhere, and reports in any order
    start = known_as(state, sid)
    batch = [told("d", each, reference=reference) for each, reference in reports]

    # When they come in one batch
    moved = advance({"d": start}, batch)

    # Then each that counts is a move that there is, at most two, and never out of an end
    states = [state, *(report.state for report, counted in zip(batch, moved, strict=True) if counted)]
    assert all(after in MOVES[before] for before, after in pairwise(states))
    assert len(states) <= 3
    # And what comes after the cut moves it as it would have alone
    now = start
    for report, counted in zip(batch[:cut], moved[:cut], strict=True):
        if counted:
            known = report.reference or now.provider_reference
            now = known_as(report.state, known)
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
    id_, now, token = f"{next(_numbers):032x}", NOW, make_id("none")
    new = NewDelivery(
        id=id_, event_id=id_, recipient_id="ada", type="t", channel=SMS, target="", lane=Lane.NORMAL, subject_key=id_,
        state=State.PENDING, reason=None, created_at=NOW, updated_at=NOW, due_at=NOW, expires_at=NOW + HOUR,
        next_check_at=NOW,
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
                if await leases.claim(database, [id_], make_id("token", str(number)), now, now + LEASE):
                    token = make_id("token", str(number))
            case "settle":
                settled = Settled(
                    id=id_,
                    recipient_id="ada",
                    channel=SMS,
                    lease_token=token,
                    state=wished,
                    reason=None,
                    due_at=now,
                    next_check_at=None,
                    attempts=1,
                    provider="twilio",
                    provider_reference="SM1",
                    locale="de",
                )
                await leases.settle(database, [settled], [], [], now)
            case "lease":
                now += LEASE
                await due.return_expired_leases(database, now, 10)
            case "resend":
                move = deliveries.Move(
                    id=id_, before=State.UNKNOWN, state=wished, reason=None, due_at=now, next_check_at=now
                )
                await deliveries.move(database, [move], now)

        # Then every move is one that there is, and an end stays
        after = (await deliveries.states(database))["sms", id_]
        assert after == state or after in MOVES[state], (step, wished)
        assert state not in TERMINAL or after == state
        state = after
