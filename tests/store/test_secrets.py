"""Secrets are made once, whoever asks first, and address keys are the same in every process."""

import asyncio

import sqlalchemy as sa

from notifier.domain.links import Links, Unsubscribe
from notifier.runtime.settings import Settings
from notifier.startup import open_links
from notifier.store.core import secrets
from notifier.store.core.database import Database
from notifier.store.core.schema import secret
from notifier.store.people import suppressions
from tests.named import EMAIL, SMS


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

    assert key(EMAIL, "Ada@Example.com") == key(EMAIL, "ada@example.com")
    assert key(EMAIL, "+4915123456789") != key(SMS, "+4915123456789")
    assert len(key(SMS, "+4915123456789")) == 32


async def test_links_that_the_databases_own_key_signed_stay_good_when_keys_are_set(database: Database) -> None:
    # Given a mail that was sent before any key was set
    def settings(keys: str) -> Settings:
        return Settings(public_url="https://h.example", signing_keys=keys)

    mailed = (await open_links(settings(""), database)).unsubscribe_url("ada", "offers", EMAIL)
    token = mailed.rpartition("/")[2]

    # When keys are set for the first time
    set_now, others = await open_links(settings("k" * 32), database), Links("https://h.example", [b"k" * 32])

    # Then its link is read, and new ones are signed by the key that is set
    assert set_now.read_unsubscribe(token) == Unsubscribe("ada", "offers", EMAIL)
    new = set_now.unsubscribe_url("ada", "offers", EMAIL).rpartition("/")[2]
    assert others.read_unsubscribe(new) is not None
    assert others.read_unsubscribe(token) is None


async def test_where_keys_were_set_from_the_beginning_the_database_makes_none(database: Database) -> None:
    await open_links(Settings(signing_keys="k" * 32), database)

    assert await secrets.find(database, "links") is None
