"""The buckets of a database: schemas of PostgreSQL, each with the tables of its people, of which every statement sees
one; what they share stands in the schema beside them. A database of one bucket has no schemas.

Functions of the store take a database, whole or a bucket: one about a person looks into the person's bucket
(`of_person`), and one about all into each, and joins what it finds (`over`).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.buckets import bucket_of
from notifier.domain.errors import ConfigurationError
from notifier.store.core.database import Database
from notifier.store.core.session import COMMON

P = ParamSpec("P")
K = TypeVar("K")
T = TypeVar("T")

SHARED: Final = frozenset(
    {
        "api_key", "audit", "availability_alert", "console_guess", "console_session", "console_user", "evse",
        "evse_status", "experiment", "key_usage", "location", "provider", "reach", "secret", "segment",
        "station_revision", "subscription", "suppression", "template_draft", "template_version", "tenant",
        "test_contact",
    }
)  # fmt: skip
"""The tables that all buckets share: of the network, its stations, its staff and its texts, and of addresses, which may
be several people's."""

READ_BY_ALL: Final = ("reach", "secret", "segment", "suppression", "tenant")
"""Those of them that are read beside the tables of a bucket, by whatever server has it."""

AT_ONCE: Final = 4
"""Buckets that one question is asked in at once: fewer than a process has connections, which others need as well."""

_FORM: Final = "bucket_{:03}"


def schema_of(number: int) -> str:
    """The name of a bucket's schema."""
    return _FORM.format(number)


async def find(database: Database) -> None:
    """Divide the database as it was made."""
    if database.dialect != "postgresql":
        return
    query = sa.text(r"SELECT count(*) FROM pg_namespace WHERE nspname ~ '^bucket_\d{3}$'")

    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(query)).scalar_one())

    if made := await database.read(work):
        database.split([schema_of(number) for number in range(made)])


def of(database: Database, key: str) -> Database:
    """The bucket of a person by id, or of another thing by its name."""
    return database.buckets[bucket_of(key, len(database.buckets))]


def by_bucket(database: Database, ids: Iterable[str]) -> dict[Database, list[str]]:
    """People by id in the bucket of each."""
    parts: dict[Database, list[str]] = {}
    for id_ in ids:
        parts.setdefault(of(database, id_), []).append(id_)
    return parts


def of_person(
    function: Callable[Concatenate[Database, str, P], Awaitable[T]],
) -> Callable[Concatenate[Database, str, P], Coroutine[Any, Any, T]]:
    """A function about one person, in the person's bucket."""

    @wraps(function)
    async def there(database: Database, id_: str, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await function(of(database, id_), id_, *args, **kwargs)

    return there


def over(
    join: Callable[[Sequence[T]], T],
) -> Callable[
    [Callable[Concatenate[Database, P], Awaitable[T]]], Callable[Concatenate[Database, P], Coroutine[Any, Any, T]]
]:
    """A function about all, in every bucket; `join` makes one answer of theirs."""

    def decorate(
        function: Callable[Concatenate[Database, P], Awaitable[T]],
    ) -> Callable[Concatenate[Database, P], Coroutine[Any, Any, T]]:
        @wraps(function)
        async def everywhere(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
            found = await in_each(database, lambda bucket: function(bucket, *args, **kwargs))
            return found[0] if len(found) == 1 else join(found)

        return everywhere

    return decorate


async def in_each(database: Database, function: Callable[[Database], Awaitable[T]]) -> list[T]:
    """What a function answers in each bucket, in their order."""
    if len(database.buckets) == 1:
        return [await function(database)]
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(bucket: Database) -> T:
        async with turn:
            return await function(bucket)

    return await asyncio.gather(*map(ask, database.buckets))


def first(found: Sequence[T | None]) -> T | None:
    """The one answer that there is."""
    return next((each for each in found if each is not None), None)


def total(found: Sequence[int]) -> int:
    """The sum of the answers."""
    return sum(found)


def sums(found: Sequence[Mapping[K, int]]) -> dict[K, int]:
    """The sums of the answers, name by name."""
    whole: Counter[K] = Counter()
    for part in found:
        whole.update(part)
    return dict(whole)


def joined(found: Sequence[list[T]]) -> list[T]:
    """The answers one after the other."""
    return [row for part in found for row in part]


async def distribute(database: Database, tell: Callable[[str], None]) -> None:
    """Spread the buckets over the servers of a Citus cluster, and put what all read on each; done again, it does what
    is left. Raises ConfigurationError where there is no cluster or there are no buckets."""
    if len(database.buckets) == 1:
        raise ConfigurationError("the database has no buckets; make one with `notifier db create --buckets 64`")
    try:
        there = await _column(database, "SELECT nspname FROM pg_namespace n JOIN citus_schemas ON schema_name = n.oid")
        copied = await _column(
            database, "SELECT table_name::text FROM citus_tables WHERE citus_table_type = 'reference'"
        )
    except ProgrammingError:
        raise ConfigurationError(
            "the server is no coordinator of Citus; `CREATE EXTENSION citus` makes it one (docs/scale.md)"
        ) from None
    for table in READ_BY_ALL:
        if table not in copied:
            tell(f"table {table} is on every server")
            await _column(database, f"SELECT create_reference_table('{COMMON}.{table}')")
    for number in range(len(database.buckets)):
        if schema_of(number) not in there:
            tell(f"bucket {number} has a server")
            await _column(database, f"SELECT citus_schema_distribute('{schema_of(number)}')")


async def _column(database: Database, query: str) -> set[str]:
    async def work(connection: AsyncConnection) -> set[str]:
        return {str(row[0]) for row in await connection.execute(sa.text(query))}

    return await database.write(work)
