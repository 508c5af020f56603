"""The migrations make the tables that the code describes, on every engine."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from notifier.store import migrate
from notifier.store.database import Database
from notifier.store.schema import metadata


async def test_a_migrated_database_has_exactly_the_tables_of_the_schema(database: Database) -> None:
    # Given a migrated database, when it is compared with the schema
    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.engine.connect() as connection:
        differences = await connection.run_sync(compare)

    # Then there is nothing to migrate
    assert differences == []


async def test_upgrading_twice_changes_nothing(database: Database) -> None:
    before = await migrate.revisions(database)

    await migrate.upgrade(database)

    assert await migrate.revisions(database) == before
    assert before[0] == before[1]
