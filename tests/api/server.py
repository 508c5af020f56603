"""The application under a real server, and a caller of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from uvicorn.lifespan.off import LifespanOff
from yarl import URL

from notifier.api.app import create_app
from notifier.api.http import BODY_TIMEOUT
from notifier.api.lingering import LINGER
from notifier.api.serving import HEAD_TIMEOUT, configure
from notifier.broker import QUEUES, make_broker
from notifier.broker.signals import Signals
from notifier.console.live import Streams
from notifier.domain.catalog import Catalog
from notifier.domain.clock import ManualClock
from notifier.domain.keys import SCOPES, Scope, make_key
from notifier.pipeline.engine import Engine, WorkerEngine
from notifier.rendering import Renderer
from notifier.runtime.rotation import Rotation
from notifier.runtime.settings import Settings
from notifier.runtime.tracing import open_tracer
from notifier.store.console import keys
from notifier.store.core.database import Database
from tests import everywhere
from tests.samples import CATALOG, LINKS, NOW, RENDERER

PRICED = Settings(ocpi_driver_prices="any")
"""A network in which drivers pay what operators are paid."""

EVERYTHING = frozenset(SCOPES)

LEAVING = 5.0
"""Seconds for requests whose callers have left, such as a browser that was closed."""


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is its JSON, or its text where it isn't JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def problem(self) -> tuple[int, str | None]:
        """The number and the pointer of a problem document."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert (self.body["status"], self.body["type"]) == (self.status, f"/problems/{self.body['code']}")
        return self.body["code"], self.body.get("pointer")


@dataclass
class Caller:
    """Calls the API as a service does that has the key in `key`."""

    url: str
    session: aiohttp.ClientSession
    engine: WorkerEngine
    key: str = field(repr=False, default="")
    streams: Streams = field(default_factory=Streams)

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.engine.clock, ManualClock)
        return self.engine.clock

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; headers as keywords, with `_` for `-`. The key goes along unless `Authorization` is given. Of a
        stream nothing is read."""
        sent = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        url = URL(self.url + path, encoded=True)
        async with self.session.request(
            method, url, data=body, headers=sent, skip_auto_headers=["Content-Type"], allow_redirects=False
        ) as answered:
            content = b"" if answered.content_type == "text/event-stream" else await answered.read()
            is_json = answered.content_type.endswith("json")
            return Answer(answered.status, answered.headers, json.loads(content) if is_json else content.decode())

    async def post(self, body: Any, content_type: str = "application/cloudevents+json", **headers: str) -> Answer:
        """Report an event or, by the content type, a batch."""
        return await self.call("POST", "/v1/events", body, Content_Type=content_type, **headers)

    async def rows(self, table: sa.FromClause) -> list[Any]:
        """All rows of a table."""
        return await everywhere.rows(self.engine.database, table)


async def add_key(database: Database, *scopes: Scope, **bounds: Any) -> str:
    """A new key with these scopes, all where none is given."""
    text, key = make_key("test", frozenset(scopes) or EVERYTHING, 0, **bounds)
    await keys.add(database, key)
    return text


@asynccontextmanager
async def application(
    database: Database,
    broker_url: str,
    body_timeout: float = BODY_TIMEOUT,
    settings: Settings | None = None,
    catalog: Catalog = CATALOG,
    renderer: Renderer = RENDERER,
    head_timeout: float = HEAD_TIMEOUT,
    linger: float = LINGER,
    rotation: Rotation | None = None,
) -> AsyncIterator[Caller]:
    """The application on a database, served, and called with a key that may do everything."""
    broker = make_broker(broker_url)
    for queue in QUEUES:
        broker.declare_queue(queue)  # a broker empties what it knows
    broker.flush_all()
    engine = WorkerEngine(
        database=database, catalog=catalog, renderer=renderer, signals=Signals(broker), clock=ManualClock(NOW),
        links=LINKS, transports={}, tracer=open_tracer(settings or PRICED, "web"), rotation=rotation,
    )  # fmt: skip

    settings = rotation.settings if rotation is not None else settings or PRICED

    async def open_engine() -> WorkerEngine:
        return engine

    async def close(_engine: Engine) -> None:
        await engine.signals.close()
        if engine.tracer is not None:
            await engine.tracer.close()

    streams = Streams()
    app = create_app(open_engine, close, settings=settings, body_timeout=body_timeout, streams=streams)
    async with (
        serve(app, settings, head_timeout, linger) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Caller(url, session, engine, await add_key(database), streams)


@asynccontextmanager
async def serve(
    app: Starlette, settings: Settings, head_timeout: float = HEAD_TIMEOUT, linger: float = LINGER
) -> AsyncIterator[str]:
    """The URL of the application on a free port of this loop. It stops once the requests of who left have ended."""
    config = configure(app, settings, head_timeout, linger, port=0)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = LifespanOff(config)
    async with app.router.lifespan_context(app):
        await server.startup()
        await server.on_tick(0)  # what every answer's headers are is known from its first round on
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            for each in server.servers:
                each.close()
            if server.server_state.tasks:
                await asyncio.wait(server.server_state.tasks, timeout=LEAVING)
