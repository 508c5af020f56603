"""Webhooks on their way: from an event to an endpoint, and what becomes of deliveries and endpoints."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from notifier.channels.webhook.address import WebhookEndpoint
from notifier.channels.webhook.sandbox import SECRET, Hook, endpoint_url
from notifier.channels.webhook.sandbox.endpoint import ROUTING_KEY
from notifier.channels.webhook.transport import WebhookTransport
from notifier.domain.addresses import Addresses
from notifier.domain.clock import SECOND, ManualClock, SystemClock
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.schema import outcome, recipient
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests.channels.provider import LOOPBACK
from tests.channels.webhook.samples import OLD_SECRET, WEBHOOK
from tests.named import EMAIL
from tests.pipeline.samples import NOW
from tests.pipeline.samples import Report as Tell
from tests.samples import CATALOG

STATION = {"site_id": "gent-zuid", "site": "Gent Zuid", "station_id": "BE*1", "station": "Station 3"}


@pytest.fixture
async def hooks(engine: WorkerEngine) -> AsyncIterator[WorkerEngine]:
    """The engine with a way to this machine's endpoints."""
    transport = WebhookTransport(SystemClock(), permitted=LOOPBACK)
    yield with_transport(engine, transport)
    await transport.close()


def with_transport(engine: WorkerEngine, transport: Any) -> WorkerEngine:
    transports = {**engine.transports, WEBHOOK: transport}
    return replace(engine, transports=transports, catalog=CATALOG)


async def subscribe(
    engine: WorkerEngine,
    sandbox: Sandbox,
    form: Any = "standard",
    secret: str | None = SECRET,
    email: str | None = None,
) -> None:
    own = WebhookEndpoint(url=endpoint_url(sandbox.http_url, form, "gent"), format=form, secret=secret)
    addresses: Any = msgspec.convert({"webhook": msgspec.to_builtins(own)}, Addresses)
    details = RecipientDetails(kind="site_operator", sites=["gent-zuid"], email=email, addresses=addresses)
    await recipients.put(engine.database, {"ops": details}, NOW)


async def send(engine: WorkerEngine, event: str) -> Any:
    """Decide an event, and send its webhook if it is due; the delivery's row."""
    await decide(engine, [event])
    mine = sa.select(delivery).where(delivery.c.event_id == event, delivery.c.channel == WEBHOOK)
    async with engine.database.engine.connect() as connection:
        row = (await connection.execute(mine)).one()
    await deliver(engine, WEBHOOK, [row.id])
    async with engine.database.engine.connect() as connection:
        return (await connection.execute(sa.select(delivery).where(delivery.c.id == row.id))).one()


async def test_an_operator_hears_by_webhook_that_a_station_is_offline_and_online_again(
    hooks: WorkerEngine, sandbox: Sandbox, report: Tell, clock: ManualClock
) -> None:
    # Given an endpoint of PagerDuty's
    await subscribe(hooks, sandbox, "pagerduty", ROUTING_KEY)

    # When
    offline = await send(hooks, await report("station.offline", since="2026-03-09T17:40:00Z", **STATION))
    clock.advance(600 * SECOND)
    online = await send(hooks, await report("station.online", online_since="2026-03-09T17:50:00Z", **STATION))

    # Then both are delivered by their answers, and the second resolves the first
    assert (offline.state, online.state) == ("delivered", "delivered")
    assert offline.provider_reference == offline.id
    told = [entry.content.body for entry in sandbox.ledger.entries if isinstance(entry.content, Hook)]
    assert [each["event_action"] for each in told] == ["trigger", "resolve"]
    assert len({each["dedup_key"] for each in told}) == 1
    assert told[0]["payload"]["source"] == "BE*1"
    assert told[0]["payload"]["summary"] == "Station 3 is offline: Gent Zuid"


async def test_what_closes_something_goes_out_on_each_channel(
    hooks: WorkerEngine, sandbox: Sandbox, report: Tell, clock: ManualClock
) -> None:
    # Given an operator with an endpoint and a mailbox, who has heard of it by the endpoint
    await subscribe(hooks, sandbox, email="ops@example.com")
    await send(hooks, await report("station.offline", since="2026-03-09T17:40:00Z", **STATION))
    clock.advance(600 * SECOND)

    # When it is over, then neither channel keeps the other silent
    online = await report("station.online", online_since="2026-03-09T17:50:00Z", **STATION)
    assert (await send(hooks, online)).state == "delivered"
    mail = sa.select(delivery.c.id).where(delivery.c.event_id == online, delivery.c.channel == EMAIL)
    async with hooks.database.engine.connect() as connection:
        id_ = (await connection.execute(mail)).scalar_one()
    await deliver(hooks, EMAIL, [id_])
    assert sandbox.ledger.accepted(EMAIL, id_) == 1


async def test_a_failed_try_comes_again_when_the_endpoint_asks_for_it(
    hooks: WorkerEngine,
    sandbox: Sandbox,
    report: Tell,
    clock: ManualClock,
) -> None:
    # Given
    await subscribe(hooks, sandbox)
    sandbox.faults.add(FaultRule(channel="webhook", action="fail", status=503, retry_after=120, times=1))

    # When
    row = await send(hooks, await report("station.offline", since="2026-03-09T17:40:00Z", **STATION))

    # Then
    assert (row.state, row.reason, row.code) == ("pending", "throttled", "503")
    assert row.due_at >= clock.now() + 120 * SECOND

    # And later it arrives once, under the same id
    clock.advance(row.due_at - clock.now())
    await deliver(hooks, WEBHOOK, [row.id])
    assert sandbox.ledger.accepted(WEBHOOK, row.id) == 1


async def endpoints(engine: WorkerEngine) -> dict[str, Any]:
    async with engine.database.engine.connect() as connection:
        found = (await connection.execute(sa.select(recipient.c.addresses))).scalar_one()
    decoded: dict[str, Any] = msgspec.json.decode(found)
    return decoded


async def test_an_endpoint_that_is_gone_is_forgotten(hooks: WorkerEngine, sandbox: Sandbox, report: Tell) -> None:
    await subscribe(hooks, sandbox)
    sandbox.faults.add(FaultRule(channel="webhook", action="fail", status=410, times=1))

    row = await send(hooks, await report("station.offline", since="2026-03-09T17:40:00Z", **STATION))

    assert (row.state, row.reason, row.code) == ("failed", "address_gone", "410")
    assert await endpoints(hooks) == {}


async def test_an_endpoint_that_was_replaced_meanwhile_stays(
    hooks: WorkerEngine,
    sandbox: Sandbox,
    report: Tell,
) -> None:
    # Given an endpoint that is replaced while the old one answers that it is gone
    await subscribe(hooks, sandbox)
    sandbox.faults.add(FaultRule(channel="webhook", action="fail", status=410, times=1))
    inner = hooks.transports[WEBHOOK]

    class ReplacingTransport:
        async def send(self, message: Any) -> Any:
            try:
                return await inner.send(message)
            finally:
                await subscribe(hooks, sandbox, secret=OLD_SECRET)

        async def close(self) -> None:
            return

    # When
    event = await report("station.offline", since="2026-03-09T17:40:00Z", **STATION)
    row = await send(with_transport(hooks, ReplacingTransport()), event)

    # Then
    assert (row.state, row.code) == ("failed", "410")
    assert (await endpoints(hooks))["webhook"]["secret"] == OLD_SECRET


async def test_nothing_of_a_webhook_is_kept_but_its_code(hooks: WorkerEngine, sandbox: Sandbox, report: Tell) -> None:
    await subscribe(hooks, sandbox)
    row = await send(hooks, await report("station.offline", since="2026-03-09T17:40:00Z", **STATION))
    async with hooks.database.engine.connect() as connection:
        tried = (await connection.execute(sa.select(outcome))).one()

    kept = repr((tuple(row), tuple(tried)))
    assert SECRET not in kept
    assert sandbox.http_url not in kept
