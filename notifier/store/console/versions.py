"""Versions of the texts, which never change once published, and one draft per type.

What people do by hand is recorded in the audit in the same transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import audit, rows
from notifier.store.core.database import Database
from notifier.store.core.staff import template_draft, template_version


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a type's texts: `wording` is its texts by locale as JSON, `origin` their source: `shipped`,
    `console`, `import`, or `rollback:3`."""

    type: str
    number: int
    wording: msgspec.Raw
    origin: str
    published_at: int
    actor: str
    why: str


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A draft: the version it is based on, and how often it has been saved since."""

    type: str
    wording: msgspec.Raw
    based_on: int
    revision: int
    updated_at: int
    actor: str


async def live(database: Database) -> dict[str, int]:
    """The newest version of each type: the version used for sending."""
    query = sa.select(template_version.c.type, sa.func.max(template_version.c.number).label("number"))

    async def work(connection: AsyncConnection) -> dict[str, int]:
        found = await connection.execute(query.group_by(template_version.c.type))
        return {row.type: row.number for row in found}

    return await database.read(work)


async def get(database: Database, type_: str, number: int) -> Version | None:
    """A version of a type's texts; None where there is none."""
    query = sa.select(template_version).where(template_version.c.type == type_, template_version.c.number == number)

    async def work(connection: AsyncConnection) -> Version | None:
        row = (await connection.execute(query)).first()
        return None if row is None else _version(row)

    return await database.read(work)


async def every(database: Database, type_: str) -> list[Version]:
    """All versions of a type, newest first."""
    query = sa.select(template_version).where(template_version.c.type == type_)

    async def work(connection: AsyncConnection) -> list[Version]:
        found = await connection.execute(query.order_by(template_version.c.number.desc()))
        return [_version(row) for row in found]

    return await database.read(work)


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """When a version of a type's texts was published, by whom and why."""

    number: int
    published_at: int
    actor: str
    why: str


async def published(database: Database, type_: str, since: int, until: int) -> list[Publication]:
    """The versions of a type published from `since` to before `until`, oldest first, without their texts."""
    told = [template_version.c[name] for name in Publication.__struct_fields__]
    at = template_version.c.published_at
    query = sa.select(*told).where(template_version.c.type == type_, at >= since, at < until)

    async def work(connection: AsyncConnection) -> list[Publication]:
        found = await connection.execute(query.order_by(template_version.c.number))
        return [rows.read(row, Publication) for row in found]

    return await database.read(work)


async def ship(database: Database, new: Sequence[Version]) -> int:
    """Write versions that ship with the program; returns how many were new."""

    async def work(connection: AsyncConnection) -> int:
        return await _add(connection, database.dialect, new)

    return await database.write(work) if new else 0


async def publish(database: Database, new: Version, drafted: int | None) -> bool:
    """Write a new version; False where its number is taken.

    The draft it was published from is deleted in the same transaction if it is still at revision `drafted`; a draft
    saved since stays.
    """
    written = _revision(new.type, drafted or 0)

    async def work(connection: AsyncConnection) -> bool:
        if await _add(connection, database.dialect, [new]) == 0:
            return False
        await connection.execute(sa.delete(template_draft).where(written))
        told = f"version {new.number}, {new.origin}"
        await _tell(connection, database.dialect, new.published_at, new.actor, "text.publish", new.type, told)
        return True

    return await database.write(work)


async def draft(database: Database, type_: str) -> Draft | None:
    """The draft of a type."""

    async def work(connection: AsyncConnection) -> Draft | None:
        row = (await connection.execute(sa.select(template_draft).where(template_draft.c.type == type_))).first()
        return None if row is None else _draft(row)

    return await database.read(work)


async def drafts(database: Database) -> dict[str, Draft]:
    """All drafts by type."""

    async def work(connection: AsyncConnection) -> dict[str, Draft]:
        return {row.type: _draft(row) for row in await connection.execute(sa.select(template_draft))}

    return await database.read(work)


async def save_draft(database: Database, new: Draft) -> bool:
    """Write a draft over the revision before it; False where somebody else has saved another meanwhile."""
    values = _columns(new)

    async def work(connection: AsyncConnection) -> bool:
        if new.revision == 1:
            statement = rows.insert(database.dialect, template_draft, list(template_draft.c))
            saved = (await connection.execute(statement, {"rows": [new]})).rowcount == 1
        else:
            change = sa.update(template_draft).where(_revision(new.type, new.revision - 1))
            saved = (await connection.execute(change.values(values))).rowcount == 1
        if saved:
            told = f"revision {new.revision}"
            await _tell(connection, database.dialect, new.updated_at, new.actor, "text.draft", new.type, told)
        return saved

    return await database.write(work)


async def drop_draft(database: Database, type_: str, revision: int, actor: str, now: int) -> bool:
    """Delete a draft; False where it is no longer at this revision."""

    async def work(connection: AsyncConnection) -> bool:
        gone = (await connection.execute(sa.delete(template_draft).where(_revision(type_, revision)))).rowcount == 1
        if gone:
            await _tell(connection, database.dialect, now, actor, "text.discard", type_, f"revision {revision}")
        return gone

    return await database.write(work)


def _revision(type_: str, revision: int) -> sa.ColumnElement[bool]:
    return sa.and_(template_draft.c.type == type_, template_draft.c.revision == revision)


async def _add(connection: AsyncConnection, dialect: str, new: Sequence[Version]) -> int:
    statement = rows.insert(dialect, template_version, list(template_version.c))
    return (await connection.execute(statement, {"rows": new})).rowcount


async def _tell(
    connection: AsyncConnection, dialect: str, now: int, actor: str, action: str, type_: str, detail: str
) -> None:
    entry = audit.AuditEntry(at=now, actor=actor, action=action, subject=type_, detail=detail)
    await audit.add(connection, dialect, [entry])


def _columns(new: Draft) -> Mapping[str, Any]:
    return {**msgspec.structs.asdict(new), "wording": bytes(new.wording).decode()}


def _version(row: sa.Row[Any]) -> Version:
    return Version(
        type=row.type, number=row.number, wording=msgspec.Raw(row.wording.encode()), origin=row.origin,
        published_at=row.published_at, actor=row.actor, why=row.why,
    )  # fmt: skip


def _draft(row: sa.Row[Any]) -> Draft:
    return Draft(
        type=row.type, wording=msgspec.Raw(row.wording.encode()), based_on=row.based_on, revision=row.revision,
        updated_at=row.updated_at, actor=row.actor,
    )  # fmt: skip
