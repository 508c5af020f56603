"""The archive: every event before a day with all that belongs to it, one object a line, however many there are."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY, ManualClock
from notifier.domain.ids import dated, make_id
from notifier.pipeline import erasure
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.schema import decision, event
from notifier.store.core.status import rendered as delivery
from notifier.store.people import erasures
from notifier.store.reading import archive as store
from notifier.why.archive import archive
from tests.pipeline.samples import COMPLETE, NOW, Report
from tests.pipeline.steps import deliver_due


async def archived(engine: WorkerEngine, before: int) -> list[dict[str, Any]]:
    text = b"".join([piece async for piece in archive(engine.database, before)])
    return [json.loads(line) for line in text.splitlines()]


async def ids(engine: WorkerEngine, column: sa.ColumnElement[Any]) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return sorted((await connection.execute(sa.select(column))).scalars())


async def test_an_event_comes_with_its_deliveries_their_attempts_and_the_decisions(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given an event of yesterday that was told, one that waits, and one of today
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=400, code="21612", times=1))
    told = await report("charging.complete", **COMPLETE)
    await decide(engine, [told])
    await deliver_due(engine)
    waits = await report("charging.complete", **{**COMPLETE, "session_id": "2"})
    clock.advance(DAY)
    await report("charging.complete", **{**COMPLETE, "session_id": "3"})

    found = {each["id"]: each for each in await archived(engine, clock.now())}

    assert found.keys() == {told, waits}
    assert found[told]["data"]["station"] == "Gent Zuid, bay 3"
    assert found[told]["accepted_at"] == "2026-03-09T17:40:00Z"
    assert (found[waits]["decided_at"], found[waits]["deliveries"], found[waits]["decisions"]) == (None, [], [])
    assert sorted(each["id"] for each in found[told]["deliveries"]) == await ids(engine, delivery.c.id)
    (text,) = (each for each in found[told]["deliveries"] if each["channel"] == "sms")
    assert (text["state"], text["reason"], text["attempts"][0]["code"]) == ("failed", "refused", "21612")
    (made,) = found[told]["decisions"]
    assert (made["recipient_id"], made["standing"]["locale"]) == ("ada", "de-AT")


@pytest.mark.parametrize("more", [0, 1])
async def test_more_than_a_page_comes_whole(engine: WorkerEngine, driver: str, report: Report, more: int) -> None:
    # Given three pages of events, of which one has more decisions than two pages hold
    first = await report("charging.complete", **COMPLETE)
    (given,) = await _rows(engine, event)
    names = [dated(make_id(str(number)), NOW) for number in range(2 * store.EVENTS + more)]
    new = {"event_id": names[7], "type": "t", "decided_at": NOW, "answers": "[]"}
    many = 2 * store.BELONGING + more
    async with engine.database.engine.begin() as connection:
        rows = [dict(given._mapping) | {"id": id_, "source_id": id_} for id_ in names]
        await connection.execute(sa.insert(event), rows)
        await connection.execute(sa.insert(decision), [{**new, "recipient_id": f"{n:06}"} for n in range(many)])

    found = {each["id"]: each for each in await archived(engine, NOW + 1)}

    assert found.keys() == {first, *names}
    told = [each["recipient_id"] for each in found[names[7]]["decisions"]]
    assert (len(told), told) == (many, sorted(set(told)))
    assert all(each["decisions"] == [] for id_, each in found.items() if id_ != names[7])


async def test_what_an_erasure_has_blanked_is_blank(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a message to somebody who is erased
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    await deliver_due(engine)
    await erasures.begin(engine.database, ["ada"], "test", clock.now())
    await erasure.sweep(engine)
    clock.advance(DAY)
    await erasure.sweep(engine)

    text = b"".join([piece async for piece in archive(engine.database, clock.now())])

    (kept,) = [json.loads(line) for line in text.splitlines()]
    assert (kept["data"], kept["subject"]) == ({}, None)
    assert b'"ada"' not in text
    assert kept["deliveries"]


async def _rows(engine: WorkerEngine, table: sa.Table) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(sa.select(table)))
