"""Transactions that lock people and their deliveries: each locks the people first, so that none waits for another that
waits for it."""

import asyncio
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY, HOUR
from notifier.domain.deliveries import Channel, State
from notifier.domain.ids import make_id
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails, device_id
from notifier.store.core.database import Database
from notifier.store.core.schema import device, open_delivery, recipient
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import leases
from notifier.store.delivery.digests import take_open
from notifier.store.delivery.heard import heard
from notifier.store.delivery.leases import Settled
from notifier.store.people import erasures, recipients
from notifier.store.people.addresses import Gone
from tests.named import PUSH
from tests.samples import NOW
from tests.states import put

ROUNDS = 40
PEOPLE = 8  # erased and settled in one transaction each
TOKEN = make_id("token")
WEBHOOK = Channel("webhook")

pytestmark = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)

WAITING = {
    "postgresql": "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mysql": "FROM information_schema.processlist WHERE db = database() AND command IN ('Query', 'Execute')"
    " AND id <> connection_id()",
}
"""The sessions that wait for a lock, or are in a statement that may."""


def phone(id_: str) -> Device:
    return Device(value=f"phone-of-{id_}")


def settled(id_: str) -> Settled:
    return Settled(
        id=make_id("delivery", id_),
        recipient_id=id_,
        channel=PUSH,
        lease_token=TOKEN,
        state=State.FAILED,
        reason="address_gone",
        due_at=NOW,
        next_check_at=None,
        attempts=1,
        provider="fcm",
        provider_reference=None,
        locale=None,
    )


def gone(id_: str) -> Gone:
    return Gone(channel=PUSH, recipient_id=id_, device_id=device_id(phone(id_)))


async def send_to(database: Database, ids: list[str]) -> None:
    """People with a phone each, and a push on its way to it."""
    await recipients.put(database, {id_: RecipientDetails(devices=[phone(id_)]) for id_ in ids}, NOW)
    times = dict.fromkeys(("created_at", "updated_at", "due_at", "expires_at"), NOW)
    same = {
        "event_id": make_id("event"),
        "type": "t",
        "channel": PUSH,
        "target": "",
        "lane": "urgent",
        "subject_key": make_id("a"),
    }
    row = same | times | {"state": State.SENDING, "attempts": 1, "lease_token": TOKEN}
    async with database.engine.begin() as connection:
        await put(connection, *(row | {"id": make_id("delivery", id_), "recipient_id": id_} for id_ in ids))


async def wait_for_a_wait(database: Database, task: asyncio.Task[Any]) -> None:
    """Wait until a task's transaction waits for another's lock."""
    query = sa.text(f"SELECT count(*) {WAITING[database.dialect]}")
    while not task.done():
        async with database.engine.connect() as connection:
            if (await connection.execute(query)).scalar():
                return
        await asyncio.sleep(0.01)


async def all_of(database: Database, column: sa.ColumnElement[Any]) -> set[Any]:
    async with database.engine.connect() as connection:
        return set((await connection.execute(sa.select(column))).scalars())


@pytest.mark.parametrize("lost", [gone("ada"), Gone(channel=WEBHOOK, recipient_id="ada", own={"url": "u"})])
async def test_while_an_outcome_waits_for_a_person_it_holds_none_of_their_deliveries(
    database: Database, lost: Gone
) -> None:
    # Given a transaction that has locked a person, as a decision and an erasure do
    await send_to(database, ["ada"])
    async with database.engine.connect() as other:
        await other.begin()
        await other.execute(sa.select(recipient.c.id).where(recipient.c.id == "ada").with_for_update())

        # When an outcome says that an address of the person is gone, and waits for them
        settling = asyncio.create_task(leases.settle(database, [settled("ada")], [], [lost], NOW))
        await wait_for_a_wait(database, settling)

        # Then the other transaction can have the person's deliveries too
        await other.execute(sa.select(open_delivery.c.id).with_for_update(nowait=True))
        await other.rollback()
    assert await settling == 1


async def test_erasures_and_outcomes_of_the_same_people_all_end_well(database: Database) -> None:
    for number in range(ROUNDS):
        ids = [f"{number}-{each}" for each in range(PEOPLE)]
        await send_to(database, ids)

        recorded, _ = await asyncio.gather(
            leases.settle(database, [settled(id_) for id_ in ids], [], [gone(id_) for id_ in reversed(ids)], NOW),
            erasures.begin(database, ids, "test", NOW),
        )

        assert recorded == PEOPLE
    assert await all_of(database, recipient.c.id) == set()
    assert await all_of(database, device.c.id) == set()
    assert await all_of(database, delivery.c.state) == {State.FAILED}


async def test_who_has_a_digest_in_hand_keeps_others_from_no_other_however_few_there_are(database: Database) -> None:
    # Given a digest of each of two people, which no engine would need an index to find
    later: dict[str, Any] = {"due_at": NOW + HOUR, "expires_at": NOW + DAY, "next_check_at": NOW + HOUR}
    same: dict[str, Any] = {"event_id": make_id("event"), "type": "t", "channel": PUSH, "target": "", "lane": "normal"}
    same |= {"state": State.PENDING, "reason": "digest", "created_at": NOW}
    ids = {who: make_id("digest", who) for who in ("ada", "bob")}
    groups = {who: make_id("group", who) for who in ids}
    digests = [
        same | later | {"id": id_, "digest_id": id_, "recipient_id": who, "subject_key": groups[who]}
        for who, id_ in ids.items()
    ]
    async with database.engine.begin() as connection:
        await put(connection, *digests)
        await connection.execute(sa.text(f"ANALYZE {'TABLE ' * (database.dialect == 'mysql')}open_delivery, delivery"))

    async def take(connection: AsyncConnection, group: str) -> list[str]:
        return [each.id for each in await take_open(connection, database.dialect, [group], NOW)]

    # When one worker puts an item into the first
    async with database.engine.connect() as other, asyncio.timeout(10):
        await other.begin()
        assert await take(other, groups["ada"]) == [ids["ada"]]

        # Then another can put one into the second, and can ask what the other person has heard, and waits for nobody
        assert await database.write(partial(take, group=groups["bob"])) == [ids["bob"]]
        assert await heard(database, [("bob", groups["bob"])]) == []
        await other.rollback()
