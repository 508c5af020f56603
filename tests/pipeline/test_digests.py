"""Messages that come together: one mail for a site's stations, each of them in it once."""

import asyncio
from typing import Any

import pytest

from notifier.channels.email.sandbox import ReceivedMail
from notifier.domain.clock import HOUR, MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline import dead
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.delivery import due, leases
from notifier.store.people import recipients
from notifier.store.reading import explaining, ledger
from notifier.store.reading.explaining import ExplanationQuery
from notifier.why.explain import HIDDEN, explain
from tests.named import EMAIL
from tests.pipeline.samples import NOW, Report
from tests.pipeline.steps import deliver_due, ends, offline, one, online, rows

WINDOW = 10 * MINUTE


@pytest.fixture
async def operator(engine: WorkerEngine) -> str:
    """An operator of a site."""
    return await an_operator(engine)


async def an_operator(engine: WorkerEngine, **preferences: Any) -> str:
    details = RecipientDetails(
        kind="site_operator", email="ada@example.com", sites=["gent", "noord"], time_zone="Europe/Brussels",
        preferences=Preferences(**preferences),
    )  # fmt: skip
    await recipients.put(engine.database, {"ada": details}, NOW)
    return "ada"


def mails(sandbox: Sandbox) -> list[str]:
    """The texts of the mails that arrived."""
    found = [entry.content.parsed() for entry in sandbox.ledger.entries if isinstance(entry.content, ReceivedMail)]
    return [str(mail.get_body(("plain",)).get_content()) for mail in found]  # type: ignore[union-attr]


def subjects(sandbox: Sandbox) -> list[str]:
    return [
        str(entry.content.parsed()["Subject"])
        for entry in sandbox.ledger.entries
        if isinstance(entry.content, ReceivedMail)
    ]


async def digests(engine: WorkerEngine) -> list[Any]:
    return [row for row in await rows(engine) if row.digest_id == row.id]


async def lose(engine: WorkerEngine, report: Report, *stations: str, **data: Any) -> None:
    """Stations are lost, and each loss is decided by itself."""
    for station in stations:
        await decide(engine, [await report("station.offline", **offline(station, **data))])


@pytest.mark.usefixtures("operator")
async def test_the_stations_of_a_site_that_are_lost_within_the_window_come_in_one_mail(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given three stations that are lost within ten minutes, and one of another site
    await lose(engine, report, "1")
    clock.advance(MINUTE)
    await lose(engine, report, "2", "3")
    await lose(engine, report, "9", site_id="noord", site="Noord")
    await deliver_due(engine)
    assert mails(sandbox) == []

    # When the first one's window is over
    clock.advance(WINDOW - MINUTE)
    await deliver_due(engine)

    # Then there is one mail about the three, each with its row
    (mail,) = mails(sandbox)
    assert subjects(sandbox) == ["3 stations are offline: Gent"]
    assert [f"Station {number}:" in mail for number in (1, 2, 3, 9)] == [True, True, True, False]
    # And later one about the other site, which reads as if it had come alone
    clock.advance(MINUTE)
    await deliver_due(engine)
    assert subjects(sandbox)[1:] == ["Station 9 is offline: Noord"]
    assert {row.state for row in await rows(engine)} == {"collected", "sent"}
    assert (await ledger.read(engine.database)).balanced


@pytest.mark.usefixtures("operator")
async def test_what_comes_after_a_digest_is_due_or_was_taken_up_goes_into_the_next_one(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given a digest that a worker has in its hands, and one more station that is lost
    await lose(engine, report, "1")
    clock.advance(WINDOW)
    (first,) = await digests(engine)
    await leases.claim(engine.database, [first.id], "worker", clock.now(), clock.now() + LEASE)
    await lose(engine, report, "2")

    # When the worker dies, the provider says nothing, and the digest goes again
    clock.advance(LEASE)
    await due.return_expired_leases(engine.database, clock.now(), 10)
    await lose(engine, report, "3")

    # Then both came into another digest
    second = next(row for row in await digests(engine) if row.id != first.id)
    items = await rows(engine, state=State.COLLECTED)
    assert [row.digest_id for row in items] == [first.id, second.id, second.id]


@pytest.mark.usefixtures("operator")
async def test_a_signal_that_comes_at_the_same_time_as_an_item_loses_none(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given a digest that falls due while more stations are lost
    for number in range(12):
        await lose(engine, report, str(number))
        event = await report("station.offline", **offline(f"late-{number}"))
        clock.advance(WINDOW - number % 2)
        due = [row.id for row in await rows(engine, channel="email", state=State.PENDING)]
        await asyncio.gather(decide(engine, [event]), deliver(engine, EMAIL, due))
    clock.advance(WINDOW)
    await deliver_due(engine)

    # Then each station stands in one mail
    told = "\n".join(mails(sandbox)).replace("\r\n", "\n")
    for name in [f"Station {number}" for number in range(12)] + [f"Station late-{number}" for number in range(12)]:
        in_digests, alone = told.count(f"\n{name}:"), told.count(f"Station: {name}\n")
        assert in_digests + alone == 1, name


@pytest.mark.usefixtures("operator")
async def test_workers_that_open_a_digest_at_the_same_moment_share_it(engine: WorkerEngine, report: Report) -> None:
    events = [await report("station.offline", **offline(str(number))) for number in range(6)]

    await asyncio.gather(*(decide(engine, [event]) for event in events))
    await decide(engine, events)  # those that MariaDB's scan of a small table has passed over for the others' locks

    assert len(await digests(engine)) == 1
    assert len(await rows(engine, state=State.COLLECTED)) == 6
    assert (await ledger.read(engine.database)).balanced


@pytest.mark.usefixtures("operator")
async def test_a_repeat_opens_no_digest(engine: WorkerEngine, clock: ManualClock, report: Report) -> None:
    await lose(engine, report, "1")
    clock.advance(WINDOW)
    await deliver_due(engine)

    await lose(engine, report, "1")

    assert len(await rows(engine)) == 2


@pytest.mark.usefixtures("operator")
async def test_a_station_that_is_back_before_the_mail_vanishes_from_it_and_with_it_the_news_that_it_is_back(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given two stations that are lost, and one that is back before the mail
    await lose(engine, report, "1", "2")
    clock.advance(MINUTE)
    await decide(engine, [await report("station.online", **online("1"))])
    await deliver_due(engine)

    clock.advance(WINDOW)
    await deliver_due(engine)

    # Then the mail is about the other alone
    assert subjects(sandbox) == ["Station 2 is offline: Gent"]
    assert ends(await rows(engine, type="station-online")) == [("email", "suppressed", "not_told")]
    (gone,) = [row for row in await rows(engine, type="station-offline") if row.state == "cancelled"]
    assert gone.reason == "cancelled"
    assert (await ledger.read(engine.database)).balanced


@pytest.mark.usefixtures("operator")
async def test_a_digest_of_which_nothing_is_left_is_not_sent(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    await lose(engine, report, "1")
    clock.advance(MINUTE)
    await decide(engine, [await report("station.online", **online("1"))])

    clock.advance(WINDOW)
    await deliver_due(engine)

    (digest,) = await digests(engine)
    assert (digest.state, digest.reason) == ("suppressed", "nothing_left")
    assert sandbox.ledger.entries == []


@pytest.mark.usefixtures("operator")
async def test_who_was_told_of_the_loss_is_told_that_it_is_over_and_once(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given a mail about two stations
    await lose(engine, report, "1", "2")
    clock.advance(WINDOW)
    await deliver_due(engine)

    # When one is back, and somebody reports it once more
    for since in ("2026-03-09T17:50:00Z", "2026-03-09T17:51:00Z"):
        clock.advance(MINUTE)
        await decide(engine, [await report("station.online", **online("1", since))])
        await deliver_due(engine)

    # Then whoever read of it reads so, once
    assert subjects(sandbox) == ["2 stations are offline: Gent", "Station 1 is back online: Gent"]
    assert ends(await rows(engine, type="station-online")) == [
        ("email", "sent", None), ("email", "suppressed", "not_told"),
    ]  # fmt: skip

    # And a loss later that is over before its mail is no news
    clock.advance(MINUTE)
    await lose(engine, report, "1", since="2026-03-09T18:00:00Z")
    clock.advance(MINUTE)
    await decide(engine, [await report("station.online", **online("1", "2026-03-09T18:01:00Z"))])
    clock.advance(WINDOW)
    await deliver_due(engine)
    assert len(sandbox.ledger.entries) == 2


async def test_nobody_else_is_told_that_it_is_over(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, operator: str, report: Report
) -> None:
    # Given an operator who was told, and one who came later
    await lose(engine, report, "1")
    clock.advance(WINDOW)
    await deliver_due(engine)
    later = RecipientDetails(kind="site_operator", email="bea@example.com", sites=["gent"])
    await recipients.put(engine.database, {"bea": later}, NOW)

    clock.advance(MINUTE)
    await decide(engine, [await report("station.online", **online("1"))])
    await deliver_due(engine)

    assert {(row.recipient_id, row.state) for row in await rows(engine, type="station-online")} == {
        (operator, "sent"), ("bea", "suppressed"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pace", "due"),
    [
        ("at_once", None),
        ("hourly", NOW + 20 * MINUTE),  # it is 17:40, and 18:40 in Brussels
        ("daily", NOW + 13 * HOUR + 20 * MINUTE),  # 8:00 in Brussels
    ],
)
async def test_people_choose_how_often_their_mails_come_together(
    engine: WorkerEngine, clock: ManualClock, sandbox: Sandbox, report: Report, pace: str, due: int | None
) -> None:
    await an_operator(engine, digests={"operations": pace})
    await lose(engine, report, "1", "2")

    if due is None:
        await deliver_due(engine)
        assert len(mails(sandbox)) == 2
        return
    assert [row.due_at for row in await digests(engine)] == [due]
    clock.advance(due - NOW)
    await deliver_due(engine)
    assert len(mails(sandbox)) == 1


@pytest.mark.usefixtures("operator")
async def test_a_digest_that_died_is_redriven_with_all_that_it_held(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given a digest that the mail server refused for good
    sandbox.faults.add(FaultRule(channel="email", action="fail", stage="data", reply="552 5.3.4 Too big", times=1))
    await lose(engine, report, "1", "2")
    clock.advance(WINDOW)
    await deliver_due(engine)
    (digest,) = await digests(engine)
    assert digest.state == "failed"

    # When a person redrives it
    await dead.redrive(engine, [digest.id], "ada")
    await deliver_due(engine)

    # Then both are told, and a loss after it begins a digest of its own
    (mail,) = mails(sandbox)
    assert all(f"Station {number}:" in mail for number in (1, 2))
    await lose(engine, report, "3")
    assert len(await digests(engine)) == 2
    assert (await ledger.read(engine.database)).balanced


@pytest.mark.usefixtures("operator")
async def test_the_wait_for_a_provider_takes_no_more_items_in(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given a digest that the mail server asked to bring later
    sandbox.faults.add(FaultRule(channel="email", action="fail", stage="data", reply="451 4.3.0 Later", times=1))
    await lose(engine, report, "1", "2")
    clock.advance(WINDOW)
    await deliver_due(engine)
    (digest,) = await digests(engine)
    assert (digest.state, digest.attempts) == ("pending", 1)

    await lose(engine, report, "3")

    assert (
        await one(engine, subject_key=(await rows(engine, state=State.COLLECTED))[-1].subject_key)
    ).digest_id != digest.id
    clock.advance(digest.due_at - clock.now() + SECOND)
    await deliver_due(engine)
    assert "3 stations" not in mails(sandbox)[0]


@pytest.mark.usefixtures("operator")
async def test_a_digest_is_explained_with_its_words_proven_and_without_a_link_that_works(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given a mail about two stations, which went out with a link to unsubscribe
    await lose(engine, report, "1", "2")
    clock.advance(WINDOW)
    await deliver_due(engine)
    (digest,) = await digests(engine)

    # When it is explained
    found = await explaining.read(engine.database, ExplanationQuery(delivery=digest.id))
    assert found is not None
    (decision, *_) = explain(engine.catalog, engine.renderer, engine.links, found).decisions
    (told,) = [each for each in decision.deliveries if each.id == digest.id]

    # Then what is shown is what was sent, but for the link
    assert told.proven is True
    assert told.content is not None
    link = engine.links.unsubscribe_url(digest.recipient_id, "operations", EMAIL)
    assert HIDDEN in str(told.content["text"])
    assert link not in str(told.content)
