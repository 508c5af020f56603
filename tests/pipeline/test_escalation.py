"""One person on call after the other, until somebody takes care of it."""

import pytest

from notifier.domain.clock import MINUTE, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline import stopping
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.store.delivery import deliveries
from notifier.store.people import on_call, recipients
from notifier.store.reading import ledger
from tests.pipeline.samples import NOW, Report
from tests.pipeline.steps import LATE_VAN, deliver_due, rows

TURN = 10 * MINUTE


def manager(id_: str) -> RecipientDetails:
    return RecipientDetails(kind="fleet_manager", email=f"{id_}@example.com", fleets=["acme"])


@pytest.fixture
async def managers(engine: WorkerEngine) -> None:
    """Three managers of a fleet; cleo is the first on call, bea the second."""
    people = {id_: manager(id_) for id_ in ("ada", "bea", "cleo")}
    await recipients.put(engine.database, people, NOW)
    assert await on_call.put(engine.database, "fleet:acme", ["cleo", "bea"]) == []


async def mailed(sandbox: Sandbox) -> list[str]:
    return [entry.to.partition("@")[0] for entry in sandbox.ledger.entries]


@pytest.mark.usefixtures("managers")
async def test_each_is_told_a_turn_after_the_one_before(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    await decide(engine, [await report("vehicle.not_ready", **LATE_VAN)])

    told = []
    for _ in range(3):
        await deliver_due(engine)
        told.append(await mailed(sandbox))
        clock.advance(TURN)

    assert told == [["cleo"], ["cleo", "bea"], ["cleo", "bea", "ada"]]


@pytest.mark.usefixtures("managers")
@pytest.mark.parametrize("by_delivery", [True, False])
async def test_what_somebody_takes_care_of_is_told_to_nobody_else(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report, by_delivery: bool
) -> None:
    # Given the first on call who has been told
    await decide(engine, [await report("vehicle.not_ready", **LATE_VAN)])
    await deliver_due(engine)
    (sent,) = await rows(engine, state=State.SENT)
    clock.advance(MINUTE)

    # When she takes care of it, and says so twice
    for _ in range(2):
        if by_delivery:
            delivery = await deliveries.get(engine.database, sent.id)
            assert delivery is not None
            stopped = await stopping.acknowledge_delivery(engine, delivery, "cleo")
        else:
            kind = engine.catalog.types["vehicle-not-ready"]
            stopped = await stopping.acknowledge(engine, kind, "van-1", "cleo")
        assert {each.recipient for each in stopped.deliveries} == {"bea", "ada"}

    # Then the others hear nothing, and the books say why
    clock.advance(2 * TURN)
    await deliver_due(engine)
    assert await mailed(sandbox) == ["cleo"]
    waited = await rows(engine, channel="email", state=State.CANCELLED)
    assert {(row.recipient_id, row.reason) for row in waited} == {("bea", "acknowledged"), ("ada", "acknowledged")}
    assert (await ledger.read(engine.database)).balanced


@pytest.mark.usefixtures("managers")
async def test_what_happens_after_the_acknowledgement_begins_anew(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    await stopping.acknowledge(engine, engine.catalog.types["vehicle-not-ready"], "van-1", "cleo")
    clock.advance(1)

    await decide(engine, [await report("vehicle.not_ready", **LATE_VAN)])
    await deliver_due(engine)

    assert await mailed(sandbox) == ["cleo"]


@pytest.mark.usefixtures("managers")
async def test_who_is_on_call_stays_so_when_they_are_written_anew(engine: WorkerEngine) -> None:
    # Given a recipient's service that writes them again, one without the fleet
    await recipients.put(
        engine.database, {"cleo": manager("cleo"), "bea": RecipientDetails(email="b@example.com")}, NOW
    )

    # Then who looks after it still has their place, and who doesn't has none
    assert await on_call.get(engine.database, "fleet:acme") == ["cleo"]


@pytest.mark.usefixtures("managers")
async def test_nobody_is_on_call_for_what_they_do_not_look_after(engine: WorkerEngine) -> None:
    assert await on_call.put(engine.database, "fleet:acme", ["ada", "zoe"]) == ["zoe"]
    assert await on_call.get(engine.database, "fleet:acme") == ["cleo", "bea"]
