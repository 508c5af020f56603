"""Why it was sent, held or not sent: asked afterwards, told from what was written down at the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa

from notifier.domain.clock import HOUR, MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import Channel, State
from notifier.domain.messages import Device
from notifier.domain.messages import Report as Receipt
from notifier.domain.preferences import Preferences, QuietHours
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline import receipts
from notifier.pipeline.dead import redrive
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.policy.rules import RULES
from notifier.rendering import Brand, Renderer
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.database import Database
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import open_events
from notifier.store.people import recipients
from notifier.store.reading import explaining
from notifier.store.reading.explaining import ExplanationQuery
from notifier.why.explain import DecisionView, Explanation, explain
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, WARNING, Report
from tests.samples import CATALOG

TEMPLATES = Path(__file__).parents[2] / "templates"
NIGHT = NOW + 4 * HOUR + 30 * MINUTE  # 23:10 in Vienna, on Monday the 9th
QUIET = Preferences(quiet_hours=QuietHours("22:00", "07:00"))


async def ask(engine: WorkerEngine, **wanted: object) -> Explanation:
    found = await explaining.read(engine.database, msgspec.convert(wanted, ExplanationQuery))
    assert found is not None
    return explain(engine.catalog, engine.renderer, engine.links, found)


async def why(engine: WorkerEngine, event: str, recipient: str = "ada") -> DecisionView:
    (told,) = (await ask(engine, event=event, recipient=recipient)).decisions
    return told


async def deliver_all(engine: WorkerEngine) -> None:
    async with engine.database.engine.connect() as connection:
        found = list(await connection.execute(sa.select(delivery).where(delivery.c.state == State.PENDING)))
    for channel in {row.channel for row in found}:
        await deliver(engine, Channel(channel), [row.id for row in found if row.channel == channel])


def lines(told: DecisionView) -> list[str]:
    return [moment.words for moment in told.timeline]


async def test_what_was_sent_is_told_from_the_report_to_the_receipt_with_its_words_proven(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given an event that was delivered, and a receipt for the text of it
    event = await report("charging.complete", **COMPLETE)
    clock.advance(SECOND)
    await decide(engine, [event])
    clock.advance(SECOND)
    await deliver_all(engine)
    text = next(each for each in (await why(engine, event)).deliveries if each.channel == SMS)
    clock.advance(SECOND)
    arrived = Receipt(delivery=text.id, channel=SMS, state=State.DELIVERED)
    await receipts.record(engine.database, [arrived], clock.now())

    # When it is explained
    told = await why(engine, event)

    # Then its way is told in order, by channel
    assert lines(told)[0] == "test reported charging.complete (1)"
    assert "decided by SMS: to be sent immediately" in lines(told)
    assert lines(told)[-1] == "it arrived"
    assert any(line.startswith("try 1 at ") and line.endswith(": sent") for line in lines(told))

    # And its words are those that the providers have, though its locale was a nearer one than the texts'
    assert len(told.deliveries) == 3
    for each in told.deliveries:
        (entry,) = [entry for entry in sandbox.ledger.entries if entry.reference == each.id]
        assert each.content is not None
        assert entry.content.body in each.content.values()  # type: ignore[union-attr]
        assert (each.proven, each.template.locale, each.template.time_zone) == (True, "de", "Europe/Vienna")

    # And every rule has answered for every channel, as it would today
    for answer in told.answers:
        assert [rule.rule for rule in answer.rules] == [name for name, _ in RULES]
        assert answer.unchanged is True


async def test_words_that_are_not_those_that_were_sent_are_not_called_so(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given a message that was sent before the brand got another name, and one never sent
    event = await report("charging.complete", **COMPLETE)
    await decide(engine, [event])
    (before,) = {each.proven for each in (await why(engine, event)).deliveries}
    await deliver_all(engine)
    renamed = Renderer(CATALOG, TEMPLATES, Brand("Ampère", "https://other.example.com"))

    # When they are explained
    found = await explaining.read(engine.database, ExplanationQuery(event=event))
    assert found is not None
    (told,) = explain(engine.catalog, renamed, engine.links, found).decisions

    # Then what is shown is marked, and what was not sent has no words
    assert before is None
    assert {each.proven for each in told.deliveries} == {False}
    assert all(each.content for each in told.deliveries)


async def test_a_pushs_button_is_told_and_proven_with_its_words(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a push with a button and no picture
    amount = {"amount": 20.9, "currency": "EUR"}
    event = await report("payment.failed", driver_id="ada", account_id="A-1", attempt=1, amount=amount, blocked=True)
    await decide(engine, [event])
    await deliver_all(engine)

    # When it is explained, then it has the button that the phone has
    pushes = [each for each in (await why(engine, event)).deliveries if each.channel == PUSH]
    assert pushes
    for told in pushes:
        (entry,) = [entry for entry in sandbox.ledger.entries if entry.reference == told.id]
        assert told.content is not None
        assert told.content["action"] == entry.content.action == "Jetzt bezahlen"  # type: ignore[union-attr]
        assert "image" not in told.content
        assert told.proven is True


async def test_money_is_proven_in_the_format_of_the_person_then_whatever_they_speak_now(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given a receipt with an amount as Austria writes it, in German texts
    event = await report("session.receipt", **RECEIPT)
    await decide(engine, [event])
    await deliver_all(engine)

    # When the person speaks French by the time that it is explained
    french = RecipientDetails(email="ada@example.com", locale="fr", devices=[Device(value="token-1")])
    await recipients.put(engine.database, {"ada": french}, NOW)
    told = await why(engine, event)

    # Then the amount is shown as it was sent
    assert {each.proven for each in told.deliveries} == {True}
    (mail,) = [each.content for each in told.deliveries if each.channel == EMAIL]
    assert mail
    assert "€\u00a018,45" in str(mail["text"])


async def test_quiet_hours_are_told_as_they_were_when_it_was_decided(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given a receipt at night for somebody with quiet hours, who gives them up later
    details = RecipientDetails(
        email="ada@example.com", time_zone="Europe/Vienna", tokens=["NL-TST-C1"], preferences=QUIET
    )
    await recipients.put(engine.database, {"ada": details}, NOW)
    clock.advance(NIGHT - NOW)
    event = await report("session.receipt", **RECEIPT)
    await decide(engine, [event])
    await recipients.put(
        engine.database, {"ada": msgspec.structs.replace(details, preferences=Preferences())}, clock.now()
    )

    # When it is explained
    told = await why(engine, event)

    # Then the hold is told with whose choice it was, and until when by the person's clock
    (mail,) = [answer for answer in told.answers if answer.channel == EMAIL]
    assert mail.words == "held until 07:00 on Tuesday, their time: the person has quiet hours"
    (hours,) = [rule for rule in mail.rules if rule.says == "hold"]
    assert hours.words == (
        "Quiet hours from 22:00 to 07:00 (chosen by the person): held until 07:00 on Tuesday, their time."
    )
    assert told.standing is not None
    assert told.standing["preferences"]["quiet_hours"] == {"from": "22:00", "until": "07:00"}
    assert told.time_zone == "Europe/Vienna"


async def test_rules_that_have_changed_since_are_said_to_have(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given a decision of a time at which texts went out to everybody
    event = await report("charging.complete", **COMPLETE)
    await decide(engine, [event])
    kind = engine.catalog.types["charging-complete"]
    changed = msgspec.structs.replace(kind, off_by_default=(SMS,))
    found = await explaining.read(engine.database, ExplanationQuery(event=event))
    assert found is not None

    # When it is explained by a catalog that says otherwise
    catalog = type(engine.catalog)([changed], engine.catalog.regulation)
    (told,) = explain(catalog, engine.renderer, engine.links, found).decisions

    # Then the answer is the one given then, and it is said that today's would be another
    said = {answer.channel: (answer.answer, answer.unchanged) for answer in told.answers}
    assert said == {PUSH: (State.PENDING, True), SMS: (State.PENDING, False)}


async def test_a_warning_decided_after_what_it_warns_of_is_told_by_the_rule_that_ended_it(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a warning that is within its time to live still, and is decided five minutes after the fee began
    warning = await report("idle.warning", **WARNING)
    clock.advance(20 * MINUTE)
    await decide(engine, [warning])

    # When it is explained
    told = await why(engine, warning)

    # Then the rules say on every channel what the decision said, and that it would be the same today
    assert told.answers
    for answer in told.answers:
        assert (answer.answer, answer.unchanged) == (State.EXPIRED, True)
        (first, *_) = [rule for rule in answer.rules if rule.says is not None]
        assert (first.rule, first.says) == ("expiry", "expire")
        assert first.words.startswith("Its time to live of 30 min is over, or its “idle_fee_from” is past")


async def test_an_unplug_that_took_a_warning_back_is_named(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a warning that waits, and the unplug a second later
    warning = await report("idle.warning", **WARNING)
    await decide(engine, [warning])
    clock.advance(SECOND)
    ended = await report("session.ended", session_id="101")
    await decide(engine, [ended])
    clock.advance(SECOND)
    await deliver_all(engine)

    # When the warning is explained
    told = await why(engine, warning)

    # Then it says what took it back on every channel, and that nothing was sent
    assert sandbox.ledger.entries == []
    assert {each.words for each in told.deliveries} == {"not sent, because the event no longer applies"}
    assert lines(told).count("session.ended (2 of test) took it back") == len(told.deliveries)
    assert {each.content for each in told.deliveries} == {None}

    # And the unplug itself told nobody, and says so
    assert (await ask(engine, event=ended)).why_not == [
        "No notification type listened to session.ended; it only took others back."
    ]


async def test_a_refusal_and_what_took_it_up_are_told_with_the_codes_meaning(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a text that Twilio refuses, and that a person sends again
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=400, code="21612", times=1))
    event = await report("charging.complete", **COMPLETE)
    await decide(engine, [event])
    await deliver_all(engine)
    (dead,) = [each for each in (await why(engine, event)).deliveries if each.state == State.FAILED]
    clock.advance(SECOND)
    (again,) = await redrive(engine, [dead.id], "test")
    await deliver_all(engine)

    # When it is explained by the event, and by the delivery that took it up
    told = await why(engine, event)
    assert again.delivery
    by_delivery = await ask(engine, delivery=again.delivery)

    # Then both are there, with their ways
    assert dead.attempts[0].code == "21612"
    assert dead.attempts[0].meaning
    assert dead.attempts[0].meaning in " ".join(lines(told))
    assert "sent again by hand" in lines(told)
    (successor,) = [each for each in told.deliveries if each.redrive_of == dead.id]
    assert (successor.id, successor.state, successor.proven) == (again.delivery, State.SENT, True)
    assert by_delivery.event.id == event
    assert [each.recipient for each in by_delivery.decisions] == ["ada"]


async def test_a_repeat_is_explained_by_what_the_first_report_sent(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    first, second = await report("charging.complete", **COMPLETE), await report("charging.complete", **COMPLETE)
    await decide(engine, [first])
    await decide(engine, [second])
    await deliver_all(engine)

    told = await why(engine, second)

    assert {each.event for each in told.deliveries} == {first}
    assert {each.proven for each in told.deliveries} == {True}


async def test_somebody_who_was_not_told_learns_why_not(engine: WorkerEngine, driver: str, report: Report) -> None:
    # Given an event about Ada, and people who are somebody else
    people = {"bea": RecipientDetails(tokens=["T-BEA"]), "cem": RecipientDetails()}
    await recipients.put(engine.database, people, NOW)
    waiting = await report("charging.complete", **COMPLETE, token="T-BEA")

    async def why_not(person: str) -> str:
        (line,) = (await ask(engine, event=waiting, recipient=person)).why_not
        return line

    # Then each is told what holds for them
    assert await why_not("cem") == "The event waits to be decided."
    await decide(engine, [waiting])
    about = "Charging complete: this event is about driver ada and token T-BEA; "
    exact = "the most exact name decides, and bea is only in the audience of token T-BEA."
    assert await why_not("cem") == f"{about}cem is in none of its audiences."
    assert await why_not("bea") == about + exact
    assert await why_not("dan") == "Nobody with the id dan is known here."

    # And one who joined later was not there then
    ended = await report("charging.complete", **{**COMPLETE, "session_id": "102", "driver_id": "eve"})
    await decide(engine, [ended])
    await recipients.put(engine.database, {"eve": RecipientDetails(phone="+4915123456780")}, NOW)
    (line,) = (await ask(engine, event=ended, recipient="eve")).why_not
    assert line.endswith("eve is in the audience of driver eve now, and was not when it was decided.")


async def test_an_event_about_nobody_known_and_one_that_is_put_aside_say_so(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    nobody = await report("charging.complete", **COMPLETE)
    aside = await report("charging.complete", **{**COMPLETE, "session_id": "102"})
    await decide(engine, [nobody])
    await open_events.quarantine(engine.database, [aside], clock.now())

    (told,) = (await ask(engine, event=nobody)).decisions
    put_aside = await ask(engine, event=aside)

    assert (told.recipient, told.standing) == (None, None)
    assert [each.words for each in told.answers] == ["not sent: nobody that the event names is registered"]
    assert [each.state for each in told.deliveries] == [State.SUPPRESSED]
    assert (put_aside.state, len(put_aside.why_not)) == ("quarantined", 1)


async def test_what_is_not_there_is_not_explained(engine: WorkerEngine) -> None:
    assert await explaining.read(engine.database, ExplanationQuery(event="0" * 32)) is None
    assert await explaining.read(engine.database, ExplanationQuery(delivery="0" * 32)) is None


async def test_a_fleet_is_explained_by_pages_with_as_many_queries_for_one_as_for_fifty(
    engine: WorkerEngine, report: Report
) -> None:
    # Given a vehicle that is not ready, and fifty managers of its fleet
    managers = {f"m{number:02}": fleet_manager(number) for number in range(50)}
    await recipients.put(engine.database, managers, NOW)
    data = engine.catalog.types["vehicle-not-ready"].samples[0].data
    event = await report("vehicle.not_ready", **{**data, "fleet_id": "acme"})
    await decide(engine, [event])
    await deliver_all(engine)

    # When they are read by pages, then each is there once, and one as all of them takes the same queries
    seen: list[str | None] = []
    after = ("", "")
    with counted(engine.database) as queries:
        await ask(engine, event=event, recipient="m07")
        one = len(queries)
        queries.clear()
        await ask(engine, event=event)
        assert len(queries) == one <= 8  # five reads, and what begins and ends them
    while True:
        page = await ask(engine, event=event, after=after, limit=20)
        seen += [each.recipient for each in page.decisions]
        if page.next is None:
            break
        type_, _, last = page.next.partition("/")
        after = (type_, last)
    assert seen == sorted(managers)


def fleet_manager(number: int) -> RecipientDetails:
    return RecipientDetails(
        kind="fleet_manager", email=f"m{number}@example.com", fleets=["acme"], devices=[Device(value=f"t-{number}")]
    )


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that the database is asked meanwhile."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(database.engine.sync_engine, "before_cursor_execute", note)
