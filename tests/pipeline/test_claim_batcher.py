"""What batches of one process ask of the store at the same moment: together, and each only its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from notifier import metrics
from notifier.domain.clock import ManualClock
from notifier.domain.deliveries import State
from notifier.domain.messages import Receipt
from notifier.pipeline.claim_batcher import LEASE, Claim, Settlement
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.settle import attempt
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import due
from notifier.store.delivery.leases import Settled
from tests.named import SMS
from tests.pipeline.samples import COMPLETE, Report


@pytest.fixture
async def texts(engine: WorkerEngine, driver: str, report: Report) -> list[str]:
    """The ids of six texts that are due."""
    events = [await report("charging.complete", **{**COMPLETE, "session_id": str(number)}) for number in range(6)]
    await decide(engine, events)
    return [id_ for id_, row in (await rows(engine)).items() if row.channel == SMS]


async def rows(engine: WorkerEngine) -> dict[str, Any]:
    async with engine.database.engine.connect() as connection:
        return {row.id: row for row in await connection.execute(sa.select(delivery))}


@contextmanager
def transactions(engine: WorkerEngine) -> Iterator[list[str]]:
    """The transactions that are begun meanwhile."""
    begun: list[str] = []

    def note(connection: sa.Connection) -> None:
        begun.append("written" if connection.get_execution_options().get("notifier_write") else "read")

    sa.event.listen(engine.database.engine.sync_engine, "begin", note)
    try:
        yield begun
    finally:
        sa.event.remove(engine.database.engine.sync_engine, "begin", note)


def sent(claim: Claim, now: int, **other: Any) -> Settlement:
    settled = Settled(
        id=claim.ready.id,
        recipient_id=claim.ready.recipient_id,
        channel=claim.ready.channel,
        lease_token=claim.token,
        state=State.SENT,
        reason=None,
        due_at=now,
        next_check_at=None,
        attempts=1,
        provider="twilio",
        provider_reference="SM1",
        locale="de",
    )
    changed = msgspec.structs.replace(settled, **other)
    return Settlement(changed, attempt(claim.ready, Receipt("twilio", "SM1"), now, now))


async def test_batches_are_claimed_in_one_transaction_and_each_gets_its_own(
    engine: WorkerEngine, texts: list[str]
) -> None:
    # When six batches are claimed at the same moment
    with transactions(engine) as begun:
        held = await asyncio.gather(*(engine.claims.claim([id_]) for id_ in texts))

    # Then they went together, and each got its own
    assert begun == ["written"]
    assert [[each.ready.id for each in own] for own in held] == [[id_] for id_ in texts]
    assert {row.state for id_, row in (await rows(engine)).items() if id_ in texts} == {"sending"}


async def test_one_of_two_who_ask_for_a_delivery_at_the_same_moment_has_it(
    engine: WorkerEngine, texts: list[str]
) -> None:
    # When two batches of the same texts are claimed together
    one, two = await asyncio.gather(engine.claims.claim(texts), engine.claims.claim(texts[::-1]))

    # Then each text is the one's or the other's
    assert sorted(each.ready.id for each in (*one, *two)) == sorted(texts)


async def test_an_outcome_that_the_store_does_not_take_keeps_no_other_back(
    engine: WorkerEngine, clock: ManualClock, texts: list[str]
) -> None:
    # Given six texts that were sent, and an outcome of one that no row can hold
    held = await engine.claims.claim(texts)
    bad = texts[3]

    # When they are settled together
    with capture_logs() as told:
        await engine.claims.settle(
            [sent(each, clock.now(), **({"attempts": None} if each.ready.id == bad else {})) for each in held]
        )

    # Then the others are, and the log says that one isn't
    states = {id_: row.state for id_, row in (await rows(engine)).items() if id_ in texts}
    assert states == {id_: "sending" if id_ == bad else "sent" for id_ in texts}
    assert [each["event"] for each in told] == ["deliver.row_left_out"]


async def test_outcomes_of_several_leases_are_settled_together_and_those_that_ran_out_are_counted(
    engine: WorkerEngine, clock: ManualClock, texts: list[str]
) -> None:
    # Given texts under two leases, the first of which ran out, so that the clock took its texts back
    held = await engine.claims.claim(texts[:3])
    clock.advance(LEASE)
    assert await due.return_expired_leases(engine.database, clock.now(), 10) == 3
    held += await engine.claims.claim(texts[3:])
    before = metrics.leases_lost._value.get()

    # When both are settled together
    await engine.claims.settle([sent(each, clock.now()) for each in held])

    # Then those count whose lease lasts
    states = [row.state for id_, row in (await rows(engine)).items() if id_ in texts[3:]]
    assert states == ["sent"] * 3
    assert metrics.leases_lost._value.get() == before + 3
    assert {row.state for id_, row in (await rows(engine)).items() if id_ in texts[:3]} == {"unknown"}


async def test_nothing_is_asked_of_the_store_for_nothing(engine: WorkerEngine) -> None:
    with transactions(engine) as begun:
        assert await engine.claims.claim([]) == []
        await engine.claims.settle([])

    assert begun == []
