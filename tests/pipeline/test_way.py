"""The way of an event, step by step, against the wire-true stand-ins."""

from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.clock import HOUR, MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import Channel, State
from notifier.domain.ids import make_id
from notifier.domain.messages import Device
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import FaultRule, Match, Sandbox
from notifier.store.core.schema import decision, device
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import due, leases
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.named import SMS
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, WARNING, Report


async def rows(engine: WorkerEngine) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(sa.select(delivery).order_by(delivery.c.channel, delivery.c.target)))


async def deliver_all(engine: WorkerEngine) -> None:
    for row in await rows(engine):
        if row.state == State.PENDING:
            await deliver(engine, Channel(row.channel), [row.id])


def states(found: list[Any]) -> set[tuple[str, str, str | None]]:
    return {(row.channel, row.state, row.reason) for row in found}


async def test_an_event_reaches_its_driver_once_on_every_device_and_by_sms(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a driver with two phones, when charging completes and the signal comes twice
    event = await report("charging.complete", **COMPLETE)
    assert await decide(engine, [event]) == 1
    assert await decide(engine, [event]) == 0
    await deliver_all(engine)
    await deliver_all(engine)

    # Then each phone got one push, and the number one text, in the driver's language
    found = await rows(engine)
    assert states(found) == {("push", "sent", None), ("sms", "sent", None)}
    assert len(found) == 3
    assert {entry.to for entry in sandbox.ledger.entries} == {"token-1", "token-2", "+4915123456789"}
    assert all(row.locale == "de" for row in found)
    assert all("Gent Zuid" in entry.content.body for entry in sandbox.ledger.entries)  # type: ignore[union-attr]
    assert (await ledger.read(engine.database)).balanced


async def test_a_driver_is_found_by_the_charging_token_alone(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    event = await report("session.receipt", **RECEIPT)

    await decide(engine, [event])
    await deliver_all(engine)

    assert states(await rows(engine)) == {("push", "sent", None), ("email", "sent", None)}


async def test_a_token_that_is_somebody_elses_tells_no_stranger(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given an event that names a driver we know, and a token that belongs to another
    await recipients.put(engine.database, {"bea": RecipientDetails(phone="+4915123456780", tokens=["T-BEA"])}, NOW)
    event = await report("charging.complete", **COMPLETE, token="T-BEA")

    await decide(engine, [event])
    await deliver_all(engine)

    # Then only the driver that is named hears of it
    assert {row.recipient_id for row in await rows(engine)} == {"ada"}


async def test_an_unknown_driver_is_a_normal_outcome_with_a_reason(engine: WorkerEngine, report: Report) -> None:
    # Given an event whose driver nobody knows
    event = await report("charging.complete", **{**COMPLETE, "driver_id": "nobody"})

    # When it is decided
    await decide(engine, [event])

    # Then it is in the books as suppressed, and the decision tells why
    assert states(await rows(engine)) == {("none", "suppressed", "unknown_recipient")}
    books = await ledger.read(engine.database)
    assert (books.planned, books.reasons) == (1, {"unknown_recipient": 1})


async def test_two_reports_of_the_same_thing_are_one_notification(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given the same completion told by two sources, in one batch and once more later
    first, second = await report("charging.complete", **COMPLETE), await report("charging.complete", **COMPLETE)
    await decide(engine, [first, second])
    third = await report("charging.complete", **{**COMPLETE, "energy_kwh": 41.2})
    await decide(engine, [third])

    # Then there is one set of deliveries, a decision for each report, and the books balance
    assert len(await rows(engine)) == 3
    async with engine.database.engine.connect() as connection:
        assert (await connection.execute(sa.select(sa.func.count()).select_from(decision))).scalar() == 3
    assert (await ledger.read(engine.database)).balanced


async def test_what_the_driver_switched_off_is_suppressed(engine: WorkerEngine, report: Report) -> None:
    details = RecipientDetails(phone="+4915123456789", preferences=Preferences(switches={"charging": {"sms": False}}))
    await recipients.put(engine.database, {"ada": details}, NOW)
    event = await report("charging.complete", **COMPLETE)

    await decide(engine, [event])

    assert states(await rows(engine)) == {("push", "suppressed", "no_address"), ("sms", "suppressed", "switched_off")}


async def test_what_is_switched_off_after_the_decision_is_not_sent(
    engine: WorkerEngine, sandbox: Sandbox, report: Report
) -> None:
    # Given a text that is decided but not sent yet
    details = RecipientDetails(phone="+4915123456789")
    await recipients.put(engine.database, {"ada": details}, NOW)
    await decide(engine, [await report("charging.complete", **COMPLETE)])

    # When the driver switches texts off before it goes out
    off = RecipientDetails(phone="+4915123456789", preferences=Preferences(switches={"charging": {"sms": False}}))
    await recipients.put(engine.database, {"ada": off}, NOW)
    await deliver_all(engine)

    # Then nothing arrives
    assert states(await rows(engine)) >= {("sms", "suppressed", "switched_off")}
    assert sandbox.ledger.entries == []


@pytest.mark.parametrize("decided_first", ["idle.warning", "session.ended"])
async def test_an_idle_warning_is_not_sent_after_the_unplug_in_whatever_order_they_are_decided(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report, decided_first: str
) -> None:
    # Given a warning and, a second later, the unplug
    warning = await report("idle.warning", **WARNING)
    clock.advance(SECOND)
    ended = await report("session.ended", session_id="101")

    # When both are decided before anything is sent
    for event in [warning, ended] if decided_first == "idle.warning" else [ended, warning]:
        await decide(engine, [event])
    await deliver_all(engine)

    # Then nobody is warned, on any channel, and the books say why
    assert states(await rows(engine)) == {("push", "cancelled", "cancelled"), ("sms", "cancelled", "cancelled")}
    assert sandbox.ledger.entries == []


async def test_a_warning_about_a_later_session_stands(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given the end of a session that is told late, after the same connector's session went on
    await decide(engine, [await report("session.ended", at=NOW - MINUTE, session_id="101")])

    await decide(engine, [await report("idle.warning", **WARNING)])
    await deliver_all(engine)

    assert states(await rows(engine)) == {("push", "sent", None), ("sms", "sent", None)}


async def test_completion_takes_the_place_of_a_start_that_was_not_sent_yet(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    started = {"session_id": "101", "station": "Gent Zuid", "started_at": "2026-03-09T17:40:00Z", "driver_id": "ada"}
    first = await report("session.started", **started)
    clock.advance(SECOND)
    await decide(engine, [first, await report("charging.complete", **COMPLETE)])

    await deliver_all(engine)

    by_type = {(row.type, row.state) for row in await rows(engine)}
    assert by_type == {("session-started", "superseded"), ("charging-complete", "sent")}


async def test_nothing_is_sent_past_its_time_to_live(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a message decided in time
    await decide(engine, [await report("charging.complete", **COMPLETE)])

    # When workers come to it after its half hour, and when an event itself comes too late
    clock.advance(30 * MINUTE)
    await deliver_all(engine)
    late = await report("idle.warning", at=NOW, **WARNING)
    await decide(engine, [late])

    # Then nothing is sent
    assert {row.state for row in await rows(engine)} == {"expired"}
    assert sandbox.ledger.entries == []


async def test_a_producer_whose_clock_runs_fast_does_not_lengthen_the_time_to_live(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    await decide(engine, [await report("charging.complete", at=NOW + 24 * HOUR, **COMPLETE)])

    assert {row.expires_at for row in await rows(engine)} == {NOW + 30 * MINUTE}


async def test_a_provider_that_fails_is_tried_again_as_a_row_that_falls_due(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a Twilio that fails once
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=503, times=1))
    await decide(engine, [await report("charging.complete", **COMPLETE)])

    # When the text is tried
    await deliver_all(engine)

    # Then it is pending and due later, and not before
    (text,) = [row for row in await rows(engine) if row.channel == "sms"]
    assert (text.state, text.reason, text.attempts) == ("pending", "unavailable", 1)
    assert text.due_at > clock.now()
    assert await deliver(engine, SMS, [text.id]) == 0
    clock.advance(text.due_at - clock.now())
    assert await deliver(engine, SMS, [text.id]) == 1
    (text,) = [row for row in await rows(engine) if row.channel == "sms"]
    assert (text.state, text.attempts) == ("sent", 2)
    assert sandbox.ledger.accepted(SMS, text.id) == 1


async def test_a_retry_that_could_only_come_after_expiry_is_not_waited_for(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=429, retry_after=7200))
    await decide(engine, [await report("charging.complete", **COMPLETE)])

    await deliver_all(engine)

    assert ("sms", "expired", "throttled") in states(await rows(engine))


async def test_a_message_that_the_provider_may_have_is_unknown_and_not_sent_again(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    sandbox.faults.add(FaultRule(channel="sms", action="drop_after"))
    await decide(engine, [await report("charging.complete", **COMPLETE)])

    await deliver_all(engine)
    clock.advance(HOUR)
    await deliver_all(engine)

    (text,) = [row for row in await rows(engine) if row.channel == "sms"]
    assert (text.state, sandbox.ledger.accepted(SMS, text.id)) == ("unknown", 1)


async def test_a_device_that_is_gone_is_forgotten_and_the_other_one_kept(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    sandbox.faults.add(
        FaultRule(channel="push", action="fail", status=404, code="UNREGISTERED", match=Match(to="token-1"))
    )
    await decide(engine, [await report("charging.complete", **COMPLETE)])

    await deliver_all(engine)

    assert {("push", "failed", "address_gone"), ("push", "sent", None)} < states(await rows(engine))
    async with engine.database.engine.connect() as connection:
        left = (await connection.execute(sa.select(device.c.value))).scalars().all()
    assert left == ["token-2"]


async def test_a_worker_whose_lease_ran_out_records_nothing(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a worker that claimed and then slept past its lease
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    (text,) = [row for row in await rows(engine) if row.channel == "sms"]
    claimed = await leases.claim(engine.database, [text.id], "first", clock.now(), clock.now() + LEASE)
    clock.advance(LEASE)
    assert await due.return_expired_leases(engine.database, clock.now(), 10) == 1

    # When it settles after all
    late = leases.Settled(
        id=claimed[0].id, recipient_id="ada", channel=SMS, lease_token=make_id("first"), state=State.SENT,
        reason=None, due_at=clock.now(), next_check_at=None, attempts=1, provider="twilio",
        provider_reference="SM1", locale="de",
    )  # fmt: skip
    recorded = await leases.settle(engine.database, [late], [], [], clock.now())

    # Then its word doesn't count
    assert recorded == 0
    (text,) = [row for row in await rows(engine) if row.channel == "sms"]
    assert (text.state, text.reason) == ("unknown", "lease_expired")


async def test_a_device_belongs_to_whoever_registered_it_last(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a push on its way to a phone that then changes hands
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    await recipients.put(
        engine.database, {"bea": RecipientDetails(devices=[Device(value="token-1"), Device(value="token-2")])}, NOW
    )

    await deliver_all(engine)

    # Then the new owner doesn't read it
    assert ("push", "suppressed", "no_address") in states(await rows(engine))
    assert {entry.channel for entry in sandbox.ledger.entries} == {"sms"}
