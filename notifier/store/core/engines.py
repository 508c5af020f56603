"""An engine's making from a database's URL: which host to connect to, what each session is told, and TLS."""

import asyncio
import contextlib
import logging
import sqlite3
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import asyncmy
import asyncmy.converters
import asyncpg
import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from notifier.domain.errors import StoreUnavailable
from notifier.runtime.database_url import DatabaseUrl, MysqlOptions, PostgresqlOptions
from notifier.store.core.rows import MysqlJson, quoted

T = TypeVar("T")
Host = tuple[str | None, int | None]
log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 5  # seconds a host: for a caller that waits for its 202 a database that takes longer is down
STATEMENT_TIMEOUT = 20  # seconds: none of our statements takes a tenth of this
ANSWER_TIMEOUT = STATEMENT_TIMEOUT + 5  # seconds to wait for a server's answer to a statement
IDLE_TIMEOUT = 10  # seconds: a process that hangs in a transaction loses it, and other processes get its rows
POOL_TIMEOUT = 10  # seconds to wait for a free connection before saying that the store is unavailable
BUSY_TIMEOUT = 5_000  # milliseconds that SQLite waits for another process's write

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

# asyncmy repeats the server's warnings with ids in them, such as those of a repeat that INSERT IGNORE skips.
logging.getLogger("asyncmy").setLevel(logging.ERROR)


GONE: Final = frozenset({"08001", "08003", "08006", "57P01", "57P02", "57P03", 1047, 1053, 2003, 2006, 2013})
"""SQLSTATEs and numbers of errors by which a host isn't there, or comes or goes just now."""

NO_WRITER: Final = frozenset({"25006", 1047, 1290, 1836})
"""SQLSTATE and numbers of errors by which a server isn't the one to write to: a read-only transaction on PostgreSQL; a
node that isn't part of its Galera cluster, and a MariaDB or MySQL that was made read-only, by `read_only` or a mode."""


def make_engine(url: DatabaseUrl, connections: int, patient: bool) -> AsyncEngine:
    """Make the engine of a database, with a pool of so many connections; with `patient` statements may take long."""
    if isinstance(url.options, PostgresqlOptions):
        return _leaving(_postgresql(url, url.options, connections, patient))
    if isinstance(url.options, MysqlOptions):
        return _leaving(_mysql(url, url.options, connections, patient))
    return _sqlite(sa.URL.create("sqlite+aiosqlite", database=url.database), connections)


def error_codes(error: BaseException | None) -> frozenset[object]:
    """Return what a server's error is known by: its SQLSTATE, and the number of one of MariaDB's."""
    number = error.args[0] if error is not None and error.args else None
    return frozenset({getattr(error, "sqlstate", None), number if isinstance(number, int) else None} - {None})


def _leaving(engine: AsyncEngine) -> AsyncEngine:
    """Have an engine give up its connections where their server no longer takes writes: another may do so."""

    @sa.event.listens_for(engine.sync_engine, "handle_error")
    def leave(context: sa.engine.ExceptionContext) -> None:
        if error_codes(context.original_exception) & NO_WRITER:
            context.is_disconnect = True

    return engine


async def _first(hosts: Sequence[Host], connect: Callable[[Host], Awaitable[T]]) -> T:
    """Return the connection to the first host, in the order of the URL, that is there and can be written to. Raises the
    last host's error where none is, and that of a host which refuses us although it is there."""
    for host in hosts[:-1]:
        try:
            return await connect(host)
        except (OSError, TimeoutError, StoreUnavailable, asyncpg.TargetServerAttributeNotMatched):
            continue
        except (asyncpg.PostgresError, asyncmy.errors.Error) as error:
            if not error_codes(error) & GONE:
                raise
    return await connect(hosts[-1])


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
        "async_creator_fn": partial(_connect_postgresql, url.hosts or ((None, None),)),
        "timeout": ours["connect_timeout"] or CONNECT_TIMEOUT,
        "command_timeout": None if patient else ANSWER_TIMEOUT,
        "user": url.user, "password": url.password, "database": url.database or None,
        "server_settings": {name: ours[name] for name in ("application_name", "options") if ours[name]},
    }  # fmt: skip
    if not pooled(options):
        arguments["server_settings"] |= SESSION | (PATIENT if patient else {})
    elif options.pooler == "transaction":
        # Behind a pooler each transaction may have another server session, which has none of the prepared statements
        # before, unless the pooler prepares them there. Session settings would affect others. docs/settings.md lists
        # the settings that the role should have instead.
        arguments |= {
            "statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: "",
        }  # fmt: skip
    return create_async_engine("postgresql+asyncpg://", connect_args=arguments, **_pool(connections))


async def _connect_postgresql(hosts: Sequence[Host], **arguments: Any) -> Any:
    """The driver's connection to the first host that it may have, each within the time-out as libpq has it: the driver
    itself spends it on a first host that doesn't answer."""

    async def connect(at: Host) -> Any:
        host, port = at
        return await asyncpg.connect(host=host, port=port, **arguments)

    return await _first(hosts, connect)


def pooled(options: object) -> bool:
    """Whether each transaction may go to another server."""
    return isinstance(options, PostgresqlOptions) and options.pooler in ("transaction", "prepared")


def _mysql(url: DatabaseUrl, options: MysqlOptions, connections: int, patient: bool) -> AsyncEngine:
    # MariaDB executes this comment; MySQL, which has no such time-out, ignores it. `rows.quoted` escapes backslashes.
    prepare = (
        "SET time_zone = '+00:00', sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
        f" /*M! , idle_transaction_timeout = {0 if patient else IDLE_TIMEOUT} */"
    )
    arguments: dict[str, Any] = {
        "connect_timeout": options.connect_timeout or CONNECT_TIMEOUT, "charset": "utf8mb4", "init_command": prepare,
        "read_timeout": None if patient else ANSWER_TIMEOUT,
        "async_creator_fn": partial(_connect_mysql, url.hosts or ((None, None),)),
        "conv": asyncmy.converters.conversions | {MysqlJson: quoted},
    }  # fmt: skip
    if options.unix_socket:
        arguments["unix_socket"] = options.unix_socket
    if (tls := _mysql_tls(options)) is not None:
        arguments["ssl"] = tls
    parsed = sa.URL.create("mysql+asyncmy", url.user, url.password, database=url.database or None)
    # Under REPEATABLE READ batches that touch neighbouring keys lock the gaps between them, and deadlock.
    return create_async_engine(parsed, connect_args=arguments, isolation_level="READ COMMITTED", **_pool(connections))


async def _connect_mysql(hosts: Sequence[Host], **arguments: Any) -> Any:
    """The driver's connection to the first host that takes writes, each within the time-out. The driver's own ends with
    TCP's connect, which a hung server still answers."""

    async def connect(at: Host) -> Any:
        host, port = at
        there = {name: value for name, value in {"host": host, "port": port}.items() if value}
        async with asyncio.timeout(arguments["connect_timeout"]):
            connection = await asyncmy.connect(**arguments, **there)
            try:
                why = await _why_no_writer(connection) if len(hosts) > 1 else None
            except BaseException:
                connection.close()
                raise
        if why is not None:
            connection.close()
            raise StoreUnavailable(why)
        return connection

    return await _first(hosts, connect)


async def _why_no_writer(connection: Any) -> str | None:
    """Why a server can't be written to: it is read-only, or not part of the Galera cluster that it belongs to."""
    async with connection.cursor() as cursor:
        await cursor.execute("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')")
        told = dict(await cursor.fetchall())
        await cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep_ready'")
        told |= dict(await cursor.fetchall())
    if told.get("read_only", "OFF") != "OFF":
        return "the database's server is read-only"
    if told.get("wsrep_on") == "ON" and told.get("wsrep_ready") != "ON":
        return "the database's server is not part of its Galera cluster"
    return None


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
