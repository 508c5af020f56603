"""A campaign that people don't want is paused by itself: what is left of it waits, until a person lets it go on or ends
it."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notifier.domain.campaigns import COMPLAINTS_IN, CampaignState, Counts, Pause
from notifier.domain.clock import DAY, HOUR, ManualClock
from notifier.domain.consent import Consent
from notifier.domain.deliveries import Channel, Reason, State
from notifier.domain.messages import Report as Receipt
from notifier.domain.recipients import RecipientDetails
from notifier.domain.segments import Segment
from notifier.pipeline import campaigns, complaints
from notifier.pipeline.clock import tick
from notifier.pipeline.counting import count
from notifier.pipeline.dead import Result, discard, redrive
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.expand import expand
from notifier.pipeline.receipts import record
from notifier.pipeline.stopping import cancel
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core import audit
from notifier.store.core.effects import campaign
from notifier.store.core.schema import open_delivery
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import campaigns as store
from notifier.store.people import consents, recipients, segments
from notifier.store.reading import dead, failing, ledger
from notifier.store.reading.dead import DeadLetterFilter
from tests import everywhere
from tests.conftest import prepare
from tests.named import EMAIL, SMS
from tests.pipeline.samples import NOW, OFFER, Report

PEOPLE = 12
EVERYBODY = msgspec.convert(
    {"name": "Everybody", "all": [{"field": "time_zone", "operator": "eq", "value": "Europe/Brussels"}]}, Segment
)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


@pytest.fixture
async def event(engine: WorkerEngine, report: Report) -> str:
    """A campaign that is decided for twelve people, and sent to eight of them."""
    ids = [f"p{number}" for number in range(PEOPLE)]
    given = {id_: RecipientDetails(email=f"{id_}@example.com", time_zone="Europe/Brussels") for id_ in ids}
    await recipients.put(engine.database, given, NOW)
    word = Consent(category="offers", channel="email", granted=True, wording="1", source="app")
    for id_ in ids:
        await consents.add(engine.database, id_, word, "test", NOW)
    await segments.put(engine.database, "gold", EVERYBODY, NOW)
    event = await report("marketing.offer", **OFFER)
    for _ in range(2):  # where it was accepted, and then its copies
        for each in engine.buckets:
            await expand(each, [event])
    await send(engine, 8)
    await look(engine)
    return event


async def mails(engine: WorkerEngine, state: State | None = None) -> list[Any]:
    """The campaign's mails, or those in a state."""
    found = [row for row in await everywhere.rows(engine.database, delivery) if row.channel == EMAIL]
    return [row for row in found if state is None or row.state == state]


async def send(engine: WorkerEngine, most: int = 1_000) -> None:
    """Send the mails that are due, as far as there may be so many."""
    due = [row for row in await mails(engine, State.PENDING) if row.due_at <= engine.clock.now()][:most]
    for each in engine.buckets:
        await deliver(each, Channel(EMAIL), [row.id for row in due])


async def look(engine: WorkerEngine) -> None:
    """What the clock does beside its ticks."""
    for each in engine.buckets:
        await count(each)
        await campaigns.look(each)


async def complain(engine: WorkerEngine, first: int, last: int) -> None:
    """Complaints of the recipients of some of the mails."""
    sent = [row.id for row in await mails(engine, State.SENT)][first:last]
    assert await complaints.take(engine.database, sent, engine.clock.now()) == [True] * (last - first)
    await look(engine)


async def seed(engine: WorkerEngine, event: str, counts: Counts) -> None:
    """Count more mails of a campaign than a test sends."""
    home = engine.buckets[0].database
    await home.write(lambda connection: store.add(connection, home.dialect, {event: counts}, engine.clock.now()))


async def letters(engine: WorkerEngine) -> list[tuple[str, str, str | None]]:
    found = await dead.find(engine.database, DeadLetterFilter(), None, 10)
    return [(each.id, each.state, each.reason) for each in found]


async def states(engine: WorkerEngine) -> dict[tuple[str, str | None], int]:
    return dict(Counter((row.state, row.reason) for row in await mails(engine)))


async def test_a_campaign_that_people_complain_of_waits_and_goes_on_when_a_person_says_so(
    engine: WorkerEngine, clock: ManualClock, event: str
) -> None:
    # Given a campaign of which a thousand mails have gone out, and two complaints
    await seed(engine, event, Counts(sent=COMPLAINTS_IN))
    await complain(engine, 0, 2)
    assert await letters(engine) == []

    # When one more person complains, then it is paused, and stands with the dead letters
    await complain(engine, 2, 3)
    assert await letters(engine) == [(event, "paused", "complaints")]
    assert await failing.waiting(engine.database) >= 1
    told = await dead.get(engine.database, event)
    assert told is not None
    assert (told.type, told.event_type, told.at, told.handled_at) == ("marketing.offer", "marketing.offer", NOW, None)

    # And what was still to be sent is put off, however late it becomes, and claimed by nobody again
    await send(engine)
    assert await states(engine) == {("sent", None): 8, ("pending", "campaign_paused"): 4}
    clock.advance(5 * DAY)
    await look(engine)
    for each in engine.buckets:
        assert not await tick(each)
    assert {row.attempts for row in await mails(engine, State.PENDING)} == {0}
    await send(engine)
    assert (await ledger.read(engine.database)).balanced

    # When a person lets it go on, twice, then the rest goes out, though its time to live was over long ago
    assert await redrive(engine, [event], "cli:ada") == [Result(id=event, status="redriven")]
    assert [each.status for each in await redrive(engine, [event], "cli:ada")] == ["refused"]
    await look(engine)
    await send(engine)
    assert await states(engine) == {("sent", None): 12}
    assert await letters(engine) == []
    entries = (await audit.find(engine.database, "cli:ada", None, 10)).rows
    assert {(each.action, each.subject) for each in entries} == {("dead.redrive", event)}

    # And it is not paused once more: a person has looked at it
    await complain(engine, 3, 6)
    assert await letters(engine) == []


async def test_what_a_person_ends_is_cancelled(engine: WorkerEngine, event: str) -> None:
    # Given a campaign that is paused, with four mails to go
    await seed(engine, event, Counts(sent=COMPLAINTS_IN))
    await complain(engine, 0, 3)
    await send(engine)

    # When a person ends it, twice
    for _ in range(2):
        assert await discard(engine, [event], "cli:ada") == [Result(id=event, status="discarded")]
    await look(engine)
    await send(engine)

    # Then nothing more goes out, it is no longer listed, and the books balance
    assert await states(engine) == {("sent", None): 8, ("cancelled", Reason.CAMPAIGN_ENDED): 4}
    assert await letters(engine) == []
    assert (await ledger.read(engine.database)).balanced
    assert [each.status for each in await redrive(engine, [event], "cli:ada")] == ["refused"]


async def test_mails_that_come_back_pause_it_too(engine: WorkerEngine, event: str) -> None:
    # Given a campaign of a hundred mails, of which nine came back
    await seed(engine, event, Counts(sent=100, undelivered=9))
    await look(engine)
    assert await letters(engine) == []

    # When one more does
    (first, *_) = await mails(engine, State.SENT)
    bounce = Receipt(
        delivery=first.id, channel=Channel(EMAIL), state=State.UNDELIVERED, reason="address_gone", code="5.1.1"
    )
    await record(engine.database, [bounce], engine.clock.now())
    await look(engine)

    # Then it is paused, which can be asked for by its reason
    found = await dead.find(engine.database, DeadLetterFilter(reason=Reason.BOUNCES), None, 10)
    assert [(each.kind, each.id) for each in found] == [("event", event)]
    assert await dead.count(engine.database, DeadLetterFilter(reason=Reason.BOUNCES)) >= 1
    assert await dead.find(engine.database, DeadLetterFilter(channel=SMS), None, 10) == []


async def test_what_a_worker_puts_off_as_the_pause_is_lifted_goes_on_too(
    engine: WorkerEngine, clock: ManualClock, event: str
) -> None:
    # Given a campaign that was paused and lifted, and a worker that had claimed one of its mails before
    await seed(engine, event, Counts(sent=COMPLAINTS_IN))
    await complain(engine, 0, 3)
    (waiting, *_) = await mails(engine, State.PENDING)
    paused = [row for row in await everywhere.rows(engine.database, campaign) if row.paused_at is not None]
    await redrive(engine, [event], "cli:ada")
    await look(engine)
    for each in engine.buckets:
        async with each.database.engine.begin() as connection:
            await connection.execute(
                open_delivery.update()
                .where(open_delivery.c.id == waiting.id)
                .values(due_at=until(paused), next_check_at=until(paused))
            )

    # When the clock looks once more, when no worker can any longer
    clock.advance(HOUR)
    await look(engine)

    # Then the mail is due, and nobody looks again
    await send(engine)
    assert await states(engine) == {("sent", None): 12}
    assert {row.next_check_at for row in await everywhere.rows(engine.database, campaign)} == {None}


def until(paused: list[Any]) -> int:
    (at,) = {row.paused_at for row in paused}
    return Pause(state=CampaignState.PAUSED, paused_at=at).until


async def test_only_mails_of_campaigns_are_counted(engine: WorkerEngine, event: str) -> None:
    found = await everywhere.rows(engine.database, campaign)

    assert {row.event_id for row in found} == {event}
    assert sum(row.sent for row in found) == 8


async def test_mails_that_are_refused_as_they_are_handed_over_count_as_those_that_come_back(
    engine: WorkerEngine, sandbox: Sandbox, event: str
) -> None:
    # Given a campaign of which two hundred mails have gone out and eight came back
    await seed(engine, event, Counts(sent=200, undelivered=8))

    # When the provider refuses the mailboxes of three more
    sandbox.faults.add(FaultRule(channel="email", action="fail", reply="550 5.1.1 No such user"))
    await send(engine, 3)
    await look(engine)

    # Then it is paused
    assert (event, "paused", "bounces") in await letters(engine)


async def test_a_paused_campaign_that_is_cancelled_ends_at_once(
    engine: WorkerEngine, clock: ManualClock, event: str
) -> None:
    # Given a campaign that is paused, with four mails put off
    await seed(engine, event, Counts(sent=COMPLAINTS_IN))
    await complain(engine, 0, 3)
    await send(engine)
    assert (await states(engine))["pending", "campaign_paused"] == 4

    # When it is cancelled
    stopped = await cancel(engine, engine.catalog.types["offer"], OFFER["campaign_id"], "cli:ada")
    await look(engine)
    await send(engine)

    # Then nothing of it waits any more, neither a mail nor a dead letter
    assert stopped.stopped == 4
    assert await states(engine) == {("sent", None): 8, ("cancelled", "cancelled"): 4}
    assert await letters(engine) == []
    assert (await ledger.read(engine.database)).balanced
