"""Subscribers: a real HTTP server that takes batches as it is told, and a pump that tells it."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection
from standardwebhooks import Webhook

from notifier.broker import make_broker
from notifier.broker.signals import Signals
from notifier.changes.owners import Owners
from notifier.changes.pump import HEADERS, Pump
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.buckets import bucket_of
from notifier.domain.changes import Change
from notifier.domain.clock import HOUR, ManualClock, SystemClock
from notifier.domain.deliveries import State
from notifier.domain.ids import dated, make_id
from notifier.domain.keys import ApiKey, make_key
from notifier.domain.subscriptions import Subscription, SubscriptionDetails, make_secret
from notifier.pipeline.engine import WorkerEngine
from notifier.providers.guarded_client import GuardedClient
from notifier.sandbox import Sandbox
from notifier.store.console import keys, subscriptions
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event
from notifier.store.delivery import changes
from notifier.store.reading import changes as log
from tests.conftest import prepare
from tests.named import EMAIL
from tests.samples import CATALOG, LINKS, NOW, RENDERER


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


class Subscriber:
    """An endpoint; `statuses` are its next answers, and 204 once they have been given."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[Any] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, body))
        status = self.statuses.pop(0) if self.statuses else 204
        if status < 300:
            self.taken += msgspec.json.decode(body)["data"]["changes"]
        return web.Response(status=status)

    def verified(self, secret: str, number: int = -1) -> Any:
        """The body of a request, as the library for receivers verifies it."""
        headers, body = self.requests[number]
        return Webhook(secret).verify(body, headers)

    @property
    def ids(self) -> list[str]:
        """The ids of the batches that came."""
        return [headers["webhook-id"] for headers, _ in self.requests]


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    """An endpoint on this machine."""
    subscriber = Subscriber()
    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_post("/hook", subscriber.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    subscriber.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield subscriber
    await runner.cleanup()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that begins now, since receivers refuse what is old."""
    return ManualClock(SystemClock().now())


@pytest.fixture
async def engine(database: Database, valkey: str, sandbox: Sandbox, clock: ManualClock) -> AsyncIterator[WorkerEngine]:
    """A worker's engine, which sends mails to the sandbox."""
    port = sandbox.ports["smtp"]
    mail = SmtpTransport("127.0.0.1", port, clock=SystemClock(), security=Security.NONE, sender="a@example.com")
    opened = WorkerEngine(
        database=database, catalog=CATALOG, renderer=RENDERER, signals=Signals(make_broker(valkey)), clock=clock,
        links=LINKS, transports={EMAIL: mail},
    )  # fmt: skip
    yield opened
    await mail.close()
    await opened.signals.close()


@pytest.fixture
async def pump(database: Database, clock: ManualClock, engine: WorkerEngine) -> AsyncIterator[Pump]:
    """A pump that may tell subscribers on this machine."""
    http, owners = GuardedClient("subscription", HEADERS, permitted=[ip_network("127.0.0.0/8")]), Owners(engine)
    yield Pump(database, clock, http, owners.tell, Random(1))  # noqa: S311 (pauses)
    await owners.close()
    await http.close()


@pytest.fixture
async def key(database: Database) -> ApiKey:
    """A key that may subscribe to anything."""
    _, made = make_key("csms", frozenset({"subscriptions:write"}), 0)
    await keys.add(database, made)
    return made


@pytest.fixture
async def subscription(database: Database, subscriber: Subscriber, key: ApiKey, clock: ManualClock) -> Subscription:
    """A subscription to all that comes from now on."""
    made = Subscription(
        id="csms", key_id=key.id, details=SubscriptionDetails(url=subscriber.url), secret=make_secret(),
        created_at=clock.now(), due_at=clock.now(), place=await log.newest(database),
    )  # fmt: skip
    await subscriptions.add(database, made, "test")
    return made


async def happen(
    database: Database, *told: tuple[str, State], source_id: str = "e", source: str = "csms",
    type_: str = "charging.complete",
) -> None:  # fmt: skip
    """Deliveries to people come to states, each in a transaction of its own."""
    for number, (recipient, state) in enumerate(told):
        home = database.buckets[bucket_of(recipient, len(database.buckets))]
        id_ = dated(make_id(recipient, source_id), NOW)
        common = {"id": id_, "created_at": NOW, "expires_at": NOW + HOUR, "due_at": NOW, "event_id": id_}
        row = common | dict.fromkeys(("subject_key", "target"), id_) | {"recipient_id": recipient, "lane": "normal"}
        named = {"id": id_, "digest": id_, "occurred_at": NOW, "accepted_at": NOW, "source": source, "data": "{}"}
        change = Change(delivery_id=id_, state=state, at=NOW + number, attempts=1)

        async def work(
            connection: AsyncConnection, row: Any = row, named: Any = named, change: Change = change, id_: str = id_
        ) -> None:
            known = await connection.execute(sa.select(delivery.c.id).where(delivery.c.id == id_))
            if known.first() is None:
                about = {"type": type_, "source_id": source_id}
                await connection.execute(sa.insert(event).values(named | about))
                decided = {"type": "charging-complete", "channel": "push", "state": "sending"}
                await connection.execute(sa.insert(delivery).values(row | decided))
            await changes.add(connection, [change])

        await home.write(work)
