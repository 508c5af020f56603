"""Notes about deliveries: the first time stands, and nothing is noted for who isn't there."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import make_id
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery_note
from notifier.store.delivery import notes
from notifier.store.delivery.notes import Deed
from notifier.store.people import erasures, recipients
from tests.samples import NOW

ONE, OTHER = make_id("one"), make_id("other")


async def note(database: Database, deed: Deed, *ids: str, who: str = "ada", now: int = NOW) -> bool:
    async def work(connection: AsyncConnection) -> bool:
        return await notes.write(connection, database.dialect, who, ids, deed, now)

    return await database.write(work)


async def noted(database: Database) -> dict[str, Any]:
    async with database.engine.connect() as connection:
        found = await connection.execute(sa.select(delivery_note))
        return {row.delivery_id: (row.seen_at, row.read_at, row.archived_at, row.updated_at) for row in found}


async def test_the_first_time_of_each_deed_stands_and_reading_is_seeing(database: Database) -> None:
    await recipients.put(database, {"ada": RecipientDetails(name="Ada")}, NOW)

    # When two are seen, then one of them is read, and later both are put away
    assert await note(database, "seen", ONE, OTHER)
    assert await note(database, "read", ONE, now=NOW + 1)
    assert await note(database, "seen", ONE, now=NOW + 2)
    assert await note(database, "archived", ONE, OTHER, now=NOW + 3)

    # Then each keeps when it first was
    assert await noted(database) == {
        ONE: (NOW, NOW + 1, NOW + 3, NOW + 3), OTHER: (NOW, None, NOW + 3, NOW + 3),
    }  # fmt: skip


async def test_what_is_read_before_it_is_seen_was_seen_then(database: Database) -> None:
    await recipients.put(database, {"ada": RecipientDetails(name="Ada")}, NOW)

    assert await note(database, "read", ONE)

    assert await noted(database) == {ONE: (NOW, NOW, None, NOW)}


async def test_nothing_is_noted_for_who_is_erased_and_what_was_goes_with_them(database: Database) -> None:
    # Given notes of two people
    for who, id_ in (("ada", ONE), ("bob", OTHER)):
        await recipients.put(database, {who: RecipientDetails(name=who)}, NOW)
        assert await note(database, "read", id_, who=who)

    # When one is erased, then theirs are gone at once, and no more are written
    await erasures.begin(database, ["ada"], "test", NOW)
    assert not await note(database, "read", ONE)
    assert (await noted(database)).keys() == {OTHER}
