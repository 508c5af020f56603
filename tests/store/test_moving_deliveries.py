"""The upgrade that sets what is open of deliveries apart: each is what it was, also where it is interrupted."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY, HOUR
from notifier.domain.deliveries import Lane, State
from notifier.domain.ids import dated, make_id
from notifier.domain.messages import Report
from notifier.pipeline.receipts import record
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.schema import decision, lease, open_delivery, outcome
from notifier.store.core.status import rendered
from notifier.store.delivery import deliveries, due, leases
from notifier.store.delivery.decisions import answers_told, facts_told
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.reading import dead, explaining, ledger
from notifier.store.reading.dead import DeadLetterFilter, successor_id
from notifier.store.reading.explaining import ExplanationQuery
from notifier.store.reading.tries import TRY
from tests.named import SMS
from tests.samples import NOW
from tests.store.conftest import Ended, ending_at

COUNT = 56  # deliveries: some in each slice of ids
BEGINS = "table open_delivery"
"""The first of what the upgrade tells of."""
SENT = {
    "attempts": 1, "provider": "main", "provider_reference": "SM1", "locale": "de", "time_zone": "Europe/Vienna",
    "content_hash": "0" * 64, "version": 3,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "pending": {"state": "pending", "signal_at": NOW - 1},
    "to be tried again": {
        "state": "pending", "reason": "unavailable", "code": "503", "attempts": 2, "signal_at": NOW + HOUR,
        "due_at": NOW + HOUR, "provider": "main",
    },
    "sending": {"state": "sending", "attempts": 1, "lease_token": make_id("lease"), "signal_at": NOW - 1},
    "unknown": {"state": "unknown", "reason": "lease_expired", "crashes": 1, "attempts": 1, "signal_at": NOW + HOUR},
    "sent": {"state": "sent", **SENT},
    "told by a receipt before its worker": {"state": "delivered", "lease_token": make_id("lease"), **SENT},
    "suppressed": {"state": "suppressed", "reason": "switched_off"},
    "dead": {"state": "failed", "reason": "refused", "code": "21612", "attempts": 1, "provider": "main"},
    "come back": {"state": "undelivered", "reason": "bounced", "code": "5.1.1", **SENT},
    "handled": {"state": "failed", "reason": "refused", "attempts": 1, "provider": "main", "handled_at": NOW + 9},
    "redriven": {"state": "sent", **SENT},
    "digest": {"state": "pending", "reason": "digest", "signal_at": NOW + HOUR, "due_at": NOW + HOUR},
    "collected": {"state": "collected"},
    "collected by one that was sent": {"state": "collected"},
}  # fmt: skip
"""Deliveries as the revision before has them."""
OPEN = {"pending", "to be tried again", "sending", "unknown", "dead", "come back", "digest", "collected"}
NONE = dict.fromkeys(
    ("reason", "code", "signal_at", "lease_token", "provider", "provider_reference", "locale", "redrive_of",
     "handled_at", "digest_id", "time_zone", "content_hash", "version")
)  # fmt: skip


LATER = NOW + DAY


def kind(number: int) -> str:
    return list(KINDS)[number % len(KINDS)]


def before(number: int) -> dict[str, Any]:
    """A delivery as the revision before has it; of each kind there are some on each of two days."""
    at = NOW - DAY * (number // len(KINDS) % 2)
    first = number - number % len(KINDS)
    digests = {
        "digest": "digest", "collected": "digest", "sent": "sent", "collected by one that was sent": "sent",
    }  # fmt: skip
    held = {name: make_id("delivery", str(first + list(KINDS).index(digest))) for name, digest in digests.items()}
    own = {
        "id": make_id("delivery", str(number)), "event_id": make_id("event"), "recipient_id": "ada", "type": "t",
        "channel": "sms", "target": "", "lane": "urgent", "about": make_id("about"), "created_at": at,
        "updated_at": at + 5 if "attempts" in KINDS[kind(number)] else at, "due_at": at, "expires_at": NOW + DAY,
        "attempts": 0, "crashes": 0, "step": 0,
    }  # fmt: skip
    letter = make_id("delivery", str(first + list(KINDS).index("handled"))) if kind(number) == "redriven" else None
    return {**own, **NONE, "digest_id": held.get(kind(number)), "redrive_of": letter, **KINDS[kind(number)]}


def after(row: dict[str, Any]) -> str:
    """The id that a delivery has then: what was redriven is called after the letter."""
    of = row["redrive_of"]
    return dated(row["id"], row["created_at"]) if of is None else successor_id(dated(of, row["created_at"]))


WAS = {"signal_at": "next_check_at", "about": "subject_key"}
"""Columns that have another name then."""
EVENT = dated(make_id("event"), NOW)
"""The id that the event has then."""


def names_after(row: dict[str, Any]) -> dict[str, str | None]:
    """What else is called otherwise then."""
    others = {name: row[name] and dated(row[name], row["created_at"]) for name in ("digest_id", "redrive_of")}
    return {
        "id": after(row),
        "event_id": EVENT,
        **others,
        "content_hash": row["content_hash"] and row["content_hash"][:32],
    }


async def fill(database: Database) -> list[dict[str, Any]]:
    """Bring a database to the revision before, with deliveries of every kind and their attempts."""
    with pytest.raises(Ended):
        await migrate.upgrade(database, ending_at(BEGINS))
    made = [before(number) for number in range(COUNT)]
    tries = [
        {"delivery_id": row["id"], "number": number, "started_at": row["due_at"], "ended_at": row["updated_at"],
         "provider": "main", "outcome": "sent" if row["state"] in ("sent", "delivered") else "refused", "code": None}
        for row in made
        if row["provider"]
        for number in range(1, row["attempts"] + 1)
    ]  # fmt: skip
    event = {
        "id": make_id("event"), "source": "s", "source_id": "1", "type": "t", "occurred_at": NOW, "accepted_at": NOW,
        "digest": make_id("digest"), "data": "{}",
    }  # fmt: skip
    plan = {"event_id": make_id("event"), "decided_at": NOW, "deliveries": COUNT}
    decided = {
        "event_id": make_id("event"), "type": "t", "recipient_id": "ada", "decided_at": NOW,
        "answers": f'[{{"channel":"sms","delivery":"{made[0]["id"]}","answer":"pending","due_at":{NOW}}}]',
        "standing": '{"locale":"de"}',
    }  # fmt: skip
    written = {"event": [event], "plan": [plan], "decision": [decided], "delivery": made, "attempt": tries}
    async with database.engine.begin() as connection:
        for name, rows in written.items():
            await connection.execute(sa.insert(sa.table(name, *map(sa.column, rows[0]))), rows)
    return made


async def test_every_delivery_is_what_it_was_with_its_tries_and_the_books_count_it(bare: Database) -> None:
    # Given deliveries of every kind
    made = await fill(bare)

    # When the database is upgraded
    await migrate.upgrade(bare)

    # Then each says what it said, but that no lease outlives its delivery
    async with bare.engine.connect() as connection:
        found = {row.id: row for row in await connection.execute(sa.select(rendered))}
        tried = list(
            await connection.execute(sa.select(outcome.c.delivery_id, *TRY).where(outcome.c.answer.is_not(None)))
        )
        assert {row.id for row in await connection.execute(sa.select(open_delivery.c.id))} == {
            after(each) for number, each in enumerate(made) if kind(number) in OPEN
        }
        assert not list(await connection.execute(sa.select(lease)))
    for number, was in enumerate(made):
        token = was["lease_token"] if kind(number) == "sending" else None
        now = found.pop(after(was))._mapping
        expected = {WAS.get(name, name): value for name, value in (was | {"lease_token": token}).items()}
        assert {name: now[str(name)] for name in expected} == expected | names_after(was), kind(number)
        numbers = [each.number for each in tried if each.delivery_id == after(was)]
        assert numbers == list(range(1, was["attempts"] + 1 if was["provider"] else 1)), kind(number)
    assert found == {}

    # And the books count them by state, and every one
    books = await ledger.read(bare)
    of_state = {state: sum(each["state"] == state for each in made) for state in State}
    assert books.deliveries == {str(state): count for state, count in of_state.items()}
    assert books.reasons["refused"] == 2 * COUNT // len(KINDS)


async def test_a_decision_names_its_event_and_its_deliveries_as_they_are_called_since(bare: Database) -> None:
    made = await fill(bare)

    await migrate.upgrade(bare)

    async with bare.engine.connect() as connection:
        (row,) = await connection.execute(sa.select(decision))
    facts = facts_told(row)
    assert facts is not None
    assert (row.event_id, facts["locale"], facts["time_zone"]) == (EVENT, "de", "UTC")
    assert answers_told(row) == [
        {
            "channel": "sms", "delivery": after(made[0]), "answer": "pending", "due_at": NOW, "reason": None,
            "rule": None,
        }
    ]  # fmt: skip


async def test_a_receipt_names_a_delivery_by_the_id_that_its_provider_was_given(bare: Database) -> None:
    # Given a text that was sent before the upgrade, and the letter of another that was sent again
    made = await fill(bare)
    sent, redriven = (
        next(row for number, row in enumerate(made) if kind(number) == name) for name in ("sent", "redriven")
    )

    await migrate.upgrade(bare)

    # When its provider tells that it arrived, then it has
    told = [
        Report(channel=SMS, delivery=each["id"], state=State.DELIVERED, reference="SM1") for each in (sent, redriven)
    ]
    assert [each.moved for each in await record(bare, told, LATER)] == [True, True]
    async with bare.engine.connect() as connection:
        states = {row.id: row.state for row in await connection.execute(sa.select(rendered.c.id, rendered.c.state))}
    assert [states[after(each)] for each in (sent, redriven)] == ["delivered", "delivered"]

    # And it can be asked for by that id, as its event can
    for wanted in (ExplanationQuery(delivery=sent["id"]), ExplanationQuery(event=make_id("event"))):
        found = await explaining.read(bare, wanted)
        assert found is not None
        assert found.event.id == EVENT
    subject = await deliveries.get(bare, sent["id"])
    assert subject is not None
    assert subject.id == after(sent)


async def test_what_was_told_before_is_not_told_again_by_an_event_that_says_the_same(bare: Database) -> None:
    made = await fill(bare)

    await migrate.upgrade(bare)

    # When an event comes that says what one before the upgrade said, and something else
    told = {name: made[0][name] for name in ("recipient_id", "type", "target")}
    new = NewDelivery(
        **told, id=dated(made[0]["id"], LATER), event_id=dated(make_id("another"), LATER), channel=SMS,
        lane=Lane.URGENT, subject_key=make_id("about"), state=State.PENDING, reason=None, created_at=LATER,
        updated_at=LATER, due_at=LATER, expires_at=LATER + DAY, next_check_at=LATER,
    )  # fmt: skip
    other = msgspec.structs.replace(new, id=dated(make_id("something else"), LATER))

    async def add(connection: AsyncConnection) -> list[NewDelivery]:
        return await deliveries.add(connection, bare.dialect, [new, other])

    # Then nobody hears the former twice
    assert await bare.write(add) == [other]


async def test_what_was_open_of_deliveries_is_gone_on_with(bare: Database) -> None:
    made = await fill(bare)

    await migrate.upgrade(bare)

    # Then what is due is claimed, an ended lease is noticed, and what is dead is listed unless it was handled
    ids = [after(row) for row in made]
    await leases.claim(bare, ids, make_id("token"), NOW, NOW + HOUR)
    async with bare.engine.connect() as connection:
        mine = sa.select(open_delivery.c.id).where(open_delivery.c.lease_token == make_id("token"))
        claimed = set((await connection.execute(mine)).scalars())
    assert claimed == {after(row) for number, row in enumerate(made) if kind(number) == "pending"}
    assert await due.return_expired_leases(bare, NOW, COUNT) == COUNT // len(KINDS)
    async with bare.engine.connect() as connection:
        died = sa.select(open_delivery.c.id).where(open_delivery.c.state.in_(["failed", "undelivered"]))
        letters = set((await connection.execute(died)).scalars())
    assert letters == {after(row) for number, row in enumerate(made) if kind(number) in ("dead", "come back")}
    assert await dead.count(bare, DeadLetterFilter()) == len(letters)


async def test_an_upgrade_that_is_ended_at_any_of_its_changes_moves_each_delivery_once(bare: Database) -> None:
    # Given an upgrade that ends at each change that it never came to before: at a few where an engine takes them back
    made = await fill(bare)
    seen: set[str] = set()
    each = 1 if bare.dialect == "mysql" else 9

    def tell(what: str) -> None:
        if what not in seen:
            seen.add(what)
            if len(seen) % each == 0:
                raise Ended

    # When it is run again each time, on what was left behind
    current, newest = await migrate.revisions(bare)
    while current != newest:
        with suppress(Ended):
            await migrate.upgrade(bare, tell)
        current, _ = await migrate.revisions(bare)

    # Then each delivery is there once, and counted once
    assert len(seen) > 16
    async with bare.engine.connect() as connection:
        states = {row.id: row.state for row in await connection.execute(sa.select(rendered.c.id, rendered.c.state))}
    assert states == {after(row): row["state"] for row in made}
    assert (await ledger.read(bare)).total == COUNT
