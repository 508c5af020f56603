"""One database: connections, transactions, and what differs between engines in handling them."""

import asyncio
import contextlib
import logging
import random
import sqlite3
import ssl
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import urlencode

import asyncmy
import asyncmy.converters
import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from notifier.domain.errors import StoreUnavailable
from notifier.runtime.database_url import DatabaseUrl, MysqlOptions, PostgresqlOptions, read_database_url
from notifier.runtime.stages import Stage, metered
from notifier.store.core.rows import MysqlJson, quoted
from notifier.store.core.session import COMMON, Session
from notifier.store.core.sqlite_write_queue import SqliteWriteQueue
from notifier.store.core.transactions import Transactions

T = TypeVar("T")
log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 5  # seconds: for a caller that waits for its 202 a database that takes longer is down
STATEMENT_TIMEOUT = 20  # seconds: none of our statements takes a tenth of this
IDLE_TIMEOUT = 10  # seconds: a process that hangs in a transaction loses it, and other processes get its rows
POOL_TIMEOUT = 10  # seconds to wait for a free connection before saying that the store is unavailable
BUSY_TIMEOUT = 5_000  # milliseconds that SQLite waits for another process's write
CONFLICT_TRIES = 5  # attempts in all of a transaction that a deadlock or a conflict aborted
CONFLICT_PAUSE = 0.02  # seconds, doubled each time, with full jitter
CLOSE_TIMEOUT = STATEMENT_TIMEOUT + 5  # seconds that closing waits for transactions: longer than any statement may take

SESSION = {
    # Otherwise a plan that was cached while a table was nearly empty would be kept when it is full.
    "plan_cache_mode": "force_custom_plan",
    "statement_timeout": str(STATEMENT_TIMEOUT * 1000),
    "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT * 1000),
    "jit": "off",
    # Our statements look up the ids of a batch. Priced for spinning disks, a scan of the whole table looks cheaper than
    # a hundred look-ups as long as the table is small, and costs ten times as much.
    "random_page_cost": "1.1",
    # Our statements name their tables from the batch outwards, so the planner needn't search for the order of the
    # joins, which takes longer than the rest of its work.
    "join_collapse_limit": "1",
    # The server has no statistics of a table in partitions as a whole: it would read all instead of a batch's ids.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""The settings of each PostgreSQL session."""

PATIENT = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
"""The settings that differ where a statement may take long."""

READ_ONLY = {
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "mysql": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
"""The statement that begins a read-only transaction."""

DEADLOCKS = {"40001", "40P01", "23505"}
"""SQLSTATEs of serialization failures, deadlocks, and of keys that another transaction has written meanwhile."""
MYSQL_DEADLOCKS = {1205, 1213, 1020, 1062}
"""Lock wait time-out, deadlock, MariaDB's "record has changed since last read", and a key written meanwhile."""


# asyncmy repeats the server's warnings with ids in them, such as those of a repeat that INSERT IGNORE skips.
logging.getLogger("asyncmy").setLevel(logging.ERROR)


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
        self.engine = _engine(read, connections, patient)
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
            if not _gave_way(error):
                if _unavailable(error):
                    raise StoreUnavailable(_told(error)) from error
                raise
            if tries == CONFLICT_TRIES:
                raise StoreUnavailable("the transaction conflicted with others at every attempt; try again") from error
        except (OSError, TimeoutError, sa.exc.TimeoutError) as error:
            raise StoreUnavailable(f"the database can't be reached ({type(error).__name__})") from error
        await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE * 2**tries))  # noqa: S311 (jitter is no secret)


def _engine(url: DatabaseUrl, connections: int, patient: bool) -> AsyncEngine:
    if isinstance(url.options, PostgresqlOptions):
        return _postgresql(url, url.options, connections, patient)
    if isinstance(url.options, MysqlOptions):
        return _mysql(url, url.options, connections, patient)
    return _sqlite(sa.URL.create("sqlite+aiosqlite", database=url.database), connections)


def _pool(connections: int) -> dict[str, Any]:
    return {"pool_size": connections, "max_overflow": 0, "pool_timeout": POOL_TIMEOUT, "pool_recycle": 1800}


def _postgresql(url: DatabaseUrl, options: PostgresqlOptions, connections: int, patient: bool) -> AsyncEngine:
    told = msgspec.structs.asdict(options)
    ours = {name: told.pop(name) for name in ("application_name", "connect_timeout", "pooler", "options")}
    if told["sslrootcert"] == "system":
        told["sslrootcert"] = ssl.get_default_verify_paths().cafile
    arguments: dict[str, Any] = {
        # asyncpg reads libpq's parameters only from a URL of its own.
        "dsn": f"postgresql://?{urlencode({name: value for name, value in told.items() if value is not None})}",
        "timeout": ours["connect_timeout"] or CONNECT_TIMEOUT,
        "command_timeout": None if patient else STATEMENT_TIMEOUT + 5,
        "user": url.user, "password": url.password, "database": url.database or None,
        "host": [host for host, _ in url.hosts] or None, "port": [port or 5432 for _, port in url.hosts] or None,
        "server_settings": {name: ours[name] for name in ("application_name", "options") if ours[name]},
    }  # fmt: skip
    if pooled(options):
        # Behind a pooler each transaction may have another server session: it has none of the prepared statements
        # before, and session settings would affect others. docs/settings.md lists the settings that the role should
        # have instead.
        arguments |= {
            "statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: "",
        }  # fmt: skip
    else:
        arguments["server_settings"] |= SESSION | (PATIENT if patient else {})
    return create_async_engine("postgresql+asyncpg://", connect_args=arguments, **_pool(connections))


def pooled(options: object) -> bool:
    """Whether each transaction may go to another server."""
    return isinstance(options, PostgresqlOptions) and options.pooler == "transaction"


def _mysql(url: DatabaseUrl, options: MysqlOptions, connections: int, patient: bool) -> AsyncEngine:
    (host, port) = url.hosts[0] if url.hosts else (None, None)
    # MariaDB executes this comment; MySQL, which has no such time-out, ignores it. `rows.quoted` escapes backslashes.
    prepare = (
        "SET time_zone = '+00:00', sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
        f" /*M! , idle_transaction_timeout = {0 if patient else IDLE_TIMEOUT} */"
    )
    arguments: dict[str, Any] = {
        "connect_timeout": options.connect_timeout or CONNECT_TIMEOUT, "charset": "utf8mb4", "init_command": prepare,
        "read_timeout": None if patient else STATEMENT_TIMEOUT + 5, "async_creator_fn": _connect_mysql,
        "conv": asyncmy.converters.conversions | {MysqlJson: quoted},
    }  # fmt: skip
    if options.unix_socket:
        arguments["unix_socket"] = options.unix_socket
    if (tls := _mysql_tls(options)) is not None:
        arguments["ssl"] = tls
    parsed = sa.URL.create(
        "mysql+asyncmy", url.user, url.password, host or None, port, url.database or None
    )  # fmt: skip
    # Under REPEATABLE READ batches that touch neighbouring keys lock the gaps between them, and deadlock.
    return create_async_engine(parsed, connect_args=arguments, isolation_level="READ COMMITTED", **_pool(connections))


async def _connect_mysql(**arguments: Any) -> Any:
    """The driver's connection, without its own time-out: that ends with TCP's connect, which a hung server still
    answers."""
    async with asyncio.timeout(arguments["connect_timeout"]):
        return await asyncmy.connect(**arguments)


def _mysql_tls(options: MysqlOptions) -> ssl.SSLContext | None:
    """TLS as MariaDB's connectors have it: `ssl=true` checks the server's certificate and its name."""
    asked = bool(options.ssl or options.ssl_ca or options.ssl_cert)
    mode = options.ssl_mode or ("verify-full" if asked else "disable")
    if mode == "disable":
        return None
    context = ssl.create_default_context(cafile=options.ssl_ca)
    context.check_hostname = mode == "verify-full"
    if mode == "trust":
        context.verify_mode = ssl.CERT_NONE
    if options.ssl_cert:
        context.load_cert_chain(options.ssl_cert, options.ssl_key)
    return context


def _sqlite(url: sa.URL, connections: int) -> AsyncEngine:
    _make_private(Path(str(url.database)))
    engine = create_async_engine(url, pool_size=connections, max_overflow=0, pool_timeout=POOL_TIMEOUT)

    @sa.event.listens_for(engine.sync_engine, "do_connect")
    def look(_dialect: Any, _record: Any, arguments: Any, options: Any) -> None:
        # If a file can't be opened, aiosqlite leaves its thread to end by itself, possibly after the loop is closed.
        sqlite3.connect(*arguments, **options).close()

    @sa.event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions below; the driver must not
        cursor = connection.cursor()
        try:
            for pragma in (f"busy_timeout={BUSY_TIMEOUT}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
        except BaseException:  # no database: the pool leaves it to us to close the connection with its thread
            connection.close()
            raise
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A deferred transaction fails at its first write if another wrote meanwhile; IMMEDIATE waits.
        write = connection.get_execution_options().get("notifier_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _make_private(file: Path) -> None:
    """Make the file where there is none, for its owner alone: it holds people, and the key of their links. A group that
    may write to it was given that on purpose, and stays. What SQLite puts beside it has the same mode."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not file.exists():
            file.touch(mode=0o600)
        mode = file.stat().st_mode & 0o777
        private = mode & (0o770 if mode & 0o020 else 0o700)
        beside = [file.with_name(file.name + ending) for ending in ("-wal", "-shm", "-turn")]
        for each in (file, *beside) if mode != private and _may_be_sqlite(file) else ():
            if each.exists():
                each.chmod(private)
    except OSError as error:  # not a SQLite file, or an unsuitable file system: the first statement raises
        log.warning("database.not_private", error=type(error).__name__)


def _may_be_sqlite(file: Path) -> bool:
    """Whether a file is a database or none yet, and not a folder or something else that a setting names by mistake.

    SQLite looks itself: closing a file that this process has open elsewhere would take that one's locks away.
    """
    if not file.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return True


def _gave_way(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return state in DEADLOCKS or number in MYSQL_DEADLOCKS


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


def _told(error: DBAPIError) -> str:
    """The reason for an error; the server's words only where it refused us: those about a statement may hold its
    values."""
    if error.statement is None and error.orig is not None and error.orig.args:
        return f"the database can't be used: {' '.join(str(error.orig.args[-1]).split())}"
    return f"the database refused a value ({type(error.orig).__name__})"
