"""What a server is told about our sessions, and how SQLite's one writer is taken turns at."""

import asyncio
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Lane, State
from notifier.domain.errors import StoreUnavailable
from notifier.store.core.database import Database
from notifier.store.core.engines import ANSWER_TIMEOUT, IDLE_TIMEOUT
from notifier.store.delivery import deliveries
from notifier.store.delivery.deliveries import NewDelivery
from tests.named import SMS

IDLE = {
    "postgresql": "SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'",
    "mysql": "SELECT @@idle_transaction_timeout * 1000",
}


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
async def test_a_process_that_stands_still_in_a_transaction_loses_it(database: Database) -> None:
    # `notifier chaos worker_stopped` shows that it does; here, that every session asks for it.
    async with database.engine.connect() as connection:
        found = (await connection.execute(sa.text(IDLE[database.dialect]))).scalar_one()

    assert int(found) == IDLE_TIMEOUT * 1000


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
async def test_a_server_that_takes_a_connection_and_says_nothing_is_unavailable(scheme: str) -> None:
    # Given a server that stands still: its machine takes connections for it
    with socket.create_server(("127.0.0.1", 0)) as server:
        database = Database(f"{scheme}://a:b@127.0.0.1:{server.getsockname()[1]}/x?connect_timeout=1")

        # Then whoever asks is told so
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(10):
                await database.ping()
        await database.close()


async def test_a_server_without_tls_is_told_of_in_words() -> None:
    # Given a server that answers the question for TLS with a no
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Database(f"postgresql://a:canary@127.0.0.1:{port}/x?sslmode=require")

        # Then whoever asks is told that, and not the password
        with pytest.raises(StoreUnavailable, match="rejected SSL upgrade") as told:
            await database.ping()
        assert "canary" not in str(told.value)
        await database.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_statement_that_takes_too_long_is_called_that(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("SET LOCAL statement_timeout = 10"))
        await connection.execute(sa.text("SELECT pg_sleep(10)"))

    with pytest.raises(StoreUnavailable, match="a statement took longer"):
        await database.write(work)


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_a_server_that_stops_in_the_midst_of_a_statement_is_waited_for_only_so_long(database: Database) -> None:
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection

    assert driver is not None
    assert driver._read_timeout == ANSWER_TIMEOUT


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("options", ["-c nosuch=1", "-c work_mem=1", "--nosuch"])
async def test_what_a_server_refuses_when_a_session_begins_is_told_in_its_words(
    database: Database, database_url: str, options: str
) -> None:
    refused = Database(f"{database_url}?options={quote(options)}")

    with pytest.raises(StoreUnavailable, match="the database can't be used: "):
        await refused.ping()
    await refused.close()


async def test_a_repeat_logs_nothing_with_an_id_in_it(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    # MariaDB warns of each row that is there already, with its key, and its driver would log that.
    again = NewDelivery(
        id="5f" * 16, event_id="5e" * 16, recipient_id="ada", type="charging-complete", channel=SMS, target="",
        lane=Lane.URGENT, subject_key="5d" * 16, state=State.SENT, reason=None, created_at=1, updated_at=1, due_at=1,
        expires_at=1, next_check_at=None,
    )  # fmt: skip

    for _ in range(2):
        await database.write(lambda connection: deliveries.add(connection, database.dialect, [again]))

    assert caplog.text == ""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_writers_of_a_process_queue_for_sqlite_instead_of_asking_it_again_and_again(
    database: Database,
) -> None:
    # Given a write that takes its time
    begun: list[str] = []
    writing, end = asyncio.Event(), asyncio.Event()

    async def slow(_connection: AsyncConnection) -> None:
        begun.append("slow")
        writing.set()
        await end.wait()

    async def quick(_connection: AsyncConnection) -> None:
        begun.append("quick")

    sa.event.listen(database.engine.sync_engine, "begin", lambda _connection: begun.append("BEGIN"))
    first = asyncio.create_task(database.write(slow))
    await writing.wait()

    # When others are to be made meanwhile, then SQLite isn't asked, and who only reads is not kept waiting
    others = [asyncio.create_task(database.write(quick)) for _ in range(3)]
    await database.ping()
    assert begun == ["BEGIN", "slow", "BEGIN"]

    # And when it ends, then they come one after the other
    end.set()
    await asyncio.gather(first, *others)
    assert begun[3:] == ["BEGIN", "quick"] * 3


def connections() -> set[threading.Thread]:
    """SQLite's connections in this process: each has a thread of its own."""
    return {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_closes_once_its_transactions_have_ended(database_url: str) -> None:
    # Given a transaction that is under way, and one that waits for its turn
    database, begun, end, before = Database(database_url), asyncio.Event(), asyncio.Event(), connections()

    async def slow(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("SELECT 1"))
        begun.set()
        await end.wait()

    under_way = [asyncio.create_task(database.write(work)) for work in (slow, lambda connection: slow(connection))]
    await begun.wait()
    opened = connections() - before
    assert database.connections() == (10, 1, 1)

    # When the database is closed, then new transactions are refused
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.ping()
    assert not closing.done()

    # And when they have ended, then no connection is left
    end.set()
    await asyncio.gather(*under_way, closing)
    for connection in opened:
        await asyncio.to_thread(connection.join, 10)
    assert opened
    assert not opened & connections()


async def test_a_folder_that_is_named_as_the_file_stays_as_open_as_it_is(tmp_path: Path) -> None:
    """Given a folder that everybody may use, such as /tmp
    When a URL names it where a file should be
    Then the database can't be used, and everybody may still use the folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o1777)

    database = Database(f"sqlite:///{folder}")
    try:
        with pytest.raises(StoreUnavailable):
            await database.ping()
    finally:
        await database.close()

    assert folder.stat().st_mode & 0o7777 == 0o1777


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(("before", "after"), [(None, 0o600), (0o644, 0o600), (0o666, 0o660), (0o660, 0o660)])
async def test_an_sqlite_file_and_what_is_beside_it_are_their_owners_alone(
    tmp_path: Path, before: int | None, after: int
) -> None:
    # Given a file, or none, under a mask that lets everybody read
    path = tmp_path / "notifier.db"
    if before is not None:
        path.touch()
        path.chmod(before)

    # When something is written to it
    database = Database(f"sqlite:///{path}")
    try:
        await database.write(lambda connection: connection.execute(sa.text("CREATE TABLE a (b INTEGER)")))

        # Then nobody reads it, or SQLite's files beside it, but who may write to it
        beside = [tmp_path / f"notifier.db{ending}" for ending in ("", "-wal", "-shm")]
        assert {mode(file) for file in beside} == {after}
        assert mode(tmp_path / "notifier.db-turn") == 0o600
    finally:
        await database.close()


@pytest.mark.parametrize("folder", [True, False])
async def test_what_is_no_database_keeps_its_mode(tmp_path: Path, folder: bool) -> None:
    # Given a folder, or somebody's file, that the setting names by mistake
    path = tmp_path / "notes"
    path.mkdir() if folder else path.write_text("no database, however long it is read: " * 100)
    path.chmod(0o755)

    # When it is opened
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable):
        await database.ping()
    await database.close()

    # Then who could read it still can
    assert mode(path) == 0o755
