"""A sender in a loop is heard so often and no more, whatever its type's category, and nobody else pays."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.catalog import Catalog
from notifier.domain.clock import HOUR, MINUTE, ManualClock
from notifier.domain.deliveries import Reason, State
from notifier.domain.preferences import Preferences, QuietHours
from notifier.domain.recipient_facts import of_type
from notifier.domain.recipients import RecipientDetails
from notifier.domain.regulation import Cap, Regulation
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.often import REMEMBERED, SHARE, Often
from notifier.pipeline.plan import make_plan
from notifier.pipeline.spending import to_be_counted
from notifier.store.people import recipients
from notifier.store.reading import explaining
from notifier.store.reading.explaining import ExplanationQuery
from notifier.why.explain import explain
from tests.named import EMAIL, SMS
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, WARNING, Report, to_people
from tests.pipeline.steps import offline, rows
from tests.policy.samples import event_of, kind_of, person_of
from tests.samples import CATALOG

MOST = 5
LIMIT = Cap(MOST, "1 h")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """What ships, with limits that a test gets to."""
    return Catalog(to_people(CATALOG).types.values(), Regulation(per_type=LIMIT, types={"idle-warning": Cap(7, "1 h")}))


async def told(engine: WorkerEngine, type_: str, channel: str = SMS) -> Counter[tuple[str, str | None]]:
    return Counter((each.state, each.reason) for each in await rows(engine, type=type_, channel=channel))


async def completions(report: Report, count: int, name: str = "s", **data: str) -> list[str]:
    """The ids of events, each about the end of a session of its own."""
    return [
        await report("charging.complete", **COMPLETE | {"session_id": f"{name}-{number}"} | data)
        for number in range(count)
    ]


def limiting(engine: WorkerEngine, type_: str, limit: Cap) -> WorkerEngine:
    """The engine with a policy that limits one type by its name."""
    regulation = msgspec.structs.replace(engine.catalog.regulation, types={type_: limit})
    return dataclasses.replace(engine, catalog=Catalog(to_people(CATALOG).types.values(), regulation), often=Often())


@contextmanager
def counts(engine: WorkerEngine) -> Iterator[list[str]]:
    """The statements meanwhile that count for a limit."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "min(delivery.due_at)" in statement:
            found.append(statement)

    sa.event.listen(engine.database.engine.sync_engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(engine.database.engine.sync_engine, "before_cursor_execute", note)


async def test_of_a_loop_only_so_many_reach_a_person_in_one_batch_and_over_several(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    """Given an upstream that reports another session's end again and again for one driver
    When its events are decided in one batch, and one more later
    Then as many texts go out as the policy lets one type tell, the others are suppressed with the reason
    And another type has a limit of its own, and after the window the driver hears again."""
    await decide(engine, await completions(report, 25))
    assert await told(engine, "charging-complete") == {
        (State.PENDING, None): MOST,
        (State.SUPPRESSED, Reason.OVER_CAP): 25 - MOST,
    }

    await decide(engine, await completions(report, 1, "later"))
    assert (await told(engine, "charging-complete"))[State.SUPPRESSED, Reason.OVER_CAP] == 26 - MOST

    more = [await report("idle.warning", **WARNING | {"session_id": str(number)}) for number in range(9)]
    await decide(engine, more)
    assert (await told(engine, "idle-warning"))[State.SUPPRESSED, Reason.OVER_CAP] == 9 - 7

    clock.advance(HOUR + 1)
    await decide(engine, await completions(report, 1, "next"))
    assert (await told(engine, "charging-complete"))[State.SUPPRESSED, Reason.OVER_CAP] == 26 - MOST


async def test_each_further_process_may_add_a_share_and_no_more(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given a loop that one process has heard of until it is full, and three others that have not heard of it
    most, others = 2 * SHARE, 3
    first, *more = (limiting(engine, "charging-complete", Cap(most, "1 h")) for _ in range(others + 1))
    await decide(first, await completions(report, most + 5))
    assert (await told(engine, "charging-complete"))[State.PENDING, None] == most

    # When they come upon it, event by event
    for number in range(5):
        for which, worker in enumerate(more):
            await decide(worker, await completions(report, 1, f"{which}-{number}"))

    # Then each tells a tenth of the limit before it asks
    assert (await told(engine, "charging-complete"))[State.PENDING, None] == most + others * most // SHARE


async def test_nothing_is_counted_for_a_person_who_comes_up_now_and_then_nor_again_for_one_who_has_had_all(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    worker = limiting(engine, "charging-complete", Cap(SHARE, "1 h"))
    with counts(engine) as asked:
        await decide(worker, await completions(report, 1))
    assert asked == []

    await decide(worker, await completions(report, SHARE, "loop"))
    with counts(engine) as asked:
        await decide(worker, await completions(report, 10, "loop-goes-on"))
        assert asked != []
        asked.clear()
        await decide(worker, await completions(report, 10, "and-on"))
    assert asked == []
    assert (await told(engine, "charging-complete"))[State.PENDING, None] == SHARE


async def test_what_is_held_over_night_is_no_flood_in_the_morning(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given a person with quiet hours, and a loop that goes on through them
    quiet = RecipientDetails(
        email="bea@example.com", time_zone="Europe/Vienna", tokens=["T-BEA"],
        preferences=Preferences(quiet_hours=QuietHours("18:00", "07:00")),
    )  # fmt: skip
    await recipients.put(engine.database, {"bea": quiet}, NOW)
    engine = limiting(engine, "session-receipt", LIMIT)
    for hour in range(4):
        data = {name: value for name, value in RECEIPT.items() if name != "cdr_id"} | {"token": "T-BEA"}
        await decide(engine, [await report("session.receipt", **data, cdr_id=f"{hour}-{n}") for n in range(4)])
        clock.advance(HOUR)

    # Then in the morning there are as many mails as there may be within an hour
    found = await rows(engine, recipient_id="bea", channel=EMAIL)
    held = [row.due_at for row in found if row.state == State.PENDING]
    assert len(held) == MOST
    assert len(set(held)) == 1
    assert held[0] > clock.now()


async def test_a_digest_collects_however_many_there_are(engine: WorkerEngine, report: Report) -> None:
    # Given the one who looks after a site that goes dark
    await recipients.put(engine.database, {"olga": RecipientDetails(email="olga@example.com", sites=["gent"])}, NOW)

    await decide(engine, [await report("station.offline", **offline(str(number))) for number in range(12)])

    found = Counter(row.state for row in await rows(engine, type="station-offline"))
    assert found == {State.COLLECTED: 12, State.PENDING: 1}


async def test_a_document_that_is_mandatory_is_held_back_only_where_the_policy_names_its_type(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given more receipts than a type may tell
    async def receipts(name: str) -> list[str]:
        return [await report("session.receipt", **RECEIPT | {"cdr_id": f"{name}-{n}"}) for n in range(9)]

    await decide(engine, await receipts("first"))
    assert await told(engine, "session-receipt", EMAIL) == {(State.PENDING, None): 9}

    # When its type is named, then what comes after is held back
    await decide(limiting(engine, "session-receipt", Cap(11, "1 h")), await receipts("second"))
    assert (await told(engine, "session-receipt", EMAIL))[State.SUPPRESSED, Reason.OVER_CAP] == 7


async def test_why_it_was_held_back_is_told_in_words(engine: WorkerEngine, driver: str, report: Report) -> None:
    ids = await completions(report, MOST + 1)
    await decide(engine, ids)
    held = next(row for row in await rows(engine, channel=SMS) if row.state == State.SUPPRESSED)

    found = await explaining.read(engine.database, ExplanationQuery(event=held.event_id, recipient="ada"))
    assert found is not None
    said = msgspec.json.encode(explain(engine.catalog, engine.renderer, engine.links, found)).decode()

    assert "the person had reached a limit on messages" in said
    assert f"This type has notified the person {MOST} times within 1 h, which is its limit: not sent." in said


@given(
    most=st.integers(1, 12),
    batches=st.lists(st.tuples(st.integers(0, 40 * MINUTE), st.lists(st.integers(0, 2), max_size=15)), max_size=12),
)
def test_one_process_never_tells_more_than_there_may_be_within_a_window_and_gives_a_reason_for_the_rest(
    most: int, batches: list[tuple[int, list[int]]]
) -> None:
    # Given batches of events about three people, some time apart, and a database that knows what was told
    kind = kind_of(channels=(SMS,))
    catalog = Catalog([kind], Regulation(per_type=Cap(most, "1 h")))
    people = {f"driver:{number}": [person_of(f"{number}")] for number in range(3)}
    often, now, sent = Often(), NOW, dict[str, tuple[int, ...]]()

    for pause, persons in batches:
        now += pause
        batch = [
            event_of(now, now, f"{now}-{n}", session_id=f"{now}-{n}", driver_id=f"{person}")
            for n, person in enumerate(persons)
        ]
        asked = [(kind, people[f"driver:{person}"]) for person in persons]
        counted, spent = to_be_counted(catalog, asked, often, now)
        for id_ in counted.get(kind.id, ()):
            recent = tuple(at for at in sent.get(id_, ()) if at > now - HOUR)
            spent.setdefault(id_, {})[of_type(kind.id)] = recent
            often.learn({id_: {of_type(kind.id): recent}}, {kind.id: Cap(most, "1 h")}, now)
        plan = make_plan(catalog, batch, people, now, spent)

        # Then each is told or has a reason
        for row in plan.deliveries.values():
            assert (row.state, row.reason) in {(State.PENDING, None), (State.SUPPRESSED, Reason.OVER_CAP)}
            if row.state == State.PENDING:
                sent[row.recipient_id] = (*sent.get(row.recipient_id, ()), row.due_at)
            else:
                assert sum(at > now - HOUR for at in sent[row.recipient_id]) >= most
    for moments in sent.values():
        assert all(sum(0 <= at - moment < HOUR for at in moments) <= most for moment in moments)


def test_what_is_remembered_is_bounded() -> None:
    often = Often()
    for number in range(REMEMBERED + 10):
        often.begin(NOW, HOUR)
        often.comes_up("idle", str(number), LIMIT)

    assert len(often._now) + len(often._before) <= REMEMBERED + 10
    assert len(often._now) <= 10
    assert often.comes_up("idle", "0", LIMIT)


def test_what_ships_lets_no_loop_through() -> None:
    regulation = CATALOG.regulation
    for kind in CATALOG.types.values():
        limit = regulation.limit_of(kind.id, kind.category) or regulation.caps[kind.category]
        assert limit.most <= 60
        assert not kind.mandatory or kind.id in regulation.types
