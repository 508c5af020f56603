"""Complaints of deliveries, and what is counted of them."""

from collections import Counter
from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import Counts
from notifier.domain.consent import Consent
from notifier.domain.deliveries import State
from notifier.domain.effects import What
from notifier.domain.ids import make_id
from notifier.domain.recipient_facts import ALL
from notifier.store.core import audit, rows
from notifier.store.core.audit import AuditEntry
from notifier.store.core.status import NOW, joined, of_batch
from notifier.store.delivery import campaigns, earlier, effect_places
from notifier.store.people import consents, locking
from notifier.store.people.inbound import COMPLAINED, PERSON

WITHDRAWN = Consent(category=ALL, channel="email", granted=False, wording="complained", source="email")
"""What a complaint says: no more marketing by e-mail."""


class Complained(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery, as a complaint of it is judged."""

    id: str
    event_id: str
    recipient_id: str
    type: str
    channel: str
    state: State


async def read(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> dict[str, Complained]:
    """Deliveries by the ids that reports name them by, of today or earlier ones; unknown ids are left out."""
    found = await _read(connection, dialect, ids)
    unknown = set(ids) - found.keys()
    renamed = await earlier.deliveries(connection, dialect, unknown) if unknown else {}
    again = await _read(connection, dialect, renamed.values()) if renamed else {}
    return found | {then: again[now] for then, now in renamed.items() if now in again}


async def take(connection: AsyncConnection, dialect: str, told: Collection[Complained], now: int) -> set[str]:
    """Take back the consents of those who complained, with an audit record, and count it; returns the ids of the
    deliveries of which none had complained before and whose recipient is still there."""
    people = await locking.lock(connection, dialect, {each.recipient_id for each in told})
    entries = {_entry_id(each.id): each for each in told if each.recipient_id in people}
    known = await audit.known(connection, dialect, entries)
    new = {each.id: each for id_, each in entries.items() if id_ not in known}
    said = {each.recipient_id: [WITHDRAWN] for each in new.values()}
    await consents.append(connection, dialect, said, PERSON, now)
    await audit.add(connection, dialect, [_entry(id_, now) for id_ in new])
    await effect_places.add_deeds(connection, dialect, [(id_, What.COMPLAINED) for id_ in new])
    events = Counter(each.event_id for each in new.values())
    more = {id_: Counts(complained=number) for id_, number in events.items()}
    await campaigns.add_to_known(connection, dialect, more, now)
    return set(new)


async def _read(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> dict[str, Complained]:
    found = await connection.execute(_deliveries(dialect), {"rows": rows.ids(ids)})
    return {row.id: rows.read(row, Complained) for row in found}


def _entry_id(delivery: str) -> str:
    """The id of the record of a delivery's complaint: the same, however often it is reported."""
    return make_id("complaint", delivery)


def _entry(delivery: str, now: int) -> AuditEntry:
    return AuditEntry(id=_entry_id(delivery), at=now, actor=PERSON, action=COMPLAINED, subject=delivery)


@cache
def _deliveries(dialect: str) -> sa.Select[Any]:
    columns = (NOW[name] for name in Complained.__struct_fields__)
    return sa.select(*columns).select_from(joined(of_batch(dialect)))
