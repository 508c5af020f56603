"""The migrations make the tables that the code describes, on every engine."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.schema import metadata
from tests.store.conftest import differences


async def test_a_migrated_database_has_exactly_the_tables_of_the_schema(database: Database) -> None:
    # Given a migrated database, when it is compared with the schema, then there is nothing to migrate
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_on_postgresql_ids_names_and_words_compare_byte_by_byte(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("the other engines are told so for whole tables")
    ours = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if getattr(column.type.dialect_impl(postgresql.dialect()), "collation", None) == "C"  # type: ignore[no-untyped-call]
    }
    query = text("SELECT table_name, column_name FROM information_schema.columns WHERE collation_name = 'C'")

    async with database.engine.connect() as connection:
        found = {(row.table_name, row.column_name) for row in await connection.execute(query)}

    assert {("device", "id"), ("delivery", "state"), ("recipient", "id")} < ours
    assert ours <= found
    assert {pair for pair in found if pair[0] in metadata.tables} == ours


async def test_upgrading_twice_changes_nothing(database: Database) -> None:
    before = await migrate.revisions(database)

    await migrate.upgrade(database)

    assert await migrate.revisions(database) == before
    assert before[0] == before[1]


async def test_databases_are_migrated_side_by_side(tmp_path: Path) -> None:
    # Given databases without a schema
    databases = [Database(f"sqlite:///{tmp_path}/{number}.db", connections=1) for number in range(3)]

    # When all are brought to the newest revision at once, then each has it
    await asyncio.gather(*(migrate.upgrade(database) for database in databases))
    for database in databases:
        found, newest = await migrate.revisions(database)
        assert found == newest
        await database.close()
