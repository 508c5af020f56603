"""The upgrade that sets what is open apart: each event is where it belongs, also where the upgrade ends on its way."""

from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY
from notifier.domain.ids import dated, make_id
from notifier.store.core import migrate
from notifier.store.core.books import tally
from notifier.store.core.database import Database
from notifier.store.core.schema import event
from notifier.store.delivery import events, open_events
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading import dead, ledger
from notifier.store.reading.dead import DeadLetterFilter
from tests.samples import NOW
from tests.store.conftest import Ended, ending_at

COUNT = 60  # events: some in each slice of ids
KINDS: dict[str, dict[str, Any]] = {
    "undecided": {"signal_at": NOW + 3_000, "tries": 1},
    "decided": {"decided_at": NOW + 5, "deliveries": 3},
    "decided for nobody": {"decided_at": NOW + 5, "deliveries": 0},
    "quarantined": {"quarantined_at": NOW + 9, "tries": 2},
    "discarded": {"quarantined_at": NOW + 9, "handled_at": NOW + 99, "tries": 2},
    "half expanded": {"signal_at": NOW + 3_000, "cursor": "p4", "deliveries": 2},
}
"""Events as the revision before has them."""
NONE = {"signal_at": None, "decided_at": None, "quarantined_at": None, "handled_at": None, "cursor": None}
BEGINS = "from here on"
"""The first of what the upgrade tells of."""


def before(number: int) -> dict[str, Any]:
    """An event as the revision before has it; of each kind there are some on each of two days."""
    kind = list(KINDS)[number % len(KINDS)]
    told = {"source": "csms", "source_id": str(number), "type": "charging.complete", "subject": "s", "data": "{}"}
    at = NOW - DAY * (number % 4 // 2)
    own = {"id": make_id("event", str(number)), "occurred_at": at, "accepted_at": at, "digest": make_id("d")}
    return {**own, **told, **NONE, "deliveries": None, "tries": 0, **KINDS[kind]}


def after(row: dict[str, Any]) -> str:
    """The id that an event has then."""
    return dated(row["id"], row["accepted_at"])


async def fill(database: Database) -> list[dict[str, Any]]:
    """Bring a database to the revision before, with events of every kind."""
    with pytest.raises(Ended):
        await migrate.upgrade(database, ending_at(BEGINS))
    made = [before(number) for number in range(COUNT)]
    old = sa.table("event", *map(sa.column, made[0]))
    async with database.engine.begin() as connection:
        await connection.execute(sa.insert(old), made)
    return made


async def test_every_event_is_what_it_was_and_the_books_count_it(bare: Database) -> None:
    # Given events of every kind
    made = await fill(bare)

    # When the database is upgraded
    told: list[str] = []
    await migrate.upgrade(bare, told.append)

    # Then each says what it said
    assert "stop" in told[0]
    async with bare.engine.connect() as connection:
        found = [dict(row._mapping) for row in await connection.execute(WITH_PROGRESS)]
    kept = {after(row): row for row in made}
    for row in found:
        was = kept.pop(row["id"]) | {"id": row["id"]}
        was["next_check_at"] = was.pop("signal_at")
        was |= {"audiences": None}
        assert row == (was if was["decided_at"] is None else was | {"tries": 0})
    assert kept == {}

    # And the books count them, by the day of their acceptance
    each = COUNT // len(KINDS)
    books = await ledger.read(bare)
    assert (books.events, books.decided, books.undecided, books.quarantined) == (COUNT, 2 * each, 2 * each, 2 * each)
    assert books.planned == 5 * each
    async with bare.engine.connect() as connection:
        query = sa.select(tally.c.day, tally.c.number).where(tally.c.state == "accepted")
        days = sorted(tuple(row) for row in await connection.execute(query))
    assert days == [(NOW // DAY - 1, COUNT // 2), (NOW // DAY, COUNT // 2)]


async def test_what_was_open_is_gone_on_with(bare: Database) -> None:
    made = await fill(bare)

    await migrate.upgrade(bare)

    # Then what waited can be decided, and goes on where it was
    ids = [after(row) for row in made]
    async with bare.engine.begin() as connection:
        taken = await events.take_undecided(connection, bare.dialect, ids)
    waited = {after(row): row["cursor"] for row in made if row["signal_at"] is not None}
    assert {each.id: each.cursor for each in taken} == waited
    assert (await open_events.due(bare, NOW + 3_000, NOW + 6_000, COUNT)).keys() == waited.keys()

    # And what was put aside is listed, unless it was discarded
    letters = await dead.find(bare, DeadLetterFilter(), None, COUNT)
    assert {each.id for each in letters} == {
        after(row) for row in made if row["quarantined_at"] is not None and row["handled_at"] is None
    }


async def test_an_upgrade_that_is_ended_at_any_of_its_changes_moves_each_event_once(bare: Database) -> None:
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
    current, _ = await migrate.revisions(bare)
    while current is None or current < "0015":
        with suppress(Ended):
            await migrate.upgrade(bare, tell)
        current, _ = await migrate.revisions(bare)
    await migrate.upgrade(bare)

    # Then each event is there once, and counted once
    assert len(seen) > 16
    async with bare.engine.connect() as connection:
        found = [row.id for row in await connection.execute(WITH_PROGRESS)]
    assert sorted(found) == sorted(after(row) for row in made)
    books = await ledger.read(bare)
    assert (books.events, books.decided + books.undecided + books.quarantined) == (COUNT, COUNT)
    assert books.planned == sum(row["deliveries"] or 0 for row in made)


async def test_a_process_of_the_release_before_changes_nothing_once_the_upgrade_has_begun(bare: Database) -> None:
    if bare.dialect != "mysql":
        pytest.skip("the others change tables in one transaction, which no other gets into")
    # Given an upgrade that was interrupted in the middle
    await fill(bare)
    with pytest.raises(Ended):
        await migrate.upgrade(bare, ending_at("events, part 9"))

    # When a process of the release before that still runs decides an event, then it is refused
    async with bare.engine.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError):
            await connection.execute(sa.text("UPDATE event SET decided_at = 1, deliveries = 1, signal_at = NULL"))
        undecided = sa.select(sa.func.count()).select_from(event).where(sa.text("decided_at IS NULL"))
        assert await connection.scalar(undecided) == COUNT * 4 // 6
