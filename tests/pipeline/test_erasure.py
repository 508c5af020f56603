"""Erasure: nothing is left that tells of a person, in any table; everybody else's data, the books and a STOP stay."""

import json

import pytest

from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText
from notifier.domain.clock import ManualClock
from notifier.domain.deliveries import State
from notifier.domain.recipients import RecipientDetails
from notifier.people.export import export_recipient
from notifier.pipeline import availability, erasure
from notifier.pipeline.dead import Result, redrive
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.erasure import ENDED, sweep
from notifier.sandbox import Sandbox
from notifier.store.core.schema import (
    charging_session,
    consent,
    decision,
    event,
    membership,
    metadata,
    outcome,
    suppression,
)
from notifier.store.core.schema import erasure as erasure_table
from notifier.store.core.staff import audit
from notifier.store.core.status import TELLING
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import open_events
from notifier.store.people import consents, erasures, recipients
from notifier.store.reading import ledger
from notifier.store.stations import locations
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.erasing import (
    AGREED,
    BEA,
    CANARIES,
    ID,
    PERSON,
    PHONE,
    TOKEN,
    erase,
    found,
    keep_session,
    read,
    rows,
    set_subject,
)
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, Report
from tests.places import PLACE, place


@pytest.fixture
async def lived(engine: WorkerEngine, report: Report) -> list[str]:
    """A person who has left traces in every table, beside one who has as well; the ids of their events.

    One message was sent, one is pending, one event is about them and told to nobody, one is still to be decided, and
    one came again.
    """
    await recipients.put(engine.database, {ID: PERSON, "bea": BEA}, NOW, "app")
    async with engine.database.engine.begin() as connection:
        said = {ID: [AGREED], "bea": [AGREED]}
        await consents.append(connection, engine.database.dialect, said, "app", NOW)
    await heed(engine.database, IncomingText(number=PHONE, body="STOP", sid="SM1"), NOW)
    await heed(engine.database, IncomingText(number=PHONE, body="START", sid="SM2"), NOW + 1)
    await locations.update(engine.database, PLACE, lambda _: place())
    for who in (ID, "bea"):
        await availability.ask(engine, who, PLACE, None)
    theirs, hers = {"driver_id": ID, "station": "C4N4RY Road"}, {"driver_id": "bea"}
    told = [
        await report("charging.complete", **COMPLETE | theirs),
        await report("charging.complete", **COMPLETE | theirs),  # the same, once more
        await report("session.receipt", **RECEIPT | {"token": TOKEN}),
        await report("charging.complete", **COMPLETE | hers | {"session_id": "102"}),
        await report("session.ended", session_id="103", token=TOKEN, ended_at="2026-03-09T17:40:00Z"),
    ]
    assert await decide(engine, told) == len(told)
    await set_subject(engine, told[0], "c4n4ry")
    pushes = [row.id for row in await rows(engine, delivery) if row.channel == "push"]
    await deliver(engine, PUSH, pushes)
    await read(engine, ID, [row.id for row in await rows(engine, delivery) if row.recipient_id == ID])
    told.append(await report("charging.complete", **COMPLETE | theirs | {"session_id": "104"}))
    await keep_session(engine, "BE-BEC-1", TOKEN)
    await keep_session(engine, "BE-BEC-2", "NL-TST-BEA")
    return told


@pytest.mark.parametrize("told", [TOKEN, TOKEN.lower(), TOKEN.title()])
async def test_a_token_is_forgotten_in_whichever_case_it_was_told(
    engine: WorkerEngine, clock: ManualClock, report: Report, told: str
) -> None:
    """Given an event that nobody was told of, and a session, each with a person's token as its sender writes it
    When the person is erased
    Then neither has it any more."""
    await recipients.put(engine.database, {ID: PERSON}, NOW, "app")
    await decide(engine, [await report("session.ended", session_id="7", token=told, ended_at="2026-03-09T17:40:00Z")])
    await keep_session(engine, "BE-BEC-7", told)

    await erase(engine, clock)

    assert await found(engine, "c4n4ry") == set()


async def test_no_trace_of_a_person_is_left_in_any_table(
    engine: WorkerEngine, clock: ManualClock, lived: list[str]
) -> None:
    # Given a person whose traces are everywhere
    before = await found(engine, *CANARIES)
    assert {column.partition(".")[0] for column in before} >= {
        "recipient", "device", "membership", "preference_change", "consent", "event", "delivery", "decision",
        "charging_session", "delivery_note", "availability_alert",
    }  # fmt: skip

    # When they are erased, and what was still to be decided is, and is told to nobody
    await erasures.begin(engine.database, [ID], "test", clock.now())
    await sweep(engine)
    assert await decide(engine, lived) == 1
    clock.advance(ENDED)
    await sweep(engine)

    # Then nothing holds any
    assert await found(engine, *CANARIES) == set()
    assert (await ledger.read(engine.database)).balanced


def test_every_table_that_knows_people_is_swept() -> None:
    known = {table.name for table in metadata.sorted_tables if "recipient_id" in table.c}

    assert known == {
        "delivery", "decision", "device", "membership", "preference_change", "consent", "delivery_note",
        "availability_alert",
    }  # fmt: skip


async def test_nobody_elses_data_changes(engine: WorkerEngine, clock: ManualClock, lived: list[str]) -> None:
    # Given what is held about Bea, and the person beside her
    async def of_bea() -> bytes:
        pieces = await export_recipient(engine.database, "bea")
        assert pieces is not None
        return b"".join([piece async for piece in pieces])

    before = await of_bea()
    assert b"NL-TST-BEA" in before

    # When the person is erased, then hers is as it was
    await erase(engine, clock)
    assert await of_bea() == before
    (kept,) = await rows(engine, charging_session)
    assert "NL-TST-BEA" in kept.state


async def test_the_books_keep_a_pseudonym_and_what_became_of_each_message(
    engine: WorkerEngine, clock: ManualClock, sandbox: Sandbox, lived: list[str]
) -> None:
    before = {row.id: row for row in await rows(engine, delivery) if row.recipient_id == ID}
    tries = [row for row in await rows(engine, outcome) if row.answer]

    await erase(engine, clock)

    after = {row.id: row for row in await rows(engine, delivery)}
    pseudonym = (await erasures.pseudonym(engine.database))(ID)
    for id_, row in before.items():
        pending = row.state == State.PENDING
        expected = ("cancelled", "recipient_gone", None) if pending else (row.state, row.reason, row.next_check_at)
        assert (after[id_].state, after[id_].reason, after[id_].next_check_at) == expected
        assert after[id_].recipient_id == pseudonym
    assert {row.state for row in before.values()} >= {"pending", "sent"}
    assert {row.recipient_id for row in await rows(engine, decision)} == {pseudonym, "bea"}
    assert {row.recipient_id for row in await rows(engine, consent)} == {pseudonym, "bea"}
    assert len([row for row in await rows(engine, outcome) if row.answer]) == len(tries)
    (closed,) = await rows(engine, erasure_table)
    assert (closed.id, closed.names, closed.next_check_at) == (pseudonym, "[]", None)


async def test_from_the_first_moment_nothing_more_is_sent(
    engine: WorkerEngine, clock: ManualClock, sandbox: Sandbox, lived: list[str]
) -> None:
    # Given a text that is due, and no clock that sweeps
    (text,) = [row.id for row in await rows(engine, delivery) if row.channel == "sms" and row.recipient_id == ID]
    sent = len(sandbox.ledger.entries)
    await erasures.begin(engine.database, [ID], "test", clock.now())

    await deliver(engine, SMS, [text])

    (ended,) = [row for row in await rows(engine, delivery) if row.id == text]
    assert (ended.state, ended.reason, len(sandbox.ledger.entries)) == ("cancelled", "recipient_gone", sent)


async def test_a_stop_outlives_its_person(engine: WorkerEngine, clock: ManualClock, report: Report) -> None:
    # Given somebody who wrote STOP and was erased
    await recipients.put(engine.database, {ID: PERSON}, NOW)
    await heed(engine.database, IncomingText(number=PHONE, body="STOP", sid="SM1"), NOW)
    await erase(engine, clock)

    # When they are registered again, then they get no texts
    await recipients.put(engine.database, {ID: PERSON}, clock.now())
    await decide(engine, [await report("charging.complete", **COMPLETE | {"driver_id": ID})])
    (text,) = [row for row in await rows(engine, delivery) if row.channel == "sms"]
    assert (text.state, text.reason) == ("suppressed", "stopped")
    assert len(await rows(engine, suppression)) == 1


async def test_who_comes_back_is_somebody_new_whom_the_second_sweep_leaves_alone(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given a person who was erased, and who is registered again before the sweep has ended
    await recipients.put(engine.database, {ID: PERSON}, NOW)
    await erasures.begin(engine.database, [ID], "test", clock.now())
    await sweep(engine)
    clock.advance(ENDED // 2)
    await recipients.put(engine.database, {ID: PERSON}, clock.now())
    new = await report("charging.complete", **COMPLETE | {"driver_id": ID})
    await decide(engine, [new])

    # When it ends
    clock.advance(ENDED)
    await sweep(engine)

    # Then what is theirs by now is theirs
    assert {row.recipient_id for row in await rows(engine, delivery)} == {ID}
    assert [row.id for row in await rows(engine, event) if ID in row.data] == [new]
    assert len(await rows(engine, membership)) > 0


async def test_what_was_sent_before_keeps_nothing_of_where_they_live(
    engine: WorkerEngine, clock: ManualClock, lived: list[str]
) -> None:
    # Given pushes that were sent, to them and to Bea
    sent = {row.id for row in await rows(engine, delivery) if row.recipient_id == ID and row.state == State.SENT}
    before = await rows(engine, delivery)
    assert all(row.locale and row.time_zone and row.content_hash for row in before if row.id in sent)

    # When they are erased, then none of theirs says it any more, and hers do
    await erase(engine, clock)
    after = {row.id: row for row in await rows(engine, delivery)}
    assert {after[id_]._mapping[name] for id_ in sent for name in TELLING} == {None}
    assert [after[row.id] for row in before if row.recipient_id == "bea"] == [
        row for row in before if row.recipient_id == "bea"
    ]


async def test_an_event_that_others_were_told_keeps_its_data_and_loses_the_name(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given a token that two people share
    shared = RecipientDetails(tokens=[TOKEN], email="dan@example.com")
    await recipients.put(engine.database, {ID: PERSON, "dan": shared}, NOW)
    told = await report("session.receipt", **RECEIPT | {"token": TOKEN})
    await decide(engine, [told])
    await set_subject(engine, told, f"driver/{ID}")

    # When one of them is erased
    await erase(engine, clock)

    # Then the other one's mail still goes out
    (row,) = await rows(engine, event)
    data = json.loads(row.data)
    assert (data["station"], row.source_id, row.subject) == ("Gent Zuid", "1", None)
    assert data["token"] == (await erasures.pseudonym(engine.database))(ID)
    mail = [row.id for row in await rows(engine, delivery) if row.channel == "email" and row.recipient_id == "dan"]
    await deliver(engine, EMAIL, mail)
    assert {row.state for row in await rows(engine, delivery) if row.id in mail} == {"sent"}


async def test_many_are_erased_at_once_in_chunks_and_again_without_harm(
    engine: WorkerEngine, clock: ManualClock, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifier.store.delivery.sweeping.CHUNK", 3)
    people = {f"c4n4ry-{number}": RecipientDetails(email=f"c4n4ry{number}@example.com") for number in range(4)}
    await recipients.put(engine.database, people, NOW)
    told = [
        await report("charging.complete", **COMPLETE | {"driver_id": id_, "session_id": str(number)})
        for id_ in people
        for number in range(4)
    ]
    await decide(engine, told)

    await erase(engine, clock, *people)
    await erase(engine, clock, *people)

    assert await found(engine, *CANARIES) == set()
    assert len(await rows(engine, erasure_table)) == len(people)
    assert [row.action for row in await rows(engine, audit)] == ["recipient.erase"] * 8
    assert (await ledger.read(engine.database)).balanced


async def test_a_sweep_that_fails_comes_up_again(engine: WorkerEngine, clock: ManualClock, lived: list[str]) -> None:
    await erasures.begin(engine.database, [ID], "test", clock.now())
    (taken,) = await erasures.due(engine.database, clock.now(), clock.now() + erasure.AGAIN, 10)
    assert taken.names == [ID, TOKEN]
    assert await sweep(engine) == 0

    clock.advance(erasure.AGAIN)
    await decide(engine, lived)

    assert await sweep(engine) == 1
    assert await found(engine, *CANARIES) == set()


async def test_a_quarantined_event_keeps_what_it_needs_to_be_decided_and_no_name(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given an event about a person that was put aside
    await recipients.put(engine.database, {ID: PERSON}, NOW)
    aside = await report("charging.complete", **COMPLETE | {"driver_id": ID})
    await open_events.quarantine(engine.database, [aside], clock.now())

    # When they are erased, then it names nobody, and can still be decided
    await erase(engine, clock)
    assert await found(engine, *CANARIES) == set()
    assert await redrive(engine, [aside], "test") == [Result(id=aside, status="redriven")]
    assert await decide(engine, [aside]) == 1
    assert {(row.state, row.reason) for row in await rows(engine, delivery)} == {("suppressed", "unknown_recipient")}
