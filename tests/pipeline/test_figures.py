"""What is shown of what messages achieved, as the store sums it: each part of a sum once, on every database."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY
from notifier.domain.effects import Effect, hour_of
from notifier.domain.figures import Figures, span_of
from notifier.domain.twins import twin
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.database import Database
from notifier.store.delivery import effects
from notifier.why import outcomes
from tests.conftest import prepare
from tests.pipeline.receipts import MOVED, tell_one, text, told
from tests.pipeline.samples import NOW, Report
from tests.pipeline.test_outcomes import counted
from tests.samples import CATALOG

HERE = hour_of(NOW)
WARN, PAYMENT = "idle-warning", "payment-failed"
SPAN = span_of(NOW - 2 * DAY, NOW, None)
OUTCOMES = outcomes.of_catalog(CATALOG)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


async def put(database: Database, *given: Effect) -> None:
    """Count these, in the last of the buckets where there are several."""

    async def work(connection: AsyncConnection) -> None:
        await effects.add(connection, database.dialect, given)

    await database.buckets[-1].write(work)


def of(what: str, number: int, **given: object) -> Effect:
    usual = {"hour": HERE - 2, "type": WARN, "channel": "push", "locale": "de", "variant": ""}
    return Effect(**{**usual, **given}, what=what, number=number)  # type: ignore[arg-type]


EFFECTS = [
    of("sent", 3), of("sent", 2, channel="sms", locale="en", hour=HERE - 30), of("sent", 1, variant="b", hour=HERE),
    *(of("exposed", 4, channel=channel) for channel in ("", "push")),
    *(of("answered", 3, channel=channel, after=5) for channel in ("", "push")),
    of("answered", 2, channel="", hour=HERE), of("answered", 7, channel="", type=PAYMENT),
    of("sent", 9, type=twin(WARN)), of("sent", 100, hour=HERE - 24 * 4), of("stopped", 6, type="", channel="sms"),
]  # fmt: skip
"""Warnings of three hours, of which the last is not final; a payment's outcomes, a test, what is past, and a STOP."""


async def test_each_type_has_one_line_with_its_people_once_and_its_final_hours_alone(engine: WorkerEngine) -> None:
    await put(engine.database, *EFFECTS)

    found = await outcomes.look(engine.database, OUTCOMES, SPAN, NOW)

    assert found == [
        Figures(type="", stopped=6),
        Figures(
            type=WARN, outcome="The car left", sent=6, exposed=4, answered=3, share=0.75, median_minutes=6.0, so_far=2
        ),
        Figures(type=PAYMENT, outcome="It was paid", so_far=7),
    ]


async def test_groups_have_the_same_sum_as_the_whole(engine: WorkerEngine) -> None:
    await put(engine.database, *EFFECTS)

    for by, groups in {
        "day": ["2026-03-08", "2026-03-09"], "hour": [f"2026-03-0{day}:00:00Z" for day in ("8T11", "9T15", "9T17")],
        "channel": ["push", "sms"], "locale": ["de", "en"], "variant": ["", "b"],
    }.items():  # fmt: skip
        found = await outcomes.look(engine.database, {WARN: OUTCOMES[WARN]}, SPAN, NOW, by)  # type: ignore[arg-type]

        assert [each.group for each in found] == groups
        assert sum(each.sent for each in found) == 6
        assert [each.share for each in found if each.exposed] == [0.75]


async def test_tests_are_told_by_themselves_alone(engine: WorkerEngine) -> None:
    await put(engine.database, *EFFECTS)

    assert await outcomes.look(engine.database, OUTCOMES, SPAN, NOW, test=True) == [
        Figures(type=WARN, outcome="The car left", sent=9)
    ]
    assert await outcomes.look(engine.database, {}, SPAN, NOW) == []


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
async def test_what_a_receipt_overtook_was_sent_too(engine: WorkerEngine, driver: str, report: Report) -> None:
    # Given a text whose carrier tells that it arrived after the worker has written down that it is sent, and one before
    first = await text(engine, report)
    second = await text(engine, report, 2, sent=False)

    # When both have arrived
    for each in (first, second):
        assert await tell_one(engine, told(each.id)) == MOVED

    # Then both were sent, each once
    found = await counted(engine, "charging-complete")
    assert (found["sms", "sent", 0], found["sms", "delivered", 0]) == (2, 2)
