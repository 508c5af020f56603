"""Sessions that peers tell of, in the database."""

import asyncio

from sqlalchemy import delete

from notifier.ocpi.sessions import StoredSession
from notifier.store.core.database import Database
from notifier.store.core.schema import charging_session
from notifier.store.delivery import sessions
from notifier.store.delivery.events import NewEvent

ROUNDS = 20  # pairs of first updates: without the lock one in ten ended with the older


async def test_of_two_first_updates_at_once_each_sees_the_other(database: Database) -> None:
    for _ in range(ROUNDS):
        # Given two updates of a session that nobody has told of, of which the newer one wins wherever both are seen
        async def tell(updated: int) -> None:
            def step(before: StoredSession | None) -> tuple[StoredSession, list[NewEvent]]:
                if before is not None and before.last_updated > updated:
                    return before, []
                return StoredSession(session={}, last_updated=updated), []

            await sessions.update(database, "BE-BEC-1", step, 0)

        # When they come at once
        await asyncio.gather(tell(2), tell(1))

        # Then the newer one stands
        async with database.engine.begin() as connection:
            state = (await connection.execute(charging_session.select())).one().state
            await connection.execute(delete(charging_session))
        assert '"last_updated":2' in state
