"""The database goes away: 503 with Retry-After, never 202, and nothing written; it comes back, and so do we."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY
from notifier.people.importing import BATCH as STEP
from notifier.store.core import buckets
from notifier.store.core.database import Database
from notifier.store.core.schema import charging_session, event, recipient
from tests.api.conftest import on_sqlite
from tests.api.proxy import Proxy
from tests.api.server import Answer, Caller, application
from tests.samples import encoded

BUSY = 50  # milliseconds that SQLite waits for another's write here
BATCH = "application/cloudevents-batch+json"
PORTS = {"postgresql": 5432, "mariadb": 3306, "mysql": 3306}
on_servers = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
"""For tests in which the database can't be read either: SQLite can, while another writes."""

SESSION_URL = "/ocpi/2.2.1/sessions/NL/STK/101"


@dataclass
class Outage:
    """A database that `begin` takes away and `end` brings back, and the application on it."""

    api: Caller
    begin: Callable[[], Awaitable[Any]]
    end: Callable[[], Awaitable[Any]]


@pytest.fixture
async def outage(database_url: str, valkey: str) -> AsyncIterator[Outage]:
    """SQLite is held by another writer; a server is behind a proxy that cuts its connections."""
    url = sa.make_url(database_url)
    if url.get_backend_name() == "sqlite":
        other = sqlite3.connect(str(url.database), isolation_level=None, check_same_thread=False)
        database = impatient(database_url)
        async with application(database, valkey) as api:
            yield Outage(
                api,
                lambda: asyncio.to_thread(other.execute, "BEGIN IMMEDIATE"),
                lambda: asyncio.to_thread(other.execute, "ROLLBACK"),
            )
        await database.close()
        other.close()
        return
    async with Proxy(url.host or "127.0.0.1", url.port or PORTS[url.get_backend_name()]) as proxy:
        database = Database(url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False), 4)
        await buckets.find(database)
        async with application(database, valkey) as api:
            yield Outage(api, proxy.go_away, proxy.come_back)
        await database.close()


def impatient(url: str) -> Database:
    """SQLite that gives up waiting for a write early."""
    database = Database(url, 4)

    @sa.event.listens_for(database.engine.sync_engine, "connect")
    def hurry(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY}").close()

    return database


def is_unavailable(answer: Answer) -> bool:
    """Whether an answer says that nothing was taken, and when to ask again."""
    return answer.problem == (50301, None) and int(answer.headers["Retry-After"]) > 0


async def until_taken(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a caller hears in the end that repeats what could not be taken for the moment."""
    async with asyncio.timeout(30):
        while (answer := await call()).status == 503:
            pass
        return answer


async def test_an_event_is_refused_while_the_database_is_away_and_taken_when_it_is_back(outage: Outage) -> None:
    # Given a service that has reported before, so that its key is known
    api = outage.api
    assert (await api.post(encoded(id="before"))).status == 202

    # When the database is away
    await outage.begin()
    alone = await api.post(encoded(id="alone"))
    together = await api.post(b"[%b,%b]" % (encoded(id="1"), encoded(id="2")), BATCH)
    at_once = await asyncio.gather(*(api.post(encoded(id=f"at once {number}")) for number in range(10)))

    # Then nothing is accepted
    assert all(is_unavailable(answer) for answer in (alone, together, *at_once))

    # When it is back, then nothing of it is there, and the same is taken
    await outage.end()
    assert (await until_taken(lambda: api.post(encoded(id="alone")))).status == 202
    assert {row.source_id for row in await api.rows(event)} == {"before", "alone"}


async def test_recipients_and_sessions_are_refused_too(outage: Outage, shared_data: Path) -> None:
    api = outage.api
    session = (shared_data / "ocpi-2.2.1" / "session_example_1_simple_start.json").read_bytes()
    cdr = (shared_data / "ocpi-2.2.1" / "cdr_example.json").read_bytes()
    writes: list[Callable[[], Awaitable[Answer]]] = [
        lambda: api.call("PUT", "/v1/recipients/ada", b'{"name": "Ada"}'),
        lambda: api.call("POST", "/v1/recipients/import", b'{"id": "ada"}'),
        lambda: api.call("PUT", SESSION_URL, session),
        lambda: api.call("POST", "/ocpi/2.2.1/cdrs", cdr),
    ]
    await api.call("GET", "/v1/recipients/ada")

    # When the database is away, then none of them is taken
    await outage.begin()
    for write in writes:
        assert is_unavailable(await write())

    # When it is back, then all of them are, and none was there before
    await outage.end()
    for table in (recipient, charging_session, event):
        assert await rows_once_back(api, table) == []
    for write in writes:
        assert (await until_taken(write)).status < 300


async def test_an_import_says_what_was_written_before_the_database_went_away(outage: Outage) -> None:
    # Given an import of two steps, in the midst of which the database goes away
    api = outage.api

    async def lines() -> AsyncIterator[bytes]:
        yield b"".join(b'{"id": "%04d"}\n' % number for number in range(STEP))
        async with asyncio.timeout(30):
            while len(await api.rows(recipient)) < STEP:
                pass
        await outage.begin()
        yield b"".join(b'{"id": "%04d"}\n' % number for number in range(STEP, 2 * STEP - 1)) + b'{"id": ""}\n'

    # When its answer comes
    answer = await api.call("POST", "/v1/recipients/import", lines())

    # Then it says what is written, and only that is there
    assert is_unavailable(answer)
    assert (answer.body["written"], answer.body["refused"]) == (STEP, 1)
    assert f"the first {STEP} good lines are written; send the others again" in answer.body["detail"]
    await outage.end()
    assert len(await rows_once_back(api, recipient)) == STEP

    # When it is sent again, then all of it is taken
    again = b"".join(b'{"id": "%04d"}\n' % number for number in range(2 * STEP - 1))
    answer = await api.call("POST", "/v1/recipients/import", again)
    assert (answer.status, answer.body["written"]) == (200, 2 * STEP - 1)
    assert len(await api.rows(recipient)) == 2 * STEP - 1


async def rows_once_back(api: Caller, table: sa.Table) -> list[Any]:
    assert (await until_taken(lambda: api.call("GET", "/readyz"))).status == 200
    return await api.rows(table)


@on_servers
async def test_readiness_tells_it_and_health_does_not(outage: Outage) -> None:
    # A process is not to be killed for what its database does.
    await outage.begin()

    assert (await outage.api.call("GET", "/healthz")).status == 200
    assert is_unavailable(await outage.api.call("GET", "/readyz"))
    assert is_unavailable(await outage.api.call("GET", "/metrics"))

    await outage.end()
    assert (await until_taken(lambda: outage.api.call("GET", "/readyz"))).status == 200


@on_servers
async def test_a_key_that_cannot_be_looked_up_is_not_called_wrong(outage: Outage) -> None:
    # Given a key that was last seen long ago
    api = outage.api
    assert (await api.post(encoded(id="before"))).status == 202
    api.clock.advance(DAY)

    # When the database is away, then a good key and a wrong one hear that, and not 401
    await outage.begin()
    assert is_unavailable(await api.post(encoded()))
    wrong = f"Bearer ntf_{'0' * 16}_{'0' * 64}"
    assert is_unavailable(await api.post(encoded(), Authorization=wrong))
    await outage.end()


@on_sqlite
async def test_a_disk_that_is_full_is_an_outage(database_url: str, valkey: str) -> None:
    # Given a SQLite file that may not grow any more
    database = impatient(database_url)
    async with application(database, valkey) as api:
        assert (await api.post(encoded(id="before"))).status == 202
        async with database.engine.connect() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()

        @sa.event.listens_for(database.engine.sync_engine, "checkout")
        def fill(connection: Any, _record: Any, _proxy: Any) -> None:
            connection.execute(f"PRAGMA max_page_count={pages}").close()

        # When a batch comes that needs more room
        events = b",".join(encoded(id=str(number), subject="x" * 1000) for number in range(500))
        answer = await api.post(b"[" + events + b"]", BATCH)

        # Then it is refused as a whole, and smaller ones may still fit
        assert is_unavailable(answer)
        assert [row.source_id for row in await api.rows(event)] == ["before"]
        assert json.loads((await api.rows(event))[0].data)
    await database.close()
