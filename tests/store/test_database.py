"""What a server is told about our sessions."""

import pytest
import sqlalchemy as sa

from notifier.store.database import IDLE_TIMEOUT, Database

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
