"""Versions of the texts, which never change once they are published, and one draft a type."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store import rows
from notifier.store.database import Database
from notifier.store.schema import template_draft, template_version


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version: `wording` is its texts by locale as JSON, `origin` where they are from: `shipped`, `console`,
    `import`, or `rollback:3`."""

    type: str
    number: int
    wording: msgspec.Raw
    origin: str
    published_at: int
    actor: str
    why: str


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A draft: the version that it was begun from, and how often it has been saved since."""

    type: str
    wording: msgspec.Raw
    based_on: int
    revision: int
    updated_at: int
    actor: str


async def live(database: Database) -> dict[str, int]:
    """The newest version of each type: the one that is sent with."""
    query = sa.select(template_version.c.type, sa.func.max(template_version.c.number).label("number"))

    async def work(connection: AsyncConnection) -> dict[str, int]:
        found = await connection.execute(query.group_by(template_version.c.type))
        return {row.type: row.number for row in found}

    return await database.read(work)


async def get(database: Database, type_: str, number: int) -> Version | None:
    """One version; None where there is none."""
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


async def add(database: Database, new: Sequence[Version], *, drop_drafts: bool = False) -> int:
    """Publish versions; how many of them are there now for the first time. With `drop_drafts` their drafts are gone in
    the same moment, where a version was added."""

    async def work(connection: AsyncConnection) -> int:
        statement = rows.insert(database.dialect, template_version, list(template_version.c))
        added = (await connection.execute(statement, {"rows": rows.encode(new)})).rowcount
        if drop_drafts and added == len(new):
            types = [each.type for each in new]
            await connection.execute(sa.delete(template_draft).where(template_draft.c.type.in_(types)))
        return added

    return await database.write(work) if new else 0


async def draft(database: Database, type_: str) -> Draft | None:
    """The draft of a type."""

    async def work(connection: AsyncConnection) -> Draft | None:
        row = (await connection.execute(sa.select(template_draft).where(template_draft.c.type == type_))).first()
        return None if row is None else _draft(row)

    return await database.read(work)


async def drafts(database: Database) -> dict[str, Draft]:
    """All drafts, by type."""

    async def work(connection: AsyncConnection) -> dict[str, Draft]:
        return {row.type: _draft(row) for row in await connection.execute(sa.select(template_draft))}

    return await database.read(work)


async def save_draft(database: Database, new: Draft) -> bool:
    """Write a draft over its revision before; False where somebody else has saved another meanwhile."""
    values = _columns(new)

    async def work(connection: AsyncConnection) -> bool:
        if new.revision == 1:
            statement = rows.insert(database.dialect, template_draft, list(template_draft.c))
            return (await connection.execute(statement, {"rows": rows.encode([new])})).rowcount == 1
        change = sa.update(template_draft).where(
            template_draft.c.type == new.type, template_draft.c.revision == new.revision - 1
        )
        return (await connection.execute(change.values(values))).rowcount == 1

    return await database.write(work)


async def drop_draft(database: Database, type_: str) -> None:
    """Throw a draft away."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.delete(template_draft).where(template_draft.c.type == type_))

    await database.write(work)


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
