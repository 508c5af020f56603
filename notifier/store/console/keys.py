"""API keys: only the hash of the secret is kept."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.keys import ApiKey
from notifier.store.core import audit
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database
from notifier.store.core.staff import api_key


async def add(database: Database, key: ApiKey, actor: str | None = None) -> None:
    """Write a new API key, with the user who created it where there is one."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.insert(api_key).values(_values(key)))
        if actor is not None:
            detail = " ".join([*sorted(key.scopes), *(["for tests"] if key.test else [])])
            entry = _entry(key.created_at, actor, "key.create", key.id, detail)
            await audit.add(connection, database.dialect, [entry])

    await database.write(work)


async def replace(database: Database, old: ApiKey, successor: ApiKey, until: int, actor: str) -> bool:
    """Write a key in the place of another, which expires at an instant if not before; False where another key has
    taken its place, or it is no longer good."""
    now = successor.created_at
    good = sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now)
    ends = sa.case((api_key.c.expires_at < until, api_key.c.expires_at), else_=until)
    update = (
        sa.update(api_key)
        .where(api_key.c.id == old.id, api_key.c.replaced_by.is_(None), api_key.c.revoked_at.is_(None), good)
        .values(replaced_by=successor.id, expires_at=ends)
    )

    async def work(connection: AsyncConnection) -> bool:
        if (await connection.execute(update)).rowcount != 1:
            return False
        await connection.execute(sa.insert(api_key).values(_values(successor)))
        entry = _entry(now, actor, "key.rotate", old.id, f"replaced by {successor.id}")
        await audit.add(connection, database.dialect, [entry])
        return True

    return await database.write(work)


async def find(database: Database, id_: str) -> ApiKey | None:
    """The API key with this id, revoked or not."""

    async def work(connection: AsyncConnection) -> ApiKey | None:
        row = (await connection.execute(sa.select(api_key).where(api_key.c.id == id_))).first()
        return None if row is None else _key(row)

    return await database.read(work)


async def line(database: Database, id_: str) -> list[ApiKey]:
    """A key and those of its line, oldest first: whose place it took, and who took its own. They have the same scopes
    and bounds."""

    async def work(connection: AsyncConnection) -> list[ApiKey]:
        return [_key(row) for row in await connection.execute(_LINE, {"key_id": id_})]

    return await database.read(work)


async def every(database: Database) -> list[ApiKey]:
    """All API keys, oldest first."""

    async def work(connection: AsyncConnection) -> list[ApiKey]:
        return [
            _key(row)
            for row in await connection.execute(sa.select(api_key).order_by(api_key.c.created_at, api_key.c.id))
        ]

    return await database.read(work)


async def revoke(database: Database, id_: str, now: int, actor: str) -> bool:
    """Revoke an API key; False where there was none to revoke."""

    async def work(connection: AsyncConnection) -> bool:
        statement = sa.update(api_key).where(api_key.c.id == id_, api_key.c.revoked_at.is_(None)).values(revoked_at=now)
        if (await connection.execute(statement)).rowcount != 1:
            return False
        await audit.add(connection, database.dialect, [_entry(now, actor, "key.revoke", id_)])
        return True

    return await database.write(work)


async def note_use(database: Database, id_: str, now: int) -> None:
    """Record the instant at which an API key was last used."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.update(api_key).where(api_key.c.id == id_).values(used_at=now))

    await database.write(work)


def _key(row: sa.Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id, name=row.name, secret_hash=row.secret_hash, scopes=frozenset(row.scopes.split()),
        created_at=row.created_at, revoked_at=row.revoked_at, expires_at=row.expires_at, used_at=row.used_at,
        sources=_tuple(row.sources), types=_tuple(row.types), rate=row.rate, parties=_tuple(row.parties),
        daily=row.daily,
        test=bool(row.test), replaced_by=row.replaced_by,
    )  # fmt: skip


def _values(key: ApiKey) -> dict[str, object]:
    lists = {name: _list(getattr(key, name)) for name in ("sources", "types", "parties")}
    return {**msgspec.structs.asdict(key), **lists, "scopes": " ".join(sorted(key.scopes)), "test": int(key.test)}


def _entry(now: int, actor: str, action: str, id_: str, detail: str = "") -> AuditEntry:
    return AuditEntry(at=now, actor=actor, action=action, subject=id_, detail=detail)


def _list(names: tuple[str, ...]) -> str | None:
    return msgspec.json.encode(names).decode() if names else None


def _tuple(kept: str | None) -> tuple[str, ...]:
    return msgspec.json.decode(kept, type=tuple[str, ...]) if kept else ()


def _line() -> sa.Select[Any]:
    names = (api_key.c.id, api_key.c.replaced_by)
    found = sa.select(*names).where(api_key.c.id == sa.bindparam("key_id")).cte("line", recursive=True)
    beside = sa.or_(api_key.c.id == found.c.replaced_by, api_key.c.replaced_by == found.c.id)
    found = found.union(sa.select(*names).join(found, beside))
    return sa.select(api_key).join(found, found.c.id == api_key.c.id).order_by(api_key.c.created_at, api_key.c.id)


_LINE = _line()
