"""Dead letters: redriven once, as new deliveries, whoever asks and however often; or put away."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from notifier import metrics
from notifier.domain.clock import HOUR, MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import Channel, State
from notifier.pipeline.clock import tick
from notifier.pipeline.dead import AT_ONCE, Result, discard, explain, redrive
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import SIGNAL_AGAIN, WorkerEngine
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.schema import open_event
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import deliveries, open_events
from notifier.store.delivery.deliveries import Move
from notifier.store.reading import dead, ledger
from notifier.store.reading.dead import DeadLetterFilter, successor_id
from notifier.why.telling import meaning
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import COMPLETE, NOW, WARNING, Report
from tests.states import become

REFUSED = FaultRule(channel="sms", action="fail", status=400, code="21612", times=1)
"""Twilio refuses one text for good: no route leads to its number."""


async def rows(engine: WorkerEngine, table: sa.FromClause = delivery, **where: Any) -> list[Any]:
    query = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(query.order_by(table.c.id)))


async def send_texts(engine: WorkerEngine) -> None:
    ids = [row.id for row in await rows(engine, channel="sms", state="pending")]
    await deliver(engine, SMS, ids)


async def fail_text(engine: WorkerEngine, sandbox: Sandbox, report: Report, **data: Any) -> str:
    """The id of a text that Twilio refused for good."""
    sandbox.faults.add(REFUSED)
    await decide(engine, [await report("charging.complete", **{**COMPLETE, **data})])
    await send_texts(engine)
    (letter,) = await dead.find(engine.database, DeadLetterFilter(channel=SMS), None, 1)
    assert letter.state == "failed"
    return letter.id


async def set_state(engine: WorkerEngine, id_: str, state: State) -> None:
    """Put a pending delivery where a provider or a receipt would."""
    move = Move(id=id_, before=State.PENDING, state=state, reason=None, due_at=NOW, next_check_at=None)
    assert await deliveries.move(engine.database, [move], engine.clock.now()) == 1


async def quarantined(engine: WorkerEngine, report: Report, **data: Any) -> str:
    id_ = await report("charging.complete", **{**COMPLETE, **data})
    await open_events.quarantine(engine.database, [id_], engine.clock.now())
    return id_


async def test_a_redriven_delivery_is_a_new_one_and_arrives(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a text that was refused, hours ago
    old = await fail_text(engine, sandbox, report)
    clock.advance(5 * HOUR)

    # When it is redriven and sent
    handoff = metrics.handoff_seconds.labels("sms")
    waited = handoff._sum.get()
    results = await redrive(engine, [old], "cli:ada")
    await send_texts(engine)

    # Then a new delivery took it up, due at once and good for as long as its type says
    assert results == [Result(id=old, status="redriven", delivery=successor_id(old))]
    (before,), (after,) = await rows(engine, id=old), await rows(engine, id=successor_id(old))
    assert (before.state, before.reason, before.handled_at) == ("failed", "refused", clock.now())
    assert (after.state, after.redrive_of, after.due_at) == ("sent", old, clock.now())
    assert after.expires_at == clock.now() + 30 * MINUTE
    for name in ("event_id", "recipient_id", "type", "channel", "target", "lane", "subject_key"):
        assert getattr(after, name) == getattr(before, name)
    assert sandbox.ledger.accepted(SMS, after.id) == 1

    # And nobody takes the hours between for a slow hand-off
    assert handoff._sum.get() - waited < MINUTE / SECOND

    # And the books balance, and the audit names who did it
    books = await ledger.read(engine.database)
    assert (books.balanced, books.planned) == (True, 4)
    (entry,) = await rows(engine, audit)
    assert (entry.at, entry.actor, entry.action, entry.subject) == (clock.now(), "cli:ada", "dead.redrive", old)


async def test_however_often_and_at_once_it_is_asked_one_redrive_comes_of_it(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    old = await fail_text(engine, sandbox, report)

    # When ten ask at once, and one more later
    answers = await asyncio.gather(*(redrive(engine, [old, old], f"key {number}") for number in range(10)))
    answers.append(await redrive(engine, [old], "late"))

    # Then all are answered alike, and there is one new delivery, planned once, by one of them
    assert {tuple(answer) for answer in answers} == {
        (Result(id=old, status="redriven", delivery=successor_id(old)),),
    }
    assert len(await rows(engine, redrive_of=old)) == 1
    assert len(await rows(engine, audit)) == 1
    assert (await ledger.read(engine.database)).balanced
    await send_texts(engine)
    assert sandbox.ledger.accepted(SMS, successor_id(old)) == 1


async def test_a_redrive_that_died_itself_can_be_redriven(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a redrive that is refused as its first delivery was
    first = await fail_text(engine, sandbox, report)
    await redrive(engine, [first], "ada")
    sandbox.faults.add(REFUSED)
    await send_texts(engine)

    # When it is redriven in its turn, and the first one again
    second = successor_id(first)
    results = await redrive(engine, [second, first], "ada")
    await send_texts(engine)

    # Then a third delivery arrives, and the first has not two
    assert [result.delivery for result in results] == [successor_id(second), second]
    assert {row.id: row.state for row in await rows(engine, channel="sms")} == {
        first: "failed", second: "failed", successor_id(second): "sent",
    }  # fmt: skip
    assert (await ledger.read(engine.database)).balanced


@pytest.mark.parametrize("state", [State.DELIVERED, State.SENT, State.SUPPRESSED, State.PENDING, State.CANCELLED])
async def test_what_is_not_dead_is_not_sent_again(
    engine: WorkerEngine, driver: str, report: Report, state: State
) -> None:
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    (text,) = await rows(engine, channel="sms")
    if state != State.PENDING:
        await set_state(engine, text.id, state)

    # When somebody wants it redriven, or discarded, then nothing happens
    for act in (redrive, discard):
        assert await act(engine, [text.id], "ada") == [Result(id=text.id, status="refused", reason="not_dead")]
    assert [(row.id, row.state, row.handled_at) for row in await rows(engine, channel="sms")] == [
        (text.id, state, None)
    ]
    assert await rows(engine, audit) == []


async def test_ids_that_are_none_and_ids_of_events_that_were_decided_are_refused(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    decided = await report("charging.complete", **COMPLETE)
    await decide(engine, [decided])

    results = await redrive(engine, ["0" * 32, decided, ""], "ada")

    assert [result.reason for result in results] == ["not_found", "not_dead", "not_found"]
    assert await redrive(engine, [], "ada") == []


async def test_a_delivery_whose_type_is_gone_is_left_as_it_is(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    old = await fail_text(engine, sandbox, report)
    async with engine.database.engine.begin() as connection:
        await become(connection, [old], type="no-such-type")

    assert await redrive(engine, [old], "ada") == [Result(id=old, status="refused", reason="type_gone")]
    assert await dead.count(engine.database, DeadLetterFilter()) == 1


async def test_what_an_event_has_made_untrue_is_redriven_and_not_sent(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a warning that was refused, and the unplug after it
    sandbox.faults.add(REFUSED)
    await decide(engine, [await report("idle.warning", **WARNING)])
    await send_texts(engine)
    (old,) = await rows(engine, channel="sms")
    clock.advance(SECOND)
    await decide(engine, [await report("session.ended", session_id="101")])

    await redrive(engine, [old.id], "ada")
    await send_texts(engine)

    (new,) = await rows(engine, redrive_of=old.id)
    assert (new.state, new.reason) == ("cancelled", "cancelled")
    assert sandbox.ledger.accepted(SMS, new.id) == 0


async def test_a_quarantined_event_is_decided_after_all(engine: WorkerEngine, driver: str, report: Report) -> None:
    # Given an event that was put aside after its tries
    id_ = await quarantined(engine, report)
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.update(open_event).values(tries=2))
    assert await decide(engine, [id_]) == 0

    # When it is redriven
    assert await redrive(engine, [id_], "ada") == [Result(id=id_, status="redriven")]

    # Then it is an event like any other, with all its tries before it
    (row,) = await rows(engine, open_event)
    assert (row.quarantined_at, row.tries, row.next_check_at) == (None, 0, engine.clock.now() + SIGNAL_AGAIN)
    assert (await ledger.read(engine.database)).quarantined == 0
    assert await decide(engine, [id_]) == 1
    assert (await redrive(engine, [id_], "ada"))[0].reason == "not_dead"
    assert (await ledger.read(engine.database)).balanced


async def test_what_is_discarded_stays_in_the_books_and_is_listed_no_more(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a dead delivery and a quarantined event
    old = await fail_text(engine, sandbox, report)
    aside = await quarantined(engine, report, session_id="102")

    # When they are discarded, twice
    for _ in range(2):
        results = await discard(engine, [old, aside], "ada")
        assert results == [Result(id=id_, status="discarded") for id_ in (old, aside)]

    # Then nobody is asked about them, and neither can be redriven
    assert await dead.find(engine.database, DeadLetterFilter(), None, 10) == []
    assert await dead.count(engine.database, DeadLetterFilter()) == 0
    assert {result.reason for result in await redrive(engine, [old, aside], "ada")} == {"discarded"}
    books = await ledger.read(engine.database)
    assert (books.balanced, books.deliveries["failed"], books.quarantined) == (True, 1, 1)
    assert [entry.action for entry in await rows(engine, audit)] == ["dead.discard"] * 2


async def test_what_was_redriven_is_not_discarded(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    old = await fail_text(engine, sandbox, report)
    await redrive(engine, [old], "ada")

    assert await discard(engine, [old], "ada") == [Result(id=old, status="refused", reason="redriven")]


async def test_of_a_crowd_redriven_together_the_clock_lets_in_what_there_is_room_for(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given more dead letters than are signalled at once
    sessions = [{**COMPLETE, "session_id": str(number)} for number in range(AT_ONCE + 1)]
    ids = [await report("charging.complete", **session) for session in sessions]
    await decide(engine, ids)
    async with engine.database.engine.begin() as connection:
        texts = list(await connection.scalars(sa.select(delivery.c.id).where(delivery.c.channel == "sms")))
        await become(connection, texts, state="undelivered", next_check_at=None)

    # When all are redriven
    letters = await dead.find(engine.database, DeadLetterFilter(), None, 1000)
    results = await redrive(engine, [letter.id for letter in letters], "ada")

    # Then they are rows for the clock to signal, each once, and the books balance
    assert {result.status for result in results} == {"redriven"}
    new = [row for row in await rows(engine) if row.redrive_of]
    assert len(new) == AT_ONCE + 1
    assert {row.next_check_at for row in new} == {clock.now()}
    await tick(engine)
    assert {row.next_check_at for row in await rows(engine) if row.redrive_of} == {clock.now() + SIGNAL_AGAIN}
    assert (await ledger.read(engine.database)).balanced


async def test_a_page_goes_on_where_the_one_before_ended_whatever_dies_meanwhile(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given dead letters of every kind, several of one instant
    async def die(number: int) -> None:
        id_ = await report("charging.complete", **{**COMPLETE, "session_id": str(number)})
        if number % 3 == 0:
            await open_events.quarantine(engine.database, [id_], clock.now())
            return
        await decide(engine, [id_])
        state = "failed" if number % 3 == 1 else "undelivered"
        async with engine.database.engine.begin() as connection:
            text = sa.select(delivery.c.id).where(delivery.c.event_id == id_, delivery.c.channel == "sms")
            ids = list(await connection.scalars(text))
            await become(connection, ids, state=state, updated_at=clock.now(), next_check_at=None)

    for number in range(12):
        await die(number)
        clock.advance(number % 2)
    everything = await dead.find(engine.database, DeadLetterFilter(), None, 100)
    assert len(everything) == await dead.count(engine.database, DeadLetterFilter()) == 12

    # When they are read by fives, while another one dies between two pages
    read: list[dead.DeadLetter] = []
    while page := await dead.find(engine.database, DeadLetterFilter(), (read[-1].at, read[-1].id) if read else None, 5):
        read += page
        if len(read) == 5:
            clock.advance(1)
            await die(100)

    # Then each is there once, newest first
    assert read == everything
    assert read == sorted(read, key=lambda letter: (letter.at, letter.id), reverse=True)
    assert {letter.state for letter in read} == {"failed", "undelivered", "quarantined"}


async def test_filters_narrow_the_list_and_its_count(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    text = await fail_text(engine, sandbox, report)
    aside = await quarantined(engine, report, session_id="102")

    async def found(wanted: DeadLetterFilter) -> set[str]:
        letters = {letter.id for letter in await dead.find(engine.database, wanted, None, 10)}
        assert await dead.count(engine.database, wanted) == len(letters)
        return letters

    assert await found(DeadLetterFilter()) == {text, aside}
    assert await found(DeadLetterFilter(channel=SMS)) == {text}
    assert await found(DeadLetterFilter(channel=EMAIL)) == set()
    assert await found(DeadLetterFilter(reason="quarantined")) == {aside}
    assert await found(DeadLetterFilter(reason="refused", type="charging-complete")) == {text}
    assert await found(DeadLetterFilter(type="charging.complete")) == {aside}


async def test_a_letter_tells_its_tries_and_what_its_providers_code_means(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    old = await fail_text(engine, sandbox, report)

    letter = await dead.get(engine.database, old)

    assert letter is not None
    assert (letter.event_type, letter.subject, letter.recipient_id) == ("charging.complete", "subject", "ada")
    (tried,) = letter.tried
    assert (tried.number, tried.provider, tried.outcome, tried.code) == (1, "twilio", "refused", "21612")
    assert meaning(letter.channel, tried.code)
    assert explain(letter) == "the provider refuses it for good: its content, its size or its sender"

    # And once it was redriven, what took it up, which is no dead letter
    await redrive(engine, [old], "ada")
    letter, new = [await dead.get(engine.database, id_) for id_ in (old, successor_id(old))]
    assert letter is not None
    assert (letter.handled_at, letter.redriven_as, new) == (engine.clock.now(), successor_id(old), None)


@pytest.mark.parametrize(
    ("channel", "code", "words"),
    [
        (PUSH, "UNREGISTERED", "the app is no longer registered on this device"),
        (PUSH, "418", "FCM refused the message"),
        (EMAIL, "559", "the server refuses the mail"),
        (EMAIL, "session 599", "the server refuses our connection or our sender"),
        (SMS, "99999", None),
        (EMAIL, "5.99.99", None),
        (SMS, None, None),
        (None, "404", None),
    ],
)
def test_a_code_that_no_row_knows_means_what_its_class_does(
    channel: Channel | None, code: str | None, words: str | None
) -> None:
    assert meaning(channel, code) == words
