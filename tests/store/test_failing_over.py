"""Several hosts in a URL, and connections to a server that no longer takes writes."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.errors import StoreUnavailable
from notifier.store.core.database import Database
from tests.conftest import server_url

SERVERS = ("postgresql", "mariadb")
SESSION_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
NO_WRITER = {
    # What a leader that became a standby says, and what other servers of the same kind may say
    "postgresql": ["DO $$ BEGIN RAISE read_only_sql_transaction; END $$"],
    "mariadb": [f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}" for number in (1047, 1290, 1836)],
}


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a host that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@asynccontextmanager
async def opened(name: str, before: str = "", query: str = "", connections: int = 1) -> AsyncIterator[Database]:
    """A database on a server whose URL names other hosts before it."""
    parts = urlsplit(server_url(name))
    login, _, host = parts.netloc.rpartition("@")
    url = urlunsplit(parts._replace(netloc=f"{login}@{before}{host}", query=query))
    database = Database(url, connections=connections)
    try:
        yield database
    finally:
        await database.close()


async def session_of(database: Database) -> int:
    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(sa.text(SESSION_ID[database.dialect]))).scalar_one())

    return await database.write(work)


@pytest.mark.parametrize("name", SERVERS)
async def test_hosts_are_asked_in_their_order_and_none_keeps_the_next_from_being_asked(
    name: str, silent: str, unused_tcp_port: int
) -> None:
    # Given a host that stands still and one that is down before the one that is well
    async with opened(name, f"{silent},127.0.0.1:{unused_tcp_port},", "connect_timeout=1") as database:
        # Then that one is used
        await database.ping()


@pytest.mark.parametrize("name", SERVERS)
async def test_where_no_host_can_be_connected_to_the_store_is_unavailable(name: str, unused_tcp_port: int) -> None:
    database = Database(f"{name}://a:b@127.0.0.1:{unused_tcp_port},127.0.0.1:{unused_tcp_port}/x")

    with pytest.raises(StoreUnavailable):
        await database.ping()
    await database.close()


@pytest.mark.parametrize("hosts", [1, 2])
async def test_where_no_host_takes_writes_the_store_is_unavailable(hosts: int) -> None:
    # Given hosts that are all standbys, by what they say
    server = f"{urlsplit(server_url('postgresql')).hostname},"
    query = "target_session_attrs=read-write&options=-c%20default_transaction_read_only%3Don"
    async with opened("postgresql", server * (hosts - 1), query) as database:
        # Then a caller is told so, and may try again
        with pytest.raises(StoreUnavailable, match="can't be used"):
            await database.ping()


@pytest.mark.parametrize(("name", "statement"), [(name, each) for name in SERVERS for each in NO_WRITER[name]])
async def test_a_connection_to_a_server_that_takes_no_writes_any_more_is_given_up(name: str, statement: str) -> None:
    async def refused(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql(statement)

    # Given a connection in the pool
    async with opened(name) as database:
        before = await session_of(database)

        # When its server says that it isn't the one to write to
        with pytest.raises(StoreUnavailable):
            await database.write(refused)

        # Then the next transaction has a connection of its own
        assert await session_of(database) != before
