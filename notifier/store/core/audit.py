"""The audit: who did what by hand, and when. Rows are only ever added, in the transaction of the change they record."""

import secrets
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import paging, rows
from notifier.store.core.database import Database
from notifier.store.core.paging import Page, PageKey
from notifier.store.core.staff import audit


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One action on one subject (an id or a user). `actor` is a key's name, `cli:<user>` or `console:<user>`; `detail`
    holds no personal data."""

    id: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    at: int
    actor: str
    action: str
    subject: str
    detail: str = ""


async def add(connection: AsyncConnection, dialect: str, entries: Sequence[AuditEntry]) -> int:
    """Write audit entries; returns how many of their ids were new."""
    if not entries:
        return 0
    return (await connection.execute(_insert(dialect), {"rows": entries})).rowcount


async def has(database: Database, id_: str) -> bool:
    """Whether the audit has an entry with this id."""
    query = sa.select(audit.c.id).where(audit.c.id == id_)

    async def work(connection: AsyncConnection) -> bool:
        return (await connection.execute(query)).first() is not None

    return await database.read(work)


async def known(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> set[str]:
    """Which of these ids the audit has entries with."""
    if not ids:
        return set()
    return {row.id for row in await connection.execute(_known(dialect), {"rows": rows.ids(ids)})}


async def tell(database: Database, entry: AuditEntry) -> None:
    """Record in the audit an action that changes no row."""

    async def work(connection: AsyncConnection) -> None:
        await add(connection, database.dialect, [entry])

    await database.write(work)


async def find(database: Database, actor: str | None, after: PageKey | None, limit: int) -> Page[AuditEntry]:
    """A page of audit entries, newest first, by one actor or by all."""
    only = [] if actor is None else [audit.c.actor == actor]
    order = audit.c.at, audit.c.id
    query = _read(database.dialect)
    return await paging.find(database, AuditEntry, query, order, only=only, after=after, limit=limit)


async def of(database: Database, subject: str, since: int, until: int, limit: int) -> Page[AuditEntry]:
    """What was done to a subject from an instant to another, newest first: a look through that part of the audit."""
    within = audit.c.at >= since, audit.c.at <= until
    order = audit.c.at, audit.c.id
    only = [audit.c.subject == subject]
    query = _read(database.dialect)
    return await paging.find(database, AuditEntry, query, order, within=within, only=only, after=None, limit=limit)


async def count(database: Database, actor: str, action: str, since: int) -> int:
    """How often an actor did something lately: a range at the end of one index."""
    query = sa.select(sa.func.count()).where(audit.c.at > since, audit.c.actor == actor, audit.c.action == action)

    async def work(connection: AsyncConnection) -> int:
        return (await connection.execute(query)).scalar_one()

    return await database.read(work)


@cache
def _read(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [audit.c.id])
    found = rows.lookup(wanted, audit, audit.c.id == wanted.c.id)
    return sa.select(audit).select_from(found).order_by(audit.c.at.desc(), audit.c.id.desc())


@cache
def _known(dialect: str) -> sa.Select[tuple[str]]:
    wanted = rows.batch(dialect, [audit.c.id])
    return sa.select(audit.c.id).select_from(rows.lookup(wanted, audit, audit.c.id == wanted.c.id))


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, audit, [audit.c[name] for name in AuditEntry.__struct_fields__])
