"""The console under a real server, over each database, with a user of every role and a clock that tests move."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from notifier.domain.clock import ManualClock
from notifier.domain.users import Role, User, hash_password
from notifier.pipeline.engine import WorkerEngine
from notifier.rendering import Brand, Renderer
from notifier.runtime.settings import Settings
from notifier.store.console import users
from notifier.store.core.database import Database
from tests.api.server import Answer, Caller, application
from tests.conftest import prepare
from tests.samples import CATALOG, NOW, RENDERER, TEMPLATES

PASSWORD = "one for the tests"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


@cache
def password_hash() -> str:
    return hash_password(PASSWORD)


@dataclass
class Visitor:
    """A browser without eyes: it keeps cookies, goes no further by itself, and sends a page's token with its forms."""

    url: str
    engine: WorkerEngine
    session: aiohttp.ClientSession
    token: str = field(repr=False, default="")

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.engine.clock, ManualClock)
        return self.engine.clock

    async def rows(self, table: sa.FromClause) -> list[Any]:
        """All rows of a table."""
        return await Caller(self.url, self.session, self.engine).rows(table)

    async def get(self, path: str) -> Answer:
        return await self._call("GET", path)

    async def post(self, path: str, _token: str | None = None, **fields: str) -> Answer:
        """Send a form, with the token of the last page unless another is given."""
        return await self._call("POST", path, {"csrf": self.token if _token is None else _token, **fields})

    async def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        await self.get("/sign-in")
        answer = await self.post("/sign-in", name=name, password=password)
        if answer.status == 303:
            await self.get("/account")
        return answer

    async def _call(self, method: str, path: str, data: Mapping[str, str] | None = None) -> Answer:
        url = f"{self.url}/console{path}"
        async with self.session.request(method, url, data=data, allow_redirects=False) as answered:
            body = "" if path.endswith("/live") and answered.status == 200 else await answered.text()
            token = re.search(r'name="csrf" value="([0-9a-f]{64})"', body)
            if token:
                self.token = token[1]
            return Answer(answered.status, answered.headers, body)


Enter = Callable[[], Visitor]


@asynccontextmanager
async def opened(
    database: Database, valkey: str, settings: Settings | None = None, renderer: Renderer = RENDERER
) -> AsyncIterator[Enter]:
    """The console with a user of each role, named as the role is; calling it gives another visitor."""
    sessions: list[aiohttp.ClientSession] = []
    async with application(database, valkey, settings=settings, renderer=renderer) as api:
        for role in Role:
            user = User(name=role, role=role, password_hash=password_hash(), created_at=NOW)
            await users.add(database, user, "cli:test")

        def enter() -> Visitor:
            sessions.append(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
            return Visitor(api.url, api.engine, sessions[-1])

        yield enter
        for session in sessions:
            await session.close()


@pytest.fixture
async def enter(database: Database, valkey: str) -> AsyncIterator[Enter]:
    async with opened(database, valkey) as enter:
        yield enter


@pytest.fixture
async def desk(database: Database, valkey: str) -> AsyncIterator[Enter]:
    """The console with texts of its own: what is published here is live here alone."""
    renderer = Renderer(CATALOG, TEMPLATES, Brand("Voltline", "https://app.example.com"))
    async with opened(database, valkey, Settings(channels={"sms_price": "0.075 USD"}), renderer) as enter:
        yield enter


async def signed_in(enter: Enter, role: str) -> Visitor:
    visitor = enter()
    await visitor.sign_in(role)
    return visitor
