"""One database: connections, transactions, and what differs between engines in handling them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.domain.errors import StoreUnavailable
from notifier.runtime.database_url import read_database_url
from notifier.runtime.stages import Stage, metered
from notifier.store.core.engines import ANSWER_TIMEOUT, error_codes, make_engine, pooled
from notifier.store.core.session import COMMON, Session
from notifier.store.core.sqlite_write_queue import SqliteWriteQueue
from notifier.store.core.transactions import Transactions

T = TypeVar("T")

CONFLICT_TRIES = 5  # attempts in all of a transaction that a deadlock or a conflict aborted
CONFLICT_PAUSE = 0.02  # seconds, doubled each time, with full jitter
CLOSE_TIMEOUT = ANSWER_TIMEOUT  # seconds that closing waits for transactions: longer than any statement may take
TOOK_TOO_LONG = "57014"  # PostgreSQL's query_canceled

READ_ONLY = {
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "mysql": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
"""The statement that begins a read-only transaction."""

CONFLICTS = {"40001", "40P01", "23505", 1205, 1213, 1020, 1062}
"""SQLSTATEs of serialization failures, deadlocks, and of keys that another transaction has written meanwhile; MariaDB's
numbers of a lock wait time-out, a deadlock (with another node of a Galera cluster, too, told of at the commit), "record
has changed since last read", and a key written meanwhile."""


class Connections(NamedTuple):
    """The connections of a process: the most there may be, those in use, and transactions that wait for one."""

    most: int
    in_use: int
    waiting: int


class Database:
    """A pool of connections to one database.

    `read` and `write` run a function in a transaction of its own. A transaction that had to give way to another is run
    again; whatever else keeps the database from answering becomes StoreUnavailable.
    """

    def __init__(self, url: str, connections: int = 10, *, patient: bool = False) -> None:
        self._url = url
        read = read_database_url(url)
        self.engine = make_engine(read, connections, patient)
        self.dialect = "mysql" if self.engine.dialect.name == "mariadb" else self.engine.dialect.name
        self._writer = self.engine.execution_options(notifier_write=True)
        self._turns = SqliteWriteQueue(Path(f"{self.engine.url.database}-turn")) if self.dialect == "sqlite" else None
        self._open = Transactions()
        # A single SELECT needs no BEGIN and COMMIT where the engine gives every statement its snapshot.
        self._reader = (
            self.engine.execution_options(isolation_level="AUTOCOMMIT")
            if self.dialect == "postgresql" and not pooled(read.options)
            else self.engine
        )
        self._session = Session(pooled=pooled(read.options))
        self.whole = self
        self.bucket = 0
        self.buckets: tuple[Database, ...] = (self,)

    def split(self, schemas: Sequence[str]) -> None:
        """Divide the database: each bucket's tables are in a schema of its own (`core.buckets`)."""
        self._session = Session(pooled=self._session.pooled, schema=COMMON)
        self.buckets = tuple(copy(self)._become(number, schema) for number, schema in enumerate(schemas))  # noqa: SLF001

    def _become(self, number: int, schema: str) -> "Database":
        self.bucket, self.buckets = number, (self,)
        self._session = Session(pooled=self._session.pooled, schema=schema)
        return self

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The result of `work` in a read-only transaction."""
        with self._open.one():
            return await _run(self._reader, self._session, work)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The result of `work` in a committed transaction; a conflict may run `work` more than once."""
        with self._open.one():
            if self._turns is None:
                return await _run(self._writer, self._session, work)
            async with self._turns.turn():
                return await _run(self._writer, self._session, work)

    async def look(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The result of `work` in a transaction in which the engine itself refuses to write."""

        async def guarded(connection: AsyncConnection) -> T:
            await connection.exec_driver_sql(READ_ONLY[self.dialect])
            try:
                return await work(connection)
            finally:
                if self.dialect == "sqlite":  # where the setting belongs to the connection and not to the transaction
                    await connection.exec_driver_sql("PRAGMA query_only = OFF")

        with self._open.one():
            return await _run(self.engine, self._session, guarded)

    def patient(self) -> "Database":
        """This database without time limits on statements and transactions: for migrations."""
        patient = Database(self._url, connections=2, patient=True)
        return patient if self._session.schema is None else patient._become(self.bucket, self._session.schema)

    async def look_into(self, connection: AsyncConnection) -> None:
        """Have a connection of one's own see the tables of this bucket alone."""
        if self._session.schema is not None:
            await connection.exec_driver_sql(f"SET search_path TO {self._session.schema}")
            await connection.commit()

    async def ping(self) -> None:
        """Raise StoreUnavailable where the database doesn't answer."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(sa.text("SELECT 1"))

        await self.read(work)

    def connections(self) -> Connections:
        """How the pool is used now; all buckets share it. On SQLite a writer waits for its turn as well."""
        pool = cast(sa.QueuePool, self.engine.pool)
        in_use = pool.checkedout()
        return Connections(pool.size(), in_use, max(self._open.under_way - in_use, 0))

    async def close(self) -> None:
        """Close every connection, once the transactions that are under way have ended; new ones are refused.

        A connection that is in use when its pool is closed would never be closed.
        """
        await self._open.end(CLOSE_TIMEOUT)
        await self.engine.dispose()
        if self._turns is not None:
            self._turns.close()


@metered(Stage.STORE)
async def _run(engine: AsyncEngine, session: Session, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    tries = 0
    while True:
        tries += 1
        try:
            async with session.begin(engine) as connection:
                return await work(connection)
        except DBAPIError as error:
            if not error_codes(error.orig) & CONFLICTS:
                if _unavailable(error):
                    raise StoreUnavailable(_told(error)) from error
                raise
            if tries == CONFLICT_TRIES:
                raise StoreUnavailable("the transaction conflicted with others at every attempt; try again") from error
        except (OSError, TimeoutError, sa.exc.TimeoutError) as error:
            raise StoreUnavailable(f"the database can't be reached ({_why(error)})") from error
        await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE * 2**tries))  # noqa: S311 (jitter is no secret)


def _unavailable(error: DBAPIError) -> bool:
    if error.statement is None and not isinstance(
        error, sa.exc.IntegrityError
    ):  # another process has locked the database
        return True
    # A value that the engine can't store (class 22) is our fault: a retry would fail again.
    if str(getattr(error.orig, "sqlstate", "")).startswith("22"):
        return False
    return (
        error.connection_invalidated
        or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.InternalError)
        or not isinstance(error, sa.exc.IntegrityError | sa.exc.ProgrammingError | sa.exc.DataError)
    )


def _why(error: Exception) -> str:
    """The kind of an error about a connection, with the driver's own words where the system has none: a server that
    speaks no TLS, for one."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, ConnectionError) and error.errno is None and error.args else kind


def _told(error: DBAPIError) -> str:
    """The reason for an error; the server's words only where it refused us: those about a statement may hold its
    values."""
    if error.statement is None and error.orig is not None and error.orig.args:
        return f"the database can't be used: {' '.join(str(error.orig.args[-1]).split())}"
    if str(getattr(error.orig, "sqlstate", "")) == TOOK_TOO_LONG:
        return "a statement took longer than statement_timeout lets it"
    return f"the database refused a value ({type(error.orig).__name__})"
