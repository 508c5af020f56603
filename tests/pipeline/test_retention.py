"""Retention: what is over goes once its period has passed, whatever is open stays, and the books balance throughout."""

from functools import partial

import msgspec

from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText
from notifier.domain.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.recipients import RecipientDetails
from notifier.domain.retention import ClassRetention, Part, Retention
from notifier.ocpi.sessions import StoredSession
from notifier.pipeline import dead
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.expand import expand
from notifier.pipeline.stopping import cancel_event
from notifier.policy.retention import AFTERWARDS
from notifier.sandbox import Sandbox
from notifier.store.core.audit import AuditEntry
from notifier.store.core.removal import retention_late
from notifier.store.core.schema import charging_session, decision, delivery_note, event, outcome, suppression
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import notes, open_events, sessions
from notifier.store.delivery.retention import LATE_AGAIN
from notifier.store.people import preferences, recipients
from notifier.store.reading import ledger, payloads
from notifier.store.reading.dead import DeadLetterFilter, successor_id
from notifier.store.reading.dead import find as find_dead
from notifier.why.replaying import replay
from tests.named import SMS
from tests.pipeline.receipts import MOVED, tell_one, told
from tests.pipeline.removing import (
    MONTH,
    ONE_YEAR,
    YEAR,
    counts,
    explained,
    keeping,
    removed,
    rows,
    tell,
    told_complete,
)
from tests.pipeline.samples import COMPLETE, NOW, OFFER, Report
from tests.pipeline.steps import deliver_due, offline
from tests.pipeline.test_dead import REFUSED


async def test_what_an_event_carried_goes_after_a_month_and_everything_else_stays(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a message that was sent, and another a day later
    first, *_ = await told_complete(engine, report, 1)
    clock.advance(DAY)
    second, *_ = await told_complete(engine, report, 2)
    before = await counts(engine, delivery, outcome, decision)

    # When the first one's month is over
    clock.advance(MONTH - DAY + SECOND)
    assert await removed(engine) == {Part.DATA: 1}

    # Then its data and its subject are gone, and nothing else
    kept = {row.id: row for row in await rows(engine, event)}
    assert (kept[first].data, kept[first].subject) == ("{}", None)
    assert ("Gent Zuid" in kept[second].data, kept[second].subject) == (True, "subject")
    assert await counts(engine, delivery, outcome, decision) == before
    assert await removed(engine) == {}

    # And who asks why is told so
    said = await explained(engine, event=first)
    assert said is not None
    assert said.gone == ["What the event carried is no longer kept, so no message can be shown."]
    assert {(each.content is None, each.proven) for made in said.decisions for each in made.deliveries} == {
        (True, None)
    }
    assert list(await payloads.last(engine.database, "charging-complete", 10)) == [second]

    # And cancelling it stops nothing
    stopped = await cancel_event(engine, first, "test")
    assert stopped is not None
    assert stopped.stopped == 0


async def test_what_is_open_keeps_its_data_until_it_is_over(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given an event to be decided, a message to be sent, a text that failed, an event that was put aside
    sandbox.faults.add(REFUSED)
    failed, *_ = await told_complete(engine, report, 1)
    aside, undecided, pending = [
        await report("charging.complete", **{**COMPLETE, "session_id": str(number)}) for number in (2, 3, 4)
    ]
    await open_events.quarantine(engine.database, [aside], NOW)
    await decide(engine, [pending])
    over, *_ = await told_complete(engine, report, 5)
    await decide(engine, [pending])

    # When their month is over, then only the data of what is over go
    clock.advance(MONTH + SECOND)
    blank = {over}

    async def blanked() -> set[str]:
        return {row.id for row in await rows(engine, event) if row.data == "{}"}

    await removed(engine)
    assert await blanked() >= blank
    assert not await blanked() & {failed, aside, undecided}

    # And when the rest is sent, decided, redriven and discarded, they go within the hour
    await decide(engine, [undecided])
    await deliver_due(engine)
    (letter,) = await find_dead(engine.database, DeadLetterFilter(channel=SMS), None, 10)
    await dead.redrive(engine, [letter.id], "test")
    await dead.discard(engine, [aside], "test")
    clock.advance(LATE_AGAIN)
    await removed(engine)
    assert failed not in await blanked()  # the text that replaces it is to be sent
    await deliver_due(engine)
    clock.advance(LATE_AGAIN + HOUR)
    await removed(engine)
    assert await blanked() == {failed, aside, undecided, pending, over}
    assert await rows(engine, retention_late) == []


async def test_an_item_keeps_its_data_until_the_mail_that_holds_it_is_over(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given two stations that were lost, in one mail that waits
    operator = RecipientDetails(kind="site_operator", email="ada@example.com", sites=["gent"])
    await recipients.put(engine.database, {"ada": operator}, NOW)
    for station in ("1", "2"):
        await decide(engine, [await report("station.offline", **offline(station))])

    # When their month is over and nothing was sent, then the data of both stay
    clock.advance(MONTH + SECOND)
    assert await removed(engine) == {}

    # And when the mail has ended, they go
    await deliver_due(engine)
    clock.advance(LATE_AGAIN)
    assert await removed(engine) == {Part.DATA: 2}


async def test_where_decisions_have_gone_too_nothing_is_made_up(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given an event about which decisions are kept no longer
    (id_,) = await told_complete(engine, report, 1)
    day = clock.now() // DAY * DAY
    clock.advance(YEAR + DAY)
    await removed(engine)

    # When somebody asks why, then nobody is said to have been left out
    gone = ["Decisions about it, if there were any, are no longer kept: nothing says whom it was about."]
    for wanted in ({"event": id_}, {"event": id_, "recipient": "ada"}):
        said = await explained(engine, **wanted)
        assert said is not None
        assert (said.state, said.decisions, said.why_not) == ("decided", [], gone)

    # And what other rules would have made of the day is not guessed either
    compared = await replay(engine.database, engine.catalog, day, lambda _: None)
    assert (compared.events, compared.gone, compared.failed, compared.differ) == (1, 1, 0, 0)


async def test_deliveries_and_events_go_with_all_that_belongs_to_them(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given messages of which one was read, and one that came later
    engine = keeping(engine, ONE_YEAR)
    await told_complete(engine, report, 1, 2)
    read = (await rows(engine, delivery))[0]
    async with engine.database.engine.begin() as connection:
        await notes.write(connection, engine.database.dialect, "ada", [read.id], "read", NOW)
    clock.advance(DAY)
    (young,) = await told_complete(engine, report, 3)
    books = await ledger.read(engine.database)
    messages = len(await rows(engine, delivery)) // 3

    # When the year of the first ones is over
    clock.advance(YEAR - DAY + AFTERWARDS + SECOND)
    gone = await removed(engine)

    # Then nothing of them is left
    assert gone == {Part.DATA: 3, Part.DECISIONS: 2, Part.DELIVERIES: 2 * messages, Part.EVENTS: 2}
    assert {row.id for row in await rows(engine, event)} == {young}
    assert {row.event_id for row in await rows(engine, delivery)} == {young}
    assert {row.event_id for row in await rows(engine, decision)} == {young}
    assert {row.delivery_id for row in await rows(engine, outcome)} == {row.id for row in await rows(engine, delivery)}
    assert await rows(engine, delivery_note) == []

    # And the books say what they said
    assert await ledger.read(engine.database) == books


async def test_an_event_waits_for_a_delivery_that_is_younger(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a text that failed, and was redriven and sent half a year later
    engine = keeping(engine, ONE_YEAR)
    sandbox.faults.add(REFUSED)
    (failed,) = await told_complete(engine, report, 1)
    (letter,) = await find_dead(engine.database, DeadLetterFilter(channel=SMS), None, 10)
    clock.advance(YEAR // 2)
    await dead.redrive(engine, [letter.id], "test")
    await deliver_due(engine)

    # When the year of the event is over
    clock.advance(YEAR // 2 + AFTERWARDS + SECOND)
    await removed(engine)

    # Then it is there, and its last delivery, which can be explained and is redriven no more
    assert [row.id for row in await rows(engine, event)] == [failed]
    assert [row.id for row in await rows(engine, delivery)] == [successor_id(letter.id)]
    said = await explained(engine, delivery=successor_id(letter.id))
    assert said is not None
    assert said.event.id == failed
    (again,) = await dead.redrive(engine, [letter.id], "test")
    assert (again.status, again.delivery) == ("redriven", successor_id(letter.id))

    # And they go together once that one's year is over
    clock.advance(YEAR // 2)
    await removed(engine)
    assert await counts(engine, event, delivery, retention_late) == [0, 0, 0]
    assert await explained(engine, event=failed) is None


async def test_dead_letters_stay_until_somebody_handles_them(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a text that failed, and an event that was put aside
    engine = keeping(engine, ONE_YEAR)
    sandbox.faults.add(REFUSED)
    (failed,) = await told_complete(engine, report, 1)
    aside = await report("charging.complete", **{**COMPLETE, "session_id": "2"})
    await open_events.quarantine(engine.database, [aside], NOW)

    # When their year is over, then they are there with all that it takes to send them
    clock.advance(YEAR + DAY)
    await removed(engine)
    (letter,) = await find_dead(engine.database, DeadLetterFilter(channel=SMS), None, 10)
    assert {row.id: row.data == "{}" for row in await rows(engine, event)} == {failed: False, aside: False}

    # When they are discarded, then the failed one goes; the other is in the books, and has no data any more
    await dead.discard(engine, [letter.id, aside], "test")
    clock.advance(LATE_AGAIN)
    await removed(engine)
    assert {row.id: row.data for row in await rows(engine, event)} == {aside: "{}"}
    assert await counts(engine, delivery, retention_late) == [0, 0]
    assert (await ledger.read(engine.database)).quarantined == 1


async def test_a_class_of_types_goes_when_its_own_period_is_over(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given an offer and a session that ended, where marketing is kept for less time
    engine = keeping(engine, Retention(marketing=ClassRetention(data="7 d", decisions="7 d")))
    offer = await report("marketing.offer", **OFFER)
    await decide(engine, [offer])
    await expand(engine, [offer])
    (session,) = await told_complete(engine, report, 1)

    clock.advance(7 * DAY + SECOND)
    gone = await removed(engine)

    assert {row.id: row.data == "{}" for row in await rows(engine, event)} == {offer: True, session: False}
    assert gone[Part.DATA] == 1


async def test_a_text_that_comes_back_after_its_data_have_gone_can_only_be_discarded(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a text that was sent a month ago, whose data have gone
    await told_complete(engine, report, 1)
    (text,) = [row.id for row in await rows(engine, delivery) if row.channel == SMS]
    clock.advance(MONTH + SECOND)
    await removed(engine)

    # When it is told that it never arrived
    assert await tell_one(engine, told(text, State.UNDELIVERED)) == MOVED

    # Then nothing can be sent in its place
    (refused,) = await dead.redrive(engine, [text], "test")
    assert (refused.status, refused.reason) == ("refused", "data_gone")
    (discarded,) = await dead.discard(engine, [text], "test")
    assert discarded.status == "discarded"
    assert (await ledger.read(engine.database)).balanced


async def test_sessions_go_when_nothing_has_changed_them_for_long(engine: WorkerEngine, clock: ManualClock) -> None:
    # Given a session that changed a month ago, and one that changes now
    async def change(name: str) -> None:
        state = StoredSession(session={"id": name}, last_updated=clock.now())
        await sessions.update(engine.database, name, lambda _: (state, []), clock.now())

    await change("old")
    await change("long")
    clock.advance(60 * DAY)
    await change("long")
    clock.advance(31 * DAY)

    assert await removed(engine) == {Part.SESSIONS: 1}
    assert await counts(engine, charging_session) == [1]

    # And the next look is a day later
    clock.advance(60 * DAY)
    assert await removed(engine) == {Part.SESSIONS: 1}


async def test_of_what_people_chose_the_last_choice_stays(
    engine: WorkerEngine, driver: str, clock: ManualClock
) -> None:
    # Given somebody who chose three times
    engine = keeping(engine, ONE_YEAR)
    for locale in ("de", "fr", "es"):
        chosen = partial(msgspec.structs.replace, locale=locale)
        await preferences.change(engine.database, "ada", chosen, "x", clock.now(), {})
        clock.advance(DAY)

    clock.advance(YEAR)
    assert (await removed(engine))[Part.PREFERENCES] == 2

    (kept,) = await preferences.history(engine.database, "ada", 10)
    assert kept.preferences == {"locale": "es"}


async def test_of_the_audit_what_people_texted_stays_so_that_it_counts_once(
    engine: WorkerEngine, driver: str, clock: ManualClock
) -> None:
    # Given a START after a STOP, and another STOP, long ago
    engine = keeping(engine, ONE_YEAR)
    await tell(engine, [AuditEntry(at=NOW, actor="cli:x", action="key.create", subject="k")])
    stop, start = (
        IncomingText(number="+4915123456789", body="STOP", sid="SM1"),
        IncomingText(number="+4915123456789", body="START", sid="SM2"),
    )
    await heed(engine.database, stop, NOW)
    await heed(engine.database, start, NOW + MINUTE)
    await heed(engine.database, IncomingText(number="+4915123456789", body="STOP", sid="SM3"), NOW + 2 * MINUTE)

    # When the audit's period is over
    clock.advance(YEAR + DAY)
    assert (await removed(engine))[Part.AUDIT] == 1
    assert {row.action for row in await rows(engine, audit)} == {"sms.stop", "sms.start"}

    # And the START is told once more, then the number stays stopped
    assert await heed(engine.database, start, clock.now()) is None
    assert await counts(engine, suppression) == [1]
