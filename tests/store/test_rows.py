"""How a batch travels: it arrives as it was, and what it costs doesn't grow with the table."""

import msgspec
import pytest
import sqlalchemy as sa

from notifier.domain.deliveries import Lane, State
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import recipient
from notifier.store.delivery import deliveries
from notifier.store.delivery.deliveries import NewDelivery
from tests.named import SMS

MANY = 2_000


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_mariadb_looks_a_batch_up_by_its_index(database: Database) -> None:
    # Given a table of some size
    ids = [f"{number:032x}" for number in range(MANY)]
    new = [
        NewDelivery(
            id=id_, event_id=id_, recipient_id="ada", type="t", channel=SMS, target="", lane=Lane.NORMAL,
            subject_key=id_, state=State.SENT, reason=None, created_at=1, updated_at=1, due_at=1, expires_at=2,
            next_check_at=None,
        )
        for id_ in ids
    ]  # fmt: skip
    await database.write(lambda connection: deliveries.add(connection, database.dialect, new))

    # When five of its rows are looked for
    async with database.engine.connect() as connection:
        await connection.execute(sa.text("FLUSH STATUS"))
        assert await deliveries.existing(connection, database.dialect, ids[:5]) == set(ids[:5])
        counters = await connection.execute(sa.text("SHOW SESSION STATUS LIKE 'Handler_read%'"))

    # Then not many more were read
    assert sum(int(value) for _, value in counters) < 50


@pytest.mark.parametrize(
    "text", ["'", "\\", "\\'", "'; DROP TABLE recipient; --", '"', "%s %(rows)s :rows", "\n\t\x1a", "é😀"]
)
async def test_a_text_arrives_as_it_was(database: Database, text: str) -> None:
    given = rows.batch(database.dialect, [recipient.c.id, recipient.c.name, recipient.c.attributes])
    query = sa.select(given.c.id, given.c.name, given.c.attributes)

    # When a text is a name, and stands in a document
    async with database.engine.connect() as connection:
        (row,) = await connection.execute(query, {"rows": [{"id": "ada", "name": text, "attributes": {"note": text}}]})

    # Then it is read as it was
    assert (row.id, row.name) == ("ada", text)
    assert msgspec.json.decode(row.attributes) == {"note": text}


async def test_an_id_of_letters_that_no_id_has_is_not_found(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await deliveries.existing(connection, database.dialect, ["é" * 32, "😀", "x" * 500]) == set()
