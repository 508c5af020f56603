"""Erasures: a person's own rows are deleted at once, and the erasure is recorded in the same transaction; other rows
that tell of them are swept up later. A keyed hash stays in their place, which names nobody."""

import hmac
import re
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import SECOND
from notifier.domain.erasure import names, redact
from notifier.domain.identifiers import audience
from notifier.domain.messages import Private
from notifier.store.core import audit, buckets, rows, secrets
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database
from notifier.store.core.schema import (
    decision,
    delivery_note,
    device,
    erasure,
    event,
    membership,
    plan,
    preference_change,
    recipient,
)
from notifier.store.core.stations import availability_alert

KEY_BITS: Final = 128  # bits of the HMAC's 256: as many as in the ids that it replaces
SKEW: Final = 5 * SECOND  # milliseconds by which the clock of a deciding worker may run ahead
_TOKEN: Final = "token:"  # noqa: S105 (how the audience of a charging token begins)

_PARTS: Final = re.compile(r"[/:#?&=,; ]")
"""The separators of a subject's parts: `driver/42`."""

Pseudonym = Callable[[str], str]
"""Matches the pseudonym that replaces an erased recipient's id: 32 hex digits."""


class Erasure(Private, frozen=True, kw_only=True):
    """The erasure of one person. `id` is their pseudonym, `names` their id and then their charging tokens."""

    id: str
    names: list[str]
    requested_at: int

    @property
    def known(self) -> set[str]:
        """All identifiers of the person in data: their names, and the pseudonym left by an earlier erasure."""
        return {*self.names, self.id, *(audience("token", token) for token in self.names[1:])}

    @property
    def until(self) -> int:
        """The instant up to which rows are erased; later rows are about a person who has come back."""
        return self.requested_at + SKEW


async def pseudonym(database: Database) -> Pseudonym:
    """A function from ids to pseudonyms: stable within one database, different in every other."""
    return partial(_pseudonym, await secrets.get(database, "erased"))


def _pseudonym(secret: bytes, recipient_id: str) -> str:
    return hmac.digest(secret, recipient_id.encode(), "sha256").hex()[: KEY_BITS // 4]


async def begin(database: Database, ids: Collection[str], actor: str, now: int) -> None:
    """Delete people's own rows, and have the clock sweep up the rest.

    From here on nothing more is sent to them. Erasure may be asked for again, and for an id that was never written:
    then only the sweep happens. People of several buckets are erased one bucket after the other; where one doesn't
    answer (StoreUnavailable), those of others may be erased, and all are asked for again.
    """
    for there, part in buckets.by_bucket(database, ids).items():
        await _begin(there, part, actor, now)


async def _begin(database: Database, ids: Collection[str], actor: str, now: int) -> None:
    key = await pseudonym(database)
    keys = {id_: key(id_) for id_ in ids}
    owners = {"rows": [{"recipient_id": id_} for id_ in sorted(keys)]}

    async def work(connection: AsyncConnection) -> None:
        dialect = database.dialect
        await connection.execute(_lock(dialect), {"rows": rows.names(sorted(keys))})
        known = {id_: [id_] for id_ in keys}
        for row in await connection.execute(_tokens(dialect), owners):
            known[row.recipient_id].append(row.audience.removeprefix(_TOKEN))
        before = await connection.execute(_before(dialect), {"rows": rows.ids(keys.values())})
        earlier = {row.id: msgspec.json.decode(row.names, type=list[str]) for row in before}
        wanted = [
            {
                "id": keys[id_],
                "names": list(dict.fromkeys([*told, *earlier.get(keys[id_], [])])),
                "requested_at": now,
                "next_check_at": now,
            }
            for id_, told in known.items()
        ]
        await connection.execute(_request(dialect), {"rows": wanted})
        for delete in _delete(dialect):
            await connection.execute(delete, owners)
        entries = [AuditEntry(at=now, actor=actor, action="recipient.erase", subject=each) for each in keys.values()]
        await audit.add(connection, dialect, entries)

    await database.write(work)


async def due(database: Database, now: int, again_at: int, limit: int) -> list[Erasure]:
    """Erasures that are due for a sweep; the clock that gets one has it until `again_at`."""
    query = sa.select(erasure).where(erasure.c.next_check_at <= now).order_by(erasure.c.next_check_at).limit(limit)

    async def work(connection: AsyncConnection) -> list[Erasure]:
        found = [
            Erasure(id=row.id, names=msgspec.json.decode(row.names), requested_at=row.requested_at)
            for row in await connection.execute(query.with_for_update(skip_locked=True))
        ]
        if found:
            parameters = {"rows": rows.ids(each.id for each in found), "again_at": again_at}
            await connection.execute(_take(database.dialect), parameters)
        return found

    return await database.write(work)


async def settle(database: Database, swept: Sequence[Erasure], again_at: int | None) -> None:
    """Have erasures swept once more at `again_at`, or close them and delete their names.

    An erasure that was asked for again meanwhile stays as it is.
    """
    told = [
        {
            "id": each.id,
            "requested_at": each.requested_at,
            "names": each.names if again_at else [],
            "next_check_at": again_at,
        }
        for each in swept
    ]

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(_settle(database.dialect), {"rows": told})

    if told:
        await database.write(work)


async def forget_events(
    connection: AsyncConnection, dialect: str, ids: Collection[str], erased: Sequence[Erasure], *, told: bool
) -> None:
    """Remove these people from events.

    `told` says that the events were told to them; else only those count that name them. Of an event that nobody else
    was told of no data is left; in any other, and in one that is still to be decided, a pseudonym takes their place.
    """
    if not ids:
        return
    parameters = {"rows": rows.ids(sorted(ids)), "erased": [each.names[0] for each in erased]}
    found = [_forgotten(row, erased, told) for row in await connection.execute(_events(dialect), parameters)]
    if changed := [each for each in found if each is not None]:
        await connection.execute(_write_events(dialect), {"rows": changed})


def _forgotten(row: Any, erased: Sequence[Erasure], told: bool) -> dict[str, Any] | None:
    data = msgspec.json.decode(row.data)
    whose = [each for each in erased if row.accepted_at <= each.until and names(data, each.known)]
    if not whose and not told:
        return None
    if row.decided and not row.shared:
        return {"id": row.id, "data": {}, "subject": None, "source_id": ""}
    for each in whose:
        data = redact(data, each.known, each.id)
    parts = {row.subject, *_PARTS.split(row.subject or "")}
    named = any(name in parts for each in erased for name in each.names)
    if not whose and not named:
        return None
    return {"id": row.id, "data": data, "subject": None if named else row.subject, "source_id": row.source_id}


@cache
def _lock(dialect: str) -> sa.Select[tuple[str]]:
    return rows.locked(dialect, [recipient.c.id])


@cache
def _tokens(dialect: str) -> sa.Select[tuple[str, str]]:
    owners = rows.batch(dialect, [membership.c.recipient_id])
    return (
        sa.select(membership.c.recipient_id, membership.c.audience)
        .join(owners, owners.c.recipient_id == membership.c.recipient_id)
        .where(membership.c.audience.startswith(_TOKEN))
        .order_by(membership.c.audience)
    )


@cache
def _before(dialect: str) -> sa.Select[tuple[str, str]]:
    return rows.locked(dialect, [erasure.c.id, erasure.c.names])


@cache
def _request(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, erasure, list(erasure.c))


@cache
def _delete(dialect: str) -> list[sa.Delete]:
    owners = rows.batch(dialect, [membership.c.recipient_id])
    whose = (
        device.c.recipient_id, membership.c.recipient_id, preference_change.c.recipient_id,
        delivery_note.c.recipient_id, availability_alert.c.recipient_id, recipient.c.id,
    )  # fmt: skip
    return [sa.delete(column.table).where(column.in_(sa.select(owners.c.recipient_id))) for column in whose]


@cache
def _take(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [erasure.c.id])
    return sa.update(erasure).where(erasure.c.id == wanted.c.id).values(next_check_at=sa.bindparam("again_at"))


@cache
def _settle(dialect: str) -> sa.Update:
    told = rows.batch(dialect, list(erasure.c))
    return (
        sa.update(erasure)
        .where(erasure.c.id == told.c.id, erasure.c.requested_at == told.c.requested_at)
        .values(names=told.c.names, next_check_at=told.c.next_check_at)
    )


@cache
def _events(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [event.c.id])
    others = (
        sa.select(sa.literal(1))
        .select_from(decision)
        .join(recipient, recipient.c.id == decision.c.recipient_id)
        .where(
            decision.c.event_id == event.c.id,
            recipient.c.id.not_in(sa.bindparam("erased", expanding=True)),
        )
    )
    decided = sa.exists().where(plan.c.event_id == event.c.id)
    columns = ("id", "data", "subject", "source_id", "accepted_at")
    query = (
        sa.select(*(event.c[name] for name in columns), decided.label("decided"), others.exists().label("shared"))
        .select_from(rows.lookup(wanted, event, wanted.c.id == event.c.id))
        .order_by(event.c.id)
    )
    return rows.locking(query, dialect, event)


@cache
def _write_events(dialect: str) -> sa.Update:
    columns = ("data", "subject", "source_id")
    left = rows.batch(dialect, [event.c.id, *(event.c[name] for name in columns)])
    return sa.update(event).where(event.c.id == left.c.id).values({name: left.c[name] for name in columns})
