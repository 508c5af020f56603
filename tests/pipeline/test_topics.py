"""Subscribers of a topic: told once, and only of what is new."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.deliveries import Reason, State
from notifier.domain.messages import Device
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.schema import membership
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients, topics
from notifier.store.reading import ledger
from tests.pipeline.samples import AVAILABLE, NOW, Report

TOPIC = AVAILABLE["topic"]
LATER = {"since": "2026-03-09T18:10:00Z"}


@pytest.fixture
async def ada(engine: WorkerEngine) -> str:
    """A subscriber with one phone."""
    await recipients.put(engine.database, {"ada": RecipientDetails(devices=[Device(value="token-1")])}, NOW)
    assert await topics.subscribe(engine.database, TOPIC, "ada")
    return "ada"


async def told(engine: WorkerEngine) -> list[tuple[str, str, str | None]]:
    query = sa.select(delivery.c.recipient_id, delivery.c.state, delivery.c.reason).order_by(delivery.c.created_at)
    async with engine.database.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(query)]


async def subscribers(engine: WorkerEngine) -> list[str]:
    return await topics.subscribers(engine.database, TOPIC, "", 10)


async def test_a_subscriber_is_told_and_the_subscription_ends_with_it(
    engine: WorkerEngine, ada: str, report: Report
) -> None:
    # When the station is free, and some time later free again
    await decide(engine, [await report("station.available", **AVAILABLE)])
    assert await subscribers(engine) == []
    await decide(engine, [await report("station.available", **AVAILABLE | LATER)])

    # Then she was told of the first time alone
    assert await told(engine) == [("ada", "pending", None), ("", "suppressed", Reason.EMPTY_AUDIENCE)]
    assert (await ledger.read(engine.database)).balanced


async def test_of_two_events_in_one_batch_or_at_once_a_subscriber_hears_one(
    engine: WorkerEngine, ada: str, report: Report
) -> None:
    events = [await report("station.available", **AVAILABLE | {"since": f"2026-03-09T17:3{n}:00Z"}) for n in range(4)]

    await asyncio.gather(decide(engine, events[:2]), decide(engine, events[2:]))
    await decide(engine, events)  # what met the other at every try is still there

    states = [state for _, state, _ in await told(engine)]
    assert (states.count(State.PENDING), len(states)) == (1, 4)
    assert (await ledger.read(engine.database)).balanced


async def test_who_subscribes_again_is_not_told_again_of_the_same_time_and_stays_subscribed(
    engine: WorkerEngine, ada: str, report: Report
) -> None:
    # Given that she was told, and wants to be told again
    await decide(engine, [await report("station.available", **AVAILABLE)])
    await topics.subscribe(engine.database, TOPIC, "ada")

    # When the same time is reported once more, then she hears nothing and the subscription stands
    await decide(engine, [await report("station.available", **AVAILABLE)])
    assert len(await told(engine)) == 1
    assert await subscribers(engine) == ["ada"]

    # And the next time she is told
    await decide(engine, [await report("station.available", **AVAILABLE | LATER)])
    assert len(await told(engine)) == 2
    assert await subscribers(engine) == []


async def test_who_could_not_be_told_stays_subscribed(engine: WorkerEngine, report: Report) -> None:
    off = RecipientDetails(devices=[Device(value="t")], preferences=Preferences(everything=False))
    await recipients.put(engine.database, {"off": off}, NOW)
    await topics.subscribe(engine.database, TOPIC, "off")

    await decide(engine, [await report("station.available", **AVAILABLE)])

    assert await told(engine) == [("off", "suppressed", Reason.SWITCHED_OFF)]
    assert await subscribers(engine) == ["off"]


async def test_what_a_service_writes_of_a_recipient_ends_no_subscription(engine: WorkerEngine, ada: str) -> None:
    await recipients.put(engine.database, {"ada": RecipientDetails(name="Ada", tokens=["T-1"])}, NOW)
    await recipients.put(engine.database, {"ada": RecipientDetails(name="Ada")}, NOW)

    assert await subscribers(engine) == ["ada"]
    async with engine.database.engine.connect() as connection:
        found: list[Any] = list((await connection.execute(sa.select(membership.c.audience))).scalars())
    assert sorted(found) == ["driver:ada", f"topic:{TOPIC.upper()}"]
