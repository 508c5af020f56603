"""Events of test keys: they take the whole way, reach no provider, and change nothing of what real events do."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from notifier.channels.inbox import items
from notifier.channels.webhook.address import WebhookEndpoint
from notifier.channels.webhook.sandbox import SECRET, endpoint_url
from notifier.channels.webhook.transport import WebhookTransport
from notifier.domain.addresses import Addresses
from notifier.domain.catalog import AUDIENCE_FIELDS, Catalog, NotificationType
from notifier.domain.channels import channels
from notifier.domain.clock import MINUTE, SystemClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import Channel, Reason, State
from notifier.domain.messages import Device
from notifier.domain.messages import Report as Receipt
from notifier.domain.preferences import Preferences, QuietHours
from notifier.domain.recipients import RecipientDetails
from notifier.domain.regulation import Cap
from notifier.pipeline import receipts
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.resolve import ask
from notifier.providers.in_process import NAME
from notifier.providers.opening import RowAlone
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.schema import supersession, suppression
from notifier.store.people import recipients, topics
from notifier.store.reading import explaining, failing, ledger
from notifier.store.reading.explaining import ExplanationQuery
from notifier.why.explain import explain
from tests.channels.provider import LOOPBACK
from tests.channels.webhook.samples import WEBHOOK
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import AVAILABLE, COMPLETE, NOW, RECEIPT, WARNING, Report
from tests.pipeline.steps import offline, one, online, rows
from tests.samples import CATALOG

INBOX = Channel("inbox")
PEOPLE = ("ada", "bea")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """What ships, by all channels, with limits that a few events reach."""
    limits = msgspec.structs.replace(
        CATALOG.regulation, per_person=Cap(6, "1 h"), caps={"charging": Cap(3, "1 h"), "receipts": Cap(2, "1 h")}
    )
    return Catalog(CATALOG.types.values(), limits)


@pytest.fixture
async def engine(engine: WorkerEngine) -> AsyncIterator[WorkerEngine]:
    """An engine whose every channel has a real transport, which leads to the sandbox's servers."""
    webhooks = WebhookTransport(SystemClock(), permitted=LOOPBACK)
    yield replace(engine, transports={**engine.transports, WEBHOOK: webhooks, INBOX: RowAlone(INBOX)})
    await webhooks.close()


@pytest.fixture
async def people(engine: WorkerEngine, sandbox: Sandbox) -> None:
    """Two people who have every address, drive, and look after a site of their own each."""
    own = WebhookEndpoint(url=endpoint_url(sandbox.http_url, "standard", "ops"), format="standard", secret=SECRET)
    addresses: Any = msgspec.convert({"webhook": msgspec.to_builtins(own)}, Addresses)
    details = {
        id_: RecipientDetails(
            email=f"{id_}@example.com", phone=f"+4915123456{number}", devices=[Device(value=f"token-{id_}")],
            sites=[f"site-{id_}"], fleets=[f"fleet-{id_}"], addresses=addresses,
        )
        for number, id_ in enumerate(PEOPLE, 780)
    }  # fmt: skip
    await recipients.put(engine.database, details, NOW)


@pytest.fixture
async def report_test(engine: WorkerEngine) -> AsyncIterator[Report]:
    """Accept an event as a test key's; its id."""
    intake, reader, numbers = Intake(engine), EventReader(engine.catalog), itertools.count(1)

    async def accept(type_: str, **data: Any) -> str:
        made = reader.made(type_, "test", str(next(numbers)), "subject", engine.clock.now(), data)
        (answer,) = await intake.accept([made.as_test()])
        await intake.close()
        assert isinstance(answer, Accepted)
        return answer.event

    yield accept
    await intake.close()


async def send(engine: WorkerEngine, *by: Channel, **where: Any) -> None:
    """Deliver what waits, by these channels or by all."""
    for channel in by or channels():
        await deliver(engine, channel, [row.id for row in await rows(engine, channel=channel, **where)])


def arrived(sandbox: Sandbox) -> Counter[str]:
    """What providers have taken that was sent to them over the wire, by channel."""
    return Counter(entry.channel.value for entry in sandbox.ledger.entries if entry.verdict == "accepted")


def with_faults(engine: WorkerEngine, sandbox: Sandbox, *faults: FaultRule) -> WorkerEngine:
    """A worker whose tests go to a sandbox that fails: none that ships can."""
    sandbox.faults.add(*faults)
    return replace(engine, stand_ins=engine.transports)


def sample(kind: NotificationType, whose: str) -> dict[str, Any]:
    """A sample of a type that names one person's audience and nobody else's."""
    names = {"driver_id": whose, "site_id": f"site-{whose}", "fleet_id": f"fleet-{whose}"}
    fields = {name for _, name in AUDIENCE_FIELDS[kind.audience]}
    own = {name: value for name, value in kind.samples[0].data.items() if name not in fields}
    return own | {name: value for name, value in names.items() if name in fields}


def kind_by(channel: Channel) -> NotificationType:
    """A type that goes out by a channel at once, to somebody whom its event names."""
    return next(
        kind
        for kind in CATALOG.types.values()
        if channel in kind.channels
        and kind.class_ != "marketing"
        and kind.audience in ("driver", "site_operators", "fleet_managers")
        and not (kind.digest and channel == EMAIL)
    )


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("channel", channels())
async def test_by_no_channel_does_a_test_reach_a_provider(
    channel: Channel, engine: WorkerEngine, sandbox: Sandbox, report: Report, report_test: Report
) -> None:
    # Given a type of the channel, and that its real events do reach the provider
    kind = kind_by(channel)
    assert await decide(engine, [await report(kind.event, **sample(kind, "bea"))]) == 1
    await send(engine)
    (real,) = await rows(engine, channel=channel)
    assert (real.state in (State.SENT, State.DELIVERED), real.provider != NAME) == (True, True)
    before = arrived(sandbox)
    assert before[channel.value] == (0 if channel == INBOX else 1)

    # When a test key reports the same of somebody else
    assert await decide(engine, [await report_test(kind.event, **sample(kind, "ada"))]) == 1
    await send(engine, recipient_id="ada")

    # Then it has gone all the way on each channel of the type, and nothing has come anywhere
    tests = await rows(engine, recipient_id="ada")
    assert {row.channel for row in tests} == set(kind.channels)
    told = await one(engine, recipient_id="ada", channel=channel)
    assert (told.state, told.provider) == (State.DELIVERED if channel in (SMS, WEBHOOK) else State.SENT, NAME)
    assert (told.type, told.attempts) == (f"test:{kind.id}", 1)
    assert told.content_hash is not None
    assert arrived(sandbox) == before


def of(whose: str, type_: str, number: int) -> dict[str, Any]:
    """The data of one person's event of a type, about the thing with a number."""
    mine = {"driver_id": whose, "session_id": f"{whose}-{number}"}
    match type_:
        case "charging.complete":
            return COMPLETE | mine
        case "idle.warning":
            return WARNING | mine
        case "session.ended":
            return {"session_id": mine["session_id"]}
        case "session.receipt":
            own = {name: value for name, value in RECEIPT.items() if name != "token"}
            return own | mine | {"cdr_id": f"{whose}-{number}"}
        case "station.offline":
            return offline(f"{whose}-{number}", site_id=f"site-{whose}")
        case _:
            return online(f"{whose}-{number}") | {"site_id": f"site-{whose}"}


TYPES = ("charging.complete", "idle.warning", "session.ended", "session.receipt", "station.offline", "station.online")


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_tests_there_are_real_events_come_to_the_same(
    seed: int, engine: WorkerEngine, report: Report, report_test: Report
) -> None:
    # Given two people of whom the same is told, in batches with repeats, and tests of all sorts about one of them
    random = Random(seed)  # noqa: S311 (repeatable, not secret)
    for _ in range(6):
        batch: list[str] = []
        for _ in range(random.randint(1, 4)):
            type_, number = random.choice(TYPES), random.randint(1, 3)
            batch += [await report(type_, **of(whose, type_, number)) for whose in PEOPLE]
            for tested in random.sample(TYPES, 2):
                batch.append(await report_test(tested, **of("ada", tested, random.randint(1, 3))))
            batch.append(await report_test(type_, **of("ada", type_, number)))
        await decide(engine, random.sample(batch, len(batch)) if random.random() < 0.5 else batch)
        if random.random() < 0.5:
            await send(engine, state=State.PENDING)
        engine.clock.advance(random.choice((0, MINUTE, 25 * MINUTE)))  # type: ignore[attr-defined]
    await send(engine, state=State.PENDING)

    # Then both are told the same, by the same channels, for the same reasons
    def came_to(found: list[Any], whose: str) -> Counter[Any]:
        return Counter(
            (row.type, row.channel, row.state, row.reason, row.due_at - NOW, row.digest_id is None, row.step)
            for row in found
            if row.recipient_id == whose and not row.type.startswith("test:")
        )

    found = await rows(engine)
    assert came_to(found, "ada") == came_to(found, "bea")
    assert any(row.type.startswith("test:") for row in found)
    assert (await ledger.read(engine.database)).balanced


@pytest.mark.usefixtures("people")
async def test_tests_have_caps_of_their_own(engine: WorkerEngine, report: Report, report_test: Report) -> None:
    # Given so many tests about one person that the last are over the limits
    await decide(engine, [await report_test("idle.warning", **of("ada", "idle.warning", each)) for each in range(8)])
    texts = [(row.state, row.reason) for row in await rows(engine, channel=SMS)]
    assert Counter(texts) == {(State.PENDING, None): 6, (State.SUPPRESSED, Reason.OVER_CAP): 2}

    # When as much happens really, then as much is told of it
    await decide(engine, [await report("idle.warning", **of("ada", "idle.warning", each)) for each in range(8)])
    real = [(row.state, row.reason) for row in await rows(engine, channel=SMS, type="idle-warning")]
    assert Counter(real) == Counter(texts)


@pytest.mark.usefixtures("people")
async def test_a_test_that_fails_is_tried_again(engine: WorkerEngine, sandbox: Sandbox, report_test: Report) -> None:
    # Given a sandbox that is overloaded once, and then breaks off a connection
    overloaded = FaultRule(channel="sms", action="fail", status=503, times=1)
    worker = with_faults(engine, sandbox, overloaded, FaultRule(channel="sms", action="drop_before", times=1))
    await decide(worker, [await report_test("idle.warning", **of("ada", "idle.warning", 1))])
    seen = []

    # When the text is tried, and asked about, until it is there
    for _ in range(3):
        await send(worker, state=State.PENDING)
        text = await one(worker, channel=SMS)
        seen.append((text.state, text.reason))
        engine.clock.advance(2 * MINUTE)  # type: ignore[attr-defined]
        await ask(worker, [text.id])

    assert seen == [(State.PENDING, "unavailable"), (State.UNKNOWN, "unknown"), (State.SENT, None)]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("channel", "fault"),
    [
        (SMS, FaultRule(channel="sms", action="fail", code=21610)),
        (SMS, FaultRule(channel="sms", action="fail", code=21211)),
        (PUSH, FaultRule(channel="push", action="fail", code="UNREGISTERED")),
        (EMAIL, FaultRule(channel="email", action="fail", reply="550 5.1.1 No such user")),
        (WEBHOOK, FaultRule(channel="webhook", action="fail", status=410)),
    ],
)
async def test_a_test_takes_no_address_from_anybody(
    channel: Channel, fault: FaultRule, engine: WorkerEngine, sandbox: Sandbox, report: Report, report_test: Report
) -> None:
    # Given a test whose address is gone, or whose person has opted out
    kind = kind_by(channel)
    worker = with_faults(engine, sandbox, fault)
    await decide(worker, [await report_test(kind.event, **sample(kind, "ada"))])
    await send(worker, channel)
    told = await one(worker, channel=channel)
    assert told.state in (State.FAILED, State.SUPPRESSED)

    # Then nothing is known of the address, and what really happens is sent there
    async with engine.database.engine.connect() as connection:
        assert list(await connection.execute(sa.select(suppression))) == []
    sandbox.faults.clear()
    await decide(engine, [await report(kind.event, **sample(kind, "ada"))])
    await send(engine, channel)
    assert arrived(sandbox) == {channel.value: 1}


@pytest.mark.usefixtures("people")
async def test_a_bounce_that_somebody_made_up_of_a_test_suppresses_nobody(
    engine: WorkerEngine, report: Report, report_test: Report
) -> None:
    # Given a mail of a test, and the same mail to somebody else
    kind = kind_by(EMAIL)
    await decide(engine, [await report_test(kind.event, **sample(kind, "ada"))])
    await decide(engine, [await report(kind.event, **sample(kind, "bea"))])
    await send(engine)

    # When both bounce
    mails = await rows(engine, channel=EMAIL, state=State.SENT)
    bounces = [
        Receipt(
            delivery=mail.id, channel=EMAIL, state=State.UNDELIVERED, addresses=(f"{mail.recipient_id}@example.com",),
            suppress=Reason.BOUNCED,
        )
        for mail in mails
    ]  # fmt: skip
    recorded = await receipts.record(engine.database, bounces, NOW)

    # Then the real one alone says something of an address
    effects = {mail.recipient_id: each.suppressed for mail, each in zip(mails, recorded, strict=True)}
    assert effects == {"ada": False, "bea": True}


@pytest.mark.usefixtures("people")
async def test_a_test_makes_nothing_untrue_that_is_none_and_ends_no_subscription(
    engine: WorkerEngine, report: Report, report_test: Report
) -> None:
    # Given a warning, and a subscriber of a topic
    await topics.subscribe(engine.database, AVAILABLE["topic"], "ada")
    await decide(engine, [await report("idle.warning", **of("ada", "idle.warning", 1))])

    # When a test says that the session is over, and another that the station is free
    ends = await report_test("session.ended", **of("ada", "session.ended", 1))
    await decide(engine, [ends, await report_test("station.available", **AVAILABLE)])
    await send(engine, state=State.PENDING)

    # Then the warning went out, and she is still to be told when the station really is
    (text,) = await rows(engine, channel=SMS, type="idle-warning")
    assert text.state == State.SENT
    assert await topics.subscribers(engine.database, AVAILABLE["topic"], "", 10) == ["ada"]
    assert {row.state for row in await rows(engine, type="test:station-available")} == {State.SENT}

    # And a test is made untrue by a test
    await decide(engine, [await report_test("idle.warning", **of("ada", "idle.warning", 1))])
    await send(engine, type="test:idle-warning")
    assert {row.state for row in await rows(engine, type="test:idle-warning")} == {State.CANCELLED}
    async with engine.database.engine.connect() as connection:
        assert {row.event_id for row in await connection.execute(sa.select(supersession))} == {ends}


@pytest.mark.usefixtures("people")
async def test_nobody_sees_a_test_in_their_inbox_or_among_failures(
    engine: WorkerEngine, sandbox: Sandbox, report: Report, report_test: Report
) -> None:
    worker = with_faults(engine, sandbox, FaultRule(channel="sms", action="fail", code=30007, times=1))
    await decide(worker, [await report_test("idle.warning", **of("ada", "idle.warning", 1))])
    await send(worker)

    async def stands() -> tuple[int, int, list[str]]:
        listed = await items.page(engine.database, "ada", "current", None, 10, NOW)
        counted = await items.counts(engine.database, ["ada"], 0, NOW)
        outcomes = await failing.outcomes(engine.database, 0)
        return len(listed.items if listed else []), counted["ada"].unread, sorted({each.type for each in outcomes})

    assert await stands() == (0, 0, [])
    await decide(worker, [await report("idle.warning", **of("ada", "idle.warning", 1))])
    await send(worker, type="idle-warning")
    assert await stands() == (1, 1, ["idle-warning"])


@pytest.mark.usefixtures("people")
async def test_a_test_is_explained_as_what_it_tests_with_the_words_that_were_made(
    engine: WorkerEngine, report_test: Report
) -> None:
    # Given somebody who has quiet hours, which a test keeps as well
    quiet = RecipientDetails(phone="+4915123456780", preferences=Preferences(quiet_hours=QuietHours("18:25", "18:35")))
    await recipients.put(engine.database, {"ada": quiet}, NOW)
    engine.clock.advance(50 * MINUTE)  # type: ignore[attr-defined]
    event = await report_test("charging.complete", **of("ada", "charging.complete", 1))
    await decide(engine, [event])
    held = await one(engine, channel=SMS)
    assert (held.state, held.reason) == (State.PENDING, Reason.QUIET_HOURS)

    # When they are over
    engine.clock.advance(held.due_at - engine.clock.now())  # type: ignore[attr-defined]
    await send(engine, state=State.PENDING)
    found = await explaining.read(engine.database, ExplanationQuery(event=event))
    assert found is not None
    told = explain(engine.catalog, engine.renderer, engine.links, found)

    # Then it is told by its plain names, as a test, and the text is proven
    assert (told.event.type, told.event.test) == ("charging.complete", True)
    (made,) = told.decisions
    assert (made.type, made.name) == ("charging-complete", f"{CATALOG.types['charging-complete'].name} (test)")
    (text,) = [each for each in made.deliveries if each.channel == SMS]
    assert (text.proven, [each.provider for each in text.attempts]) == (True, [NAME])
    assert all(answer.unchanged for answer in made.answers)
