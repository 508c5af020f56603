"""Tries as rows: each is counted and recorded once, and what is only held back is neither."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from notifier.channels.sms import codes as sms
from notifier.channels.sms.messages import SmsMessage
from notifier.channels.sms.provider import segments
from notifier.channels.sms.settings import TwilioAccount
from notifier.domain.clock import MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.messages import Receipt
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.providers import Transport
from notifier.providers.pool import Provider, Providers, Terms
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.schema import outcome
from notifier.store.core.status import rendered as delivery
from notifier.store.reading.tries import TRY
from tests.named import PUSH, SMS
from tests.pipeline.samples import COMPLETE, Report
from tests.states import TOLD, become


def with_rate(engine: WorkerEngine, rate: float | None) -> WorkerEngine:
    """The engine with a rate for its texts."""
    account = TwilioAccount(name="main", sid="s", token="t", url="http://127.0.0.1", sender="+1", rate=rate)
    terms = Terms(channel=SMS, codes=sms.CODES, cost=segments)
    provider: Provider[SmsMessage] = Provider(account, engine.transports[SMS], terms, None, engine.clock)
    return replace(engine, transports={**engine.transports, SMS: Providers([provider], None)})


class Crowd:
    """A transport that counts how many messages are on their way by it at once."""

    def __init__(self, transport: Transport[Any]) -> None:
        self._transport = transport
        self._under_way = self.most = 0

    async def send(self, message: Any) -> Receipt:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            return await self._transport.send(message)
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        await self._transport.close()


async def test_of_a_batch_as_many_are_on_their_way_as_connections_take(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a batch of six pushes, of which two at a time are to go out, to a provider that takes its time
    events = [await report("charging.complete", **{**COMPLETE, "session_id": str(number)}) for number in range(3)]
    await decide(engine, events)
    async with engine.database.engine.connect() as connection:
        ids = list(await connection.scalars(sa.select(delivery.c.id).where(delivery.c.channel == PUSH)))
    sandbox.faults.add(FaultRule(channel="push", action="delay", seconds=0.02))
    crowd = Crowd(engine.transports[PUSH])
    worker = replace(engine, transports={**engine.transports, PUSH: crowd}, at_once={PUSH: 2})

    # When it is delivered
    assert await deliver(worker, PUSH, ids) == len(ids) == 6

    # Then all of it has been sent, two at a time
    assert crowd.most == 2
    assert [sandbox.ledger.accepted(PUSH, id_) for id_ in ids] == [1] * 6


async def text(engine: WorkerEngine) -> Any:
    async with engine.database.engine.connect() as connection:
        return (await connection.execute(sa.select(delivery).where(delivery.c.channel == SMS))).one()


async def attempts(engine: WorkerEngine) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return list(
            await connection.execute(sa.select(*TRY).where(outcome.c.answer.is_not(None)).order_by(outcome.c.number))
        )


async def test_a_text_whose_turn_is_not_near_waits_as_a_row_and_uses_up_no_try(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a sender whose rate the first text takes for a minute, and a second text
    paced = with_rate(engine, rate=1 / 60)
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    first = (await text(engine)).id
    await deliver(paced, SMS, [first])
    async with engine.database.engine.begin() as connection:
        again = {"state": State.PENDING, "due_at": clock.now(), "attempts": 0}
        await become(connection, [first], **again, **dict.fromkeys(TOLD))

    # When it is tried at once
    assert await deliver(paced, SMS, [first]) == 1

    # Then it is due when the rate has room, and nothing was tried
    found = await text(engine)
    assert (found.state, found.reason, found.code, found.attempts) == ("pending", "throttled", "paced", 0)
    assert 50 * SECOND < found.due_at - clock.now() <= MINUTE + SECOND
    assert await attempts(engine) == []
    assert len(sandbox.ledger.entries) == 1


async def test_tries_are_numbered_without_a_gap(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a Twilio that fails twice
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=503, times=2))
    engine = with_rate(engine, None)
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    id_ = (await text(engine)).id

    # When it is tried until it is sent
    for _ in range(3):
        await deliver(engine, SMS, [id_])
        clock.advance((await text(engine)).due_at - clock.now())

    # Then each is on record, under the provider's name
    found = await text(engine)
    assert (found.state, found.attempts, found.provider) == ("sent", 3, "main")
    assert [(each.number, each.outcome, each.provider) for each in await attempts(engine)] == [
        (1, "unavailable", "main"),
        (2, "unavailable", "main"),
        (3, "sent", "main"),
    ]
