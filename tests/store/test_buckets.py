"""A database in buckets: how it is made, and what a transaction sees of it."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.errors import ConfigurationError
from notifier.store.core import buckets, migrate
from notifier.store.core.database import Database
from notifier.store.core.schema import metadata, recipient, tenant
from tests.conftest import BUCKETS


@pytest.fixture
async def bucketed(buckets_url: str) -> AsyncIterator[Database]:
    opened = Database(buckets_url, connections=2)
    await buckets.find(opened)
    yield opened
    await opened.close()


async def _tables(database: Database) -> dict[str, set[str]]:
    query = sa.text("SELECT schemaname, tablename FROM pg_tables WHERE schemaname ~ '^(public|bucket_)'")

    async def work(connection: AsyncConnection) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in await connection.execute(query):
            found.setdefault(row.schemaname, set()).add(row.tablename)
        return found

    return await database.read(work)


async def test_each_bucket_has_the_tables_of_its_people_and_all_share_the_rest(bucketed: Database) -> None:
    # Given a database made in buckets
    found = await _tables(bucketed)

    # Then every table stands in each bucket, or once beside them
    own = metadata.tables.keys() - buckets.SHARED
    assert found.pop("public") == buckets.SHARED | {"alembic_version"}
    assert len(found) == BUCKETS
    assert all(tables >= own | {"alembic_version"} and not tables & buckets.SHARED for tables in found.values())

    # And all are at the newest revision
    for each in (bucketed, *bucketed.buckets):
        current, newest = await migrate.revisions(each)
        assert current == newest


async def test_making_it_again_changes_nothing_and_no_other_number_is_taken(bucketed: Database) -> None:
    before = await _tables(bucketed)
    await migrate.create(bucketed, BUCKETS)
    await migrate.upgrade(bucketed)
    assert await _tables(bucketed) == before
    with pytest.raises(ConfigurationError, match=f"in use with {BUCKETS} buckets"):
        await migrate.create(bucketed, BUCKETS * 2)


async def test_a_database_in_use_and_other_engines_get_no_buckets(database: Database) -> None:
    expected = "in use with 1 bucket" if database.dialect == "postgresql" else "only a PostgreSQL database"
    with pytest.raises(ConfigurationError, match=expected):
        await migrate.create(database, BUCKETS)
    assert len(database.buckets) == 1


async def test_a_transaction_sees_its_bucket_and_what_all_share_on_whatever_connection(bucketed: Database) -> None:
    # Given a person in one bucket, and a tenant
    person = {
        "kind": "driver", "locale": "en", "time_zone": "UTC", "tenants": "[]", "attributes": "{}", "preferences": "{}",
        "consents": "{}", "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    one, other = bucketed.buckets[1], bucketed.buckets[6]

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(sa.insert(recipient).values(id="ada", **person))
        await connection.execute(sa.insert(tenant).values(name="acme", defaults="{}", updated_at=0))

    await one.write(write)

    async def people(connection: AsyncConnection) -> int:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(recipient))).scalar_one())

    async def tenants(connection: AsyncConnection) -> int:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(tenant))).scalar_one())

    # Then that bucket alone has the person, and every one the tenant, in turn on the same connections
    for _ in range(3):
        assert [await one.read(people), await other.read(people), await one.write(people)] == [1, 0, 1]
        assert [await one.read(tenants), await other.look(tenants), await bucketed.read(tenants)] == [1, 1, 1]

    # And the whole finds no people's tables: nothing is read past the buckets unnoticed
    with pytest.raises(ProgrammingError):
        await bucketed.read(people)


async def test_only_a_citus_cluster_takes_buckets_apart(bucketed: Database, database: Database) -> None:
    with pytest.raises(ConfigurationError, match="coordinator of Citus"):
        await buckets.distribute(bucketed, lambda _what: None)
    with pytest.raises(ConfigurationError, match="no buckets"):
        await buckets.distribute(database, lambda _what: None)
