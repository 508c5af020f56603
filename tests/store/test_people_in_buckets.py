"""What is written about people of several buckets: each has it where they live, and what all share is written once."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from notifier.channels.inbox import items
from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText, Keyword
from notifier.domain.buckets import bucket_of
from notifier.domain.errors import StoreUnavailable
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.store.core import buckets
from notifier.store.core.database import Database
from notifier.store.core.schema import consent, device, erasure, recipient, suppression
from notifier.store.core.staff import audit
from notifier.store.people import devices, erasures, on_call, recipients, topics
from tests import everywhere
from tests.conftest import BUCKETS
from tests.everywhere import living_in, without

NOW = 1_773_078_000_000
PHONE = "+4915123456789"
PEOPLE = [living_in(bucket) for bucket in range(BUCKETS)]
ADA, BEA, *OTHERS = PEOPLE
PHONE_OF_BOTH = Device(value="token")
OWNED = RecipientDetails(devices=[PHONE_OF_BOTH])


@pytest.fixture
def database_url(buckets_url: str) -> str:
    """An empty database with buckets."""
    return buckets_url


async def write(database: Database, ids: Sequence[str], **details: object) -> None:
    given = {id_: RecipientDetails(**details) for id_ in ids}  # type: ignore[arg-type]
    await recipients.put(database, given, NOW)


async def owners(database: Database) -> list[str]:
    return [row.recipient_id for row in await everywhere.rows(database, device)]


async def test_many_are_written_each_where_they_live(database: Database) -> None:
    await write(database, PEOPLE, name="Somebody")
    for bucket, (each, id_) in enumerate(zip(database.buckets, PEOPLE, strict=True)):
        assert [row.id for row in await everywhere.rows(each, recipient)] == [id_]
        assert bucket == bucket_of(id_, BUCKETS)
        assert (await recipients.get(database, id_) or {})["name"] == "Somebody"


@pytest.mark.parametrize("by", ["registering", "put", "change"])
async def test_a_device_is_theirs_who_registered_it_last_whichever_buckets_they_live_in(
    database: Database, by: str
) -> None:
    # Given a device of one person
    await write(database, PEOPLE)
    assert await devices.register(database, ADA, PHONE_OF_BOTH.value, lambda _held: PHONE_OF_BOTH)
    assert await owners(database) == [ADA]

    # When somebody of another bucket has it, twice
    for _ in range(2):
        match by:
            case "registering":
                assert await devices.register(database, BEA, PHONE_OF_BOTH.value, lambda _held: PHONE_OF_BOTH)
            case "put":
                await write(database, [BEA, *OTHERS[:1]], devices=[PHONE_OF_BOTH])
                await write(database, [BEA], devices=[PHONE_OF_BOTH])
            case _:
                await recipients.change(database, BEA, lambda _held: OWNED, NOW, "test")

        # Then it is theirs alone
        assert await owners(database) == [BEA]


async def test_of_an_import_whoever_names_a_device_last_has_it(database: Database) -> None:
    await write(database, PEOPLE, devices=[PHONE_OF_BOTH])
    assert await owners(database) == [PEOPLE[-1]]


async def test_subscribers_are_listed_in_order_page_by_page(database: Database) -> None:
    await write(database, PEOPLE)
    for id_ in PEOPLE:
        assert await topics.subscribe(database, "station:1", id_)
    assert not await topics.subscribe(database, "station:1", "nobody")

    pages: list[list[str]] = []
    while page := await topics.subscribers(database, "station:1", pages[-1][-1] if pages else "", 3):
        pages.append(page)
    assert [id_ for page in pages for id_ in page] == sorted(PEOPLE)
    assert [len(page) for page in pages] == [3, 3, 2]

    await topics.unsubscribe(database, "station:1", ADA)
    assert ADA not in await topics.subscribers(database, "station:1", "", BUCKETS)


async def test_the_order_on_call_goes_through_all_buckets(database: Database) -> None:
    # Given an order of members who live in several
    assert await on_call.get(database, "fleet:acme") is None
    await write(database, PEOPLE, kind="fleet_manager", fleets=["acme"])
    order = [OTHERS[3], ADA, OTHERS[0], BEA]
    assert await on_call.put(database, "fleet:acme", order) == []
    assert await on_call.get(database, "fleet:acme") == order

    # When one names a stranger, or finds another than it expects, then nothing changes anywhere
    assert await on_call.put(database, "fleet:acme", [BEA, "zoe", OTHERS[1]]) == ["zoe"]
    seen: list[list[str] | None] = []
    assert await on_call.put(database, "fleet:acme", [BEA, "zoe"], seen.append) == ["zoe"]
    assert seen == [order]
    assert await on_call.get(database, "fleet:acme") == order

    # And one that is shorter takes the places of the others
    assert await on_call.put(database, "fleet:acme", [BEA]) == []
    assert await on_call.get(database, "fleet:acme") == [BEA]


async def test_whoever_finds_that_an_order_was_set_meanwhile_begins_anew(database: Database, buckets_url: str) -> None:
    # Given somebody who sets an order, and another who is faster: between what the first reads and what they write
    await write(database, [ADA, BEA], kind="fleet_manager", fleets=["acme"])
    seen: list[list[str] | None] = []

    async def be_faster() -> None:
        own = Database(buckets_url, connections=1)
        await buckets.find(own)
        assert await on_call.put(own, "fleet:acme", [BEA]) == []
        await own.close()

    def check(held: list[str] | None) -> None:
        seen.append(held)
        if len(seen) == 1:
            with ThreadPoolExecutor(1) as other:
                other.submit(asyncio.run, be_faster()).result()

    # When both are done
    assert await on_call.put(database, "fleet:acme", [ADA, BEA], check) == []

    # Then the first has looked again, and theirs stands whole
    assert [held == [] for held in seen] == [True, False]
    assert await on_call.get(database, "fleet:acme") == [ADA, BEA]


def text(body: str, sid: int) -> IncomingText:
    return IncomingText(number=PHONE, body=body, sid=f"SM{sid:032x}")


async def test_a_stop_is_in_the_ledger_of_all_who_have_the_number_and_once_in_what_all_share(
    database: Database,
) -> None:
    # Given two people of different buckets with one number
    await write(database, [ADA, BEA], phone=PHONE, locale="de")

    # When STOP comes, twice
    answers = [await heed(database, text("STOP", 1), NOW) for _ in range(2)]

    # Then it counts once
    assert answers == [(Keyword.STOP, "de"), None]
    said = [(row.recipient_id, row.granted) for row in await everywhere.rows(database, consent)]
    assert sorted(said) == sorted([(ADA, False), (BEA, False)])
    assert [row.reason for row in await everywhere.rows(database, suppression)] == ["stopped"]
    assert [row.action for row in await everywhere.rows(database, audit)] == ["sms.stop"]

    # And START lifts it, once
    assert [await heed(database, text("START", 2), NOW + 1) for _ in range(2)] == [(Keyword.START, "de"), None]
    assert await everywhere.rows(database, suppression) == []
    assert len(await everywhere.rows(database, consent)) == 4

    # And the old STOP that comes again changes nothing
    assert await heed(database, text("STOP", 1), NOW + 2) is None
    assert await everywhere.rows(database, suppression) == []


async def test_a_stop_is_in_force_while_a_bucket_does_not_answer_and_a_start_is_not(database: Database) -> None:
    # Given people of two buckets with one number, of which one bucket is away
    await write(database, [ADA, BEA], phone=PHONE)
    left = without(database, bucket_of(BEA, BUCKETS))

    # When STOP comes, then it is in force, and told as not done
    with pytest.raises(StoreUnavailable):
        await heed(left, text("STOP", 1), NOW)
    assert [row.reason for row in await everywhere.rows(database, suppression)] == ["stopped"]

    # And said again when the bucket answers, it is done
    await heed(database, text("STOP", 1), NOW)
    assert {row.recipient_id for row in await everywhere.rows(database, consent)} == {ADA, BEA}
    assert [row.action for row in await everywhere.rows(database, audit)] == ["sms.stop"]

    # And START lifts nothing before it is done
    with pytest.raises(StoreUnavailable):
        await heed(left, text("START", 2), NOW)
    assert [row.reason for row in await everywhere.rows(database, suppression)] == ["stopped"]
    assert await heed(database, text("START", 2), NOW) == (Keyword.START, "en")
    assert await everywhere.rows(database, suppression) == []


async def test_many_are_erased_each_where_they_live_and_each_is_once_in_the_audit(database: Database) -> None:
    await write(database, PEOPLE)
    await erasures.begin(database, PEOPLE, "test", NOW)
    assert await everywhere.rows(database, recipient) == []
    assert [len(await everywhere.rows(each, erasure)) for each in database.buckets] == [1] * BUCKETS
    entries = await everywhere.rows(database, audit)
    assert len({row.subject for row in entries}) == len(entries) == BUCKETS


async def test_inboxes_of_people_of_several_buckets_are_counted_together(database: Database) -> None:
    await write(database, PEOPLE)
    assert await items.counts(database, PEOPLE, 0, NOW) == dict.fromkeys(PEOPLE, items.NOTHING)
    assert await items.counts(database, [], 0, NOW) == {}
    assert [await items.is_known(database, id_) for id_ in (ADA, BEA, "nobody")] == [True, True, False]
