"""All types together tell a person only so much, whatever is in a loop upstream, and the rest has a reason."""

import dataclasses
from collections import Counter

import pytest

from notifier.domain.catalog import Catalog
from notifier.domain.clock import HOUR, ManualClock
from notifier.domain.deliveries import Reason, State
from notifier.domain.regulation import Cap, Regulation
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.often import SHARE, Often
from tests.named import EMAIL, SMS
from tests.pipeline.samples import COMPLETE, RECEIPT, WARNING, Report, to_people
from tests.pipeline.steps import rows
from tests.samples import CATALOG

MOST = 12


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """What ships, with one limit on all types together."""
    return Catalog(to_people(CATALOG).types.values(), Regulation(per_person=Cap(MOST, "1 h")))


async def loop(report: Report, first: int, count: int) -> list[str]:
    """The ids of events of two types by turns, about one driver, each about a session of its own."""
    return [
        await report(*(("charging.complete", COMPLETE) if number % 2 else ("idle.warning", WARNING)), number)
        for number in range(first, first + count)
    ]


@pytest.fixture
def numbered(report: Report) -> Report:
    async def numbered(type_: str, data: dict[str, str], number: int) -> str:
        return await report(type_, **data | {"session_id": f"s-{number}"})

    return numbered


async def texts(engine: WorkerEngine) -> Counter[tuple[str, str | None]]:
    return Counter((each.state, each.reason) for each in await rows(engine, channel=SMS))


async def test_of_a_loop_over_several_types_a_person_hears_as_much_as_policy_allows(
    engine: WorkerEngine, clock: ManualClock, driver: str, numbered: Report
) -> None:
    # When events of two types are decided in one batch, and more later
    await decide(engine, await loop(numbered, 0, 60))
    await decide(engine, await loop(numbered, 60, 20))

    # Then exactly so many are told as may be, and each of the others has the reason
    assert await texts(engine) == {(State.PENDING, None): MOST, (State.SUPPRESSED, Reason.OVER_CAP): 80 - MOST}
    told = {each.type for each in await rows(engine, channel=SMS) if each.state == State.PENDING}
    assert told == {"charging-complete", "idle-warning"}

    # And after the window the driver hears again
    clock.advance(HOUR + 1)
    await decide(engine, await loop(numbered, 80, 1))
    assert (await texts(engine))[State.SUPPRESSED, Reason.OVER_CAP] == 80 - MOST


async def test_what_is_mandatory_counts_and_is_not_held_back(
    engine: WorkerEngine, driver: str, report: Report, numbered: Report
) -> None:
    # Given as many documents as there may be messages, and more
    receipts = [await report("session.receipt", **RECEIPT | {"cdr_id": f"{number}"}) for number in range(MOST + 3)]
    await decide(engine, receipts)
    mails = await rows(engine, channel=EMAIL, type="session-receipt")
    assert Counter(row.state for row in mails) == {State.PENDING: MOST + 3}

    # When something else happens, then it is one message too many
    await decide(engine, await loop(numbered, 1, 1))
    assert await texts(engine) == {(State.SUPPRESSED, Reason.OVER_CAP): 1}


async def test_each_further_process_may_add_a_share_and_no_more(
    engine: WorkerEngine, driver: str, numbered: Report
) -> None:
    first, *others = (dataclasses.replace(engine, often=Often()) for _ in range(4))
    await decide(first, await loop(numbered, 0, 40))

    for number in range(40, 52):
        await decide(others[number % 3], await loop(numbered, number, 1))

    assert (await texts(engine))[State.PENDING, None] == MOST + len(others) * (MOST // SHARE)
