"""An engine on each database, the bundled Valkey as broker, the sandbox as provider, and a clock that tests move."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from notifier.broker import QUEUES, make_broker
from notifier.broker.signals import Signals
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import ManualClock, SystemClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.engine import WorkerEngine
from notifier.rendering import Brand, Renderer
from notifier.sandbox import Sandbox
from notifier.store.core.database import Database
from notifier.store.people import recipients
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import NOW, Report, to_people
from tests.samples import LINKS
from tests.stand_ins import service_account

TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return to_people(load_catalog(TEMPLATES))


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return Renderer(load_catalog(TEMPLATES), TEMPLATES, Brand("Voltline", "https://app.example.com"))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as started:
        yield started


@pytest.fixture
async def engine(
    database: Database, valkey: str, catalog: Catalog, renderer: Renderer, sandbox: Sandbox
) -> AsyncIterator[WorkerEngine]:
    transports: dict[Channel, Any] = {
        PUSH: FcmTransport(service_account(sandbox), clock=SystemClock(), base_url=sandbox.http_url),
        SMS: TwilioTransport(
            ACCOUNT_SID,
            AUTH_TOKEN,
            "+15005550006",
            clock=SystemClock(),
            base_url=sandbox.http_url,
            callback_url="http://127.0.0.1/receipts",
        ),
        EMAIL: SmtpTransport(
            "127.0.0.1", sandbox.ports["smtp"], clock=SystemClock(), security=Security.NONE, sender="a@example.com"
        ),
    }
    broker = make_broker(valkey)
    for queue in QUEUES:
        broker.declare_queue(queue)
    broker.flush_all()
    opened = WorkerEngine(
        database=database, catalog=catalog, signals=Signals(broker), clock=ManualClock(NOW), links=LINKS,
        renderer=renderer, transports=transports,
    )  # fmt: skip
    yield opened
    for transport in transports.values():
        await transport.close()
    await opened.signals.close()


@pytest.fixture
def clock(engine: WorkerEngine) -> ManualClock:
    assert isinstance(engine.clock, ManualClock)
    return engine.clock


@pytest.fixture
async def driver(database: Database) -> str:
    """A driver with a phone of each kind and a mailbox."""
    details = RecipientDetails(
        name="Ada", email="ada@example.com", phone="+4915123456789", locale="de-AT", time_zone="Europe/Vienna",
        devices=[Device(value="token-1"), Device(value="token-2", platform="ios")], tokens=["NL-TST-C1"],
    )  # fmt: skip
    await recipients.put(database, {"ada": details}, NOW)
    return "ada"


@pytest.fixture
async def report(engine: WorkerEngine) -> AsyncIterator[Report]:
    """Accept an event; its id."""
    intake = Intake(engine)
    reader = EventReader(engine.catalog)
    numbers = itertools.count(1)

    async def accept(type_: str, at: int | None = None, **data: Any) -> str:
        when = engine.clock.now() if at is None else at
        (answer,) = await intake.accept([reader.made(type_, "test", str(next(numbers)), "subject", when, data)])
        await intake.close()  # its signal has been sent, and meets no later look at the queues
        assert isinstance(answer, Accepted)
        return answer.event

    yield accept
    await intake.close()
