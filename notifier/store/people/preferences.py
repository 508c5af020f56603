"""Preferences: each person's current choices stand on their row, and every change in an append-only history."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.effects import What
from notifier.domain.preferences import (
    Defaults,
    Preferences,
    chosen,
    read_defaults,
    read_preferences,
    rewritten,
    switched_off,
)
from notifier.store.core import audit, choices, effect_sums, rows
from notifier.store.core.audit import AuditEntry
from notifier.store.core.buckets import of_person
from notifier.store.core.database import Database
from notifier.store.core.schema import preference_change, recipient, tenant
from notifier.store.people.locking import Check, anything

Step = Callable[[Preferences], Preferences]
"""A change: from a person's preferences to their new ones."""


class PreferenceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the history: what stood from then on, and who chose it (a key's name, `person`, `sms`)."""

    at: int
    actor: str
    preferences: dict[str, Any]


@of_person
async def get(database: Database, recipient_id: str) -> Preferences | None:
    """A person's preferences; None where there is no such recipient."""
    query = sa.select(recipient.c.preferences).where(recipient.c.id == recipient_id)

    async def work(connection: AsyncConnection) -> Preferences | None:
        document = (await connection.execute(query)).scalar()
        return None if document is None else read_preferences(document)

    return await database.read(work)


@of_person
async def change(
    database: Database, recipient_id: str, step: Step, actor: str, now: int, categories: Mapping[str, str]
) -> Preferences | None:
    """Change a person's preferences by one step; None where there is no such recipient.

    What they switch off is counted of the message that they got last, by the `categories` of notification types.
    Concurrent changes of one person's preferences wait for each other; an error raised by `step` leaves everything as
    it was.
    """

    async def work(connection: AsyncConnection) -> Preferences | None:
        changed = await take_steps(connection, database.dialect, {recipient_id: step}, actor, now)
        if recipient_id not in changed:
            return None
        if off := switched_off(*changed[recipient_id]):
            got = await choices.got_last(connection, database.dialect, [recipient_id], now)
            made = choices.of_choices(What.SWITCHED_OFF, off, got, categories, now)
            await effect_sums.add(connection, database.dialect, made)
        return changed[recipient_id][1]

    return await database.write(work)


async def take_steps(
    connection: AsyncConnection, dialect: str, steps: Mapping[str, Step], actor: str, now: int
) -> dict[str, tuple[Preferences, Preferences]]:
    """Change each of these people's preferences by one step; returns the old and the new ones of those who exist. A
    step that changes nothing leaves no history.

    What is off afterwards is not counted: services tell of people whom they already know like this.
    """
    if not steps:
        return {}
    found = await connection.execute(_before(dialect), {"rows": rows.names(steps)})
    before = {row.id: row.preferences for row in found}
    read = {id_: read_preferences(document) for id_, document in before.items()}
    changed = {id_: (each, steps[id_](each)) for id_, each in read.items()}
    documents = {id_: rewritten(before[id_], after) for id_, (_, after) in changed.items()}
    changes = [
        {"id": secrets.token_hex(16), "recipient_id": id_, "at": now, "actor": actor, "preferences": document}
        for id_, document in documents.items()
        if msgspec.json.decode(before[id_]) != document
    ]
    if changes:
        written = [{"id": each["recipient_id"], "preferences": each["preferences"]} for each in changes]
        await connection.execute(_write(dialect), {"rows": written, "now": now})
        await connection.execute(_remember(dialect), {"rows": changes})
    return changed


@of_person
async def history(database: Database, recipient_id: str, limit: int) -> list[PreferenceEntry]:
    """The latest changes of one person's preferences, newest first."""
    query = (
        sa.select(*(preference_change.c[name] for name in PreferenceEntry.__struct_fields__))
        .where(preference_change.c.recipient_id == recipient_id)
        .order_by(preference_change.c.at.desc(), preference_change.c.id).limit(limit)
    )  # fmt: skip

    async def work(connection: AsyncConnection) -> list[PreferenceEntry]:
        return [
            PreferenceEntry(at=row.at, actor=row.actor, preferences=msgspec.json.decode(row.preferences))
            for row in await connection.execute(query)
        ]

    return await database.read(work)


async def defaults(connection: AsyncConnection, dialect: str, names: Sequence[str]) -> dict[str, Defaults]:
    """The preset preferences of these tenants; tenants without any are left out."""
    if not names:
        return {}
    wanted = {"rows": [{"name": name} for name in names]}
    found = await connection.execute(_defaults(dialect), wanted)
    return {row.name: read_defaults(row.defaults) for row in found}


async def get_defaults(database: Database, name: str) -> Defaults | None:
    """A tenant's preset preferences; None where it has none."""

    async def work(connection: AsyncConnection) -> Defaults | None:
        return (await defaults(connection, database.dialect, [name])).get(name)

    return await database.read(work)


async def put_defaults(
    database: Database, name: str, given: Defaults, actor: str, now: int, check: Check[Defaults] = anything
) -> None:
    """Overwrite a tenant's preset preferences, with an audit record: they apply to all of its people."""
    row = {"name": name, "defaults": chosen(given), "updated_at": now}
    entry = AuditEntry(at=now, actor=actor, action="tenant.put", subject=name)
    before = sa.select(tenant.c.defaults).where(tenant.c.name == name)

    async def work(connection: AsyncConnection) -> None:
        held = await rows.hold(connection, database.dialect, tenant, before, row)
        check(None if held is None else read_defaults(held.defaults))
        document = rewritten(None if held is None else held.defaults, given)
        await connection.execute(_put_defaults(database.dialect), {"rows": [row | {"defaults": document}]})
        await audit.add(connection, database.dialect, [entry])

    await database.write(work)


@cache
def _before(dialect: str) -> sa.Select[tuple[str, str]]:
    return rows.locked(dialect, [recipient.c.id, recipient.c.preferences])


@cache
def _write(dialect: str) -> sa.Update:
    given = rows.batch(dialect, [recipient.c.id, recipient.c.preferences])
    return (
        sa.update(recipient)
        .where(recipient.c.id == given.c.id)
        .values(preferences=given.c.preferences, updated_at=sa.bindparam("now"))
    )


@cache
def _remember(dialect: str) -> sa.Insert:
    return rows.insert(dialect, preference_change, list(preference_change.c))


@cache
def _put_defaults(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, tenant, list(tenant.c))


@cache
def _defaults(dialect: str) -> sa.Select[tuple[str, str]]:
    wanted = rows.batch(dialect, [tenant.c.name])
    return sa.select(tenant.c.name, tenant.c.defaults).join(wanted, wanted.c.name == tenant.c.name)
