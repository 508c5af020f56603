"""What is cancelled reaches nobody, on whichever channel, step or digest it waits, and says why."""

import sqlalchemy as sa

from notifier.domain.clock import HOUR, MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import Reason, State
from notifier.domain.preferences import Preferences, QuietHours
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline import stopping
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.store.core.schema import supersession
from notifier.store.core.staff import audit
from notifier.store.delivery import supersessions
from notifier.store.delivery.supersessions import Supersession
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, WARNING, Report
from tests.pipeline.steps import OFFER, deliver_due, offline, rows

STOPS = (Reason.SUPERSEDED, Reason.CANCELLED, Reason.ACKNOWLEDGED)
QUIET = Preferences(quiet_hours=QuietHours("17:00", "19:00"))


async def test_an_unplug_a_second_after_the_warning_silences_every_channel(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a warning that is queued and, a second later, the unplug
    await decide(engine, [await report("idle.warning", **WARNING)])
    clock.advance(SECOND)
    await decide(engine, [await report("session.ended", session_id="101")])

    await deliver_due(engine)

    # Then nothing arrives, and every delivery says why
    assert sandbox.ledger.entries == []
    assert {(row.channel, row.state, row.reason) for row in await rows(engine)} == {
        ("push", "cancelled", "cancelled"), ("sms", "cancelled", "cancelled"),
    }  # fmt: skip


async def test_a_cancellation_reaches_a_later_channel_a_held_message_and_an_item_of_a_digest(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a text that waits for its push, a push that waits for the night's end, and a mail that waits for others
    await recipients.put(
        engine.database,
        {
            "bea": RecipientDetails(email="bea@example.com", preferences=QUIET),
            "cleo": RecipientDetails(kind="site_operator", email="cleo@example.com", sites=["gent"]),
        },
        NOW,
    )
    await decide(engine, [await report("waitlist.your_turn", **OFFER)])
    of_bea = {**RECEIPT, "token": None, "driver_id": "bea"}
    await decide(engine, [await report("session.receipt", **{k: v for k, v in of_bea.items() if v is not None})])
    await decide(engine, [await report("station.offline", **offline())])
    await deliver_due(engine)
    sent = len(sandbox.ledger.entries)
    clock.advance(SECOND)

    # When each is cancelled, and once more
    for type_, about, channel, state in (
        ("waitlist-your-turn", "7781", "sms", "pending"),
        ("session-receipt", "101", "email", "pending"),
        ("station-offline", "1", "email", "collected"),
    ):
        for _ in range(2):
            stopped = await stopping.cancel(engine, engine.catalog.types[type_], about, "ada")
            assert {(each.type, each.state) for each in stopped.deliveries} == {(type_, state)}, channel
            assert stopped.stopped == len(stopped.deliveries) > 0

    # Then none of them arrives however long one waits, and each says why
    for _ in range(3):
        clock.advance(HOUR)
        await deliver_due(engine)
    assert len(sandbox.ledger.entries) == sent
    left = [(row.type, row.state, row.reason) for row in await rows(engine) if row.state not in ("sent", "suppressed")]
    assert set(left) == {
        ("waitlist-your-turn", "cancelled", "cancelled"), ("session-receipt", "cancelled", "cancelled"),
        ("station-offline", "cancelled", "cancelled"),
    }  # fmt: skip
    assert (await ledger.read(engine.database)).balanced
    async with engine.database.engine.connect() as connection:
        entries = list(await connection.execute(sa.select(audit).order_by(audit.c.at, audit.c.subject)))
    assert {(each.actor, each.action, each.subject) for each in entries} == {
        ("ada", "cancelled", subject)
        for subject in ("waitlist-your-turn 7781", "session-receipt 101", "station-offline 1")
    }


async def test_an_event_is_cancelled_by_its_name_before_and_after_it_is_decided(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given an event that was a mistake, and one about the same session that comes later
    mistake = await report("charging.complete", **COMPLETE)
    clock.advance(SECOND)
    later = await report("charging.complete", **{**COMPLETE, "kind": "limit_reached"})

    # When it is cancelled before anything is decided
    stopped = await stopping.cancel_event(engine, mistake, "ada")
    assert stopped is not None
    assert stopped.stopped == 0
    await decide(engine, [mistake, later])
    again = await stopping.cancel_event(engine, mistake, "ada")
    assert again is not None
    assert again.stopped == 3
    await deliver_due(engine)

    # Then the mistake reaches nobody, and what came later stands
    assert {row.state for row in await rows(engine, event_id=mistake)} == {"cancelled"}
    assert {row.state for row in await rows(engine, event_id=later)} == {"sent"}
    assert await stopping.cancel_event(engine, "0" * 32, "ada") is None


async def test_what_is_in_a_workers_hands_or_gone_is_not_counted_as_stopped_silently(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    await deliver_due(engine)

    stopped = await stopping.cancel(engine, engine.catalog.types["charging-complete"], "101", "ada")

    assert (stopped.stopped, stopped.deliveries) == (0, [])


async def test_a_mark_that_reaches_less_far_takes_no_other_ones_place(engine: WorkerEngine) -> None:
    # Given a session that has ended
    ended = Supersession(subject_key="a" * 32, until=NOW, reason=Reason.CANCELLED, event_id="1" * 32)
    # And an event of before, which is decided later
    before = Supersession(subject_key="a" * 32, until=NOW - MINUTE, reason=Reason.SUPERSEDED, event_id="2" * 32)
    after = Supersession(subject_key="a" * 32, until=NOW + MINUTE, reason=Reason.ACKNOWLEDGED, event_id="3" * 32)

    async def put(*new: Supersession) -> tuple[int, str, str]:
        await engine.database.write(lambda connection: supersessions.add(connection, engine.database.dialect, new))
        async with engine.database.engine.connect() as connection:
            row = (await connection.execute(sa.select(supersession))).one()
        return row.until, row.reason, row.event_id

    assert await put(ended) == (NOW, "cancelled", "1" * 32)
    assert await put(before) == (NOW, "cancelled", "1" * 32)
    assert await put(before, after) == (NOW + MINUTE, "acknowledged", "3" * 32)


def test_what_a_mark_says_is_how_its_deliveries_end() -> None:
    ends = {reason: Supersession(subject_key="", until=0, reason=reason, event_id="").state for reason in STOPS}

    assert ends == {
        Reason.SUPERSEDED: State.SUPERSEDED, Reason.CANCELLED: State.CANCELLED, Reason.ACKNOWLEDGED: State.CANCELLED,
    }  # fmt: skip
