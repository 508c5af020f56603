"""Secrets are made once, whoever asks first, and address keys are the same in every process."""

import asyncio

import sqlalchemy as sa

from notifier.deliveries import Channel
from notifier.store import secrets, suppressions
from notifier.store.database import Database
from notifier.store.schema import secret


async def test_of_many_processes_that_ask_at_once_all_have_the_same_secret(database_url: str) -> None:
    # Given several processes with a database that has no secret yet
    processes = [Database(database_url, connections=1) for _ in range(6)]

    # When all of them need it at once, and once more
    found = await asyncio.gather(*(secrets.get(process, "test") for process in processes))
    again = await asyncio.gather(*(secrets.get(process, "test") for process in processes))

    # Then there is one, and everybody has it
    assert len({*found, *again}) == 1
    assert len(found[0]) == secrets.BYTES
    async with processes[0].engine.connect() as connection:
        rows = list(await connection.execute(sa.select(secret)))
    assert [(row.name, row.value) for row in rows] == [("test", found[0].hex())]
    for process in processes:
        await process.close()


async def test_each_name_has_a_secret_of_its_own(database: Database) -> None:
    assert await secrets.get(database, "one") != await secrets.get(database, "two")


async def test_an_addresss_key_tells_nothing_of_it_and_is_the_same_however_it_is_written(database: Database) -> None:
    key = await suppressions.address_key(database)

    assert key(Channel.EMAIL, "Ada@Example.com") == key(Channel.EMAIL, "ada@example.com")
    assert key(Channel.EMAIL, "+4915123456789") != key(Channel.SMS, "+4915123456789")
    assert len(key(Channel.SMS, "+4915123456789")) == 32
