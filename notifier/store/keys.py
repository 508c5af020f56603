"""API keys: only the hash of the secret is kept."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.keys import ApiKey
from notifier.store.database import Database
from notifier.store.schema import api_key


async def add(database: Database, key: ApiKey) -> None:
    """Write a new key."""
    values = {
        "id": key.id,
        "name": key.name,
        "secret_hash": key.secret_hash,
        "scopes": " ".join(sorted(key.scopes)),
        "created_at": key.created_at,
    }

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.insert(api_key).values(values))

    await database.write(work)


async def find(database: Database, id_: str) -> ApiKey | None:
    """The key with this id, revoked or not."""

    async def work(connection: AsyncConnection) -> ApiKey | None:
        row = (await connection.execute(sa.select(api_key).where(api_key.c.id == id_))).first()
        return None if row is None else _key(row)

    return await database.read(work)


async def every(database: Database) -> list[ApiKey]:
    """All keys, oldest first."""

    async def work(connection: AsyncConnection) -> list[ApiKey]:
        return [
            _key(row)
            for row in await connection.execute(sa.select(api_key).order_by(api_key.c.created_at, api_key.c.id))
        ]

    return await database.read(work)


async def revoke(database: Database, id_: str, now: int) -> bool:
    """End a key; whether there was one to end."""

    async def work(connection: AsyncConnection) -> bool:
        statement = sa.update(api_key).where(api_key.c.id == id_, api_key.c.revoked_at.is_(None)).values(revoked_at=now)
        return (await connection.execute(statement)).rowcount == 1

    return await database.write(work)


def _key(row: sa.Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id, name=row.name, secret_hash=row.secret_hash, scopes=frozenset(row.scopes.split()),
        created_at=row.created_at, revoked_at=row.revoked_at,
    )  # fmt: skip
