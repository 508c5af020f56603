"""Events as accepting and deciding leave them, for tests that write rows themselves."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.events import undated_id
from notifier.store.core.schema import event, open_event, plan
from notifier.store.delivery import tallies
from notifier.store.delivery.identities import first_seen
from notifier.store.delivery.tallies import Tally

PLAN = ("decided_at", "deliveries")


async def write_events(connection: AsyncConnection, events: Sequence[dict[str, Any]]) -> None:
    """Write events, each with its columns in the three tables; one with `decided_at` is decided. They are found by
    source where their ids are what accepting makes of that."""
    seen = {undated_id(each["source"], each["source_id"]): each["accepted_at"] for each in events}
    await first_seen(connection, dialect_of(connection), seen)
    for table, which in ((event, None), (plan, True), (open_event, False)):
        made = [_of(table, each) for each in events if which is None or which == ("decided_at" in each)]
        if made:
            await connection.execute(sa.insert(table), made)
    told = []
    for each in events:
        on = tallies.day(each["accepted_at"])
        told.append(Tally(day=on, part="event", state="accepted", number=1))
        if "decided_at" in each:
            told.append(Tally(day=on, part="event", state="decided", number=1))
            told.append(Tally(day=on, part="event", state="planned", number=each["deliveries"]))
    await tallies.add(connection, dialect_of(connection), told)


def _of(table: sa.Table, given: dict[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in given.items() if name in table.c}
    return columns | {column.name: given["id"] for column in table.primary_key}


def dialect_of(connection: AsyncConnection) -> str:
    """The name by which the store's queries know an engine."""
    name = connection.dialect.name
    return "mysql" if name == "mariadb" else name
