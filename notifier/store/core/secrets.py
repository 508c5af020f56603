"""Secrets that the engine generates for itself: one per name and database, created by the first process that asks."""

import secrets
from typing import Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import secret

BYTES: Final = 32
"""Bytes of a key: as many as SHA-256 returns; a longer key makes an HMAC no safer."""

_known: Final[WeakKeyDictionary[Database, dict[str, bytes]]] = WeakKeyDictionary()


async def get(database: Database, name: str) -> bytes:
    """The secret of this name, created where there is none and never changed; a process reads it once."""
    known = _known.setdefault(database, {})
    if name not in known:
        known[name] = bytes.fromhex(await _read(database, name) or await _make(database, name))
    return known[name]


async def find(database: Database, name: str) -> bytes | None:
    """The secret of this name; None where there is none."""
    found = await _read(database, name)
    return None if found is None else bytes.fromhex(found)


async def _read(database: Database, name: str) -> str | None:
    async def work(connection: AsyncConnection) -> str | None:
        return (await connection.execute(sa.select(secret.c.value).where(secret.c.name == name))).scalar()

    return await database.read(work)


async def _make(database: Database, name: str) -> str:
    row = {"name": name, "value": secrets.token_hex(BYTES)}

    async def work(connection: AsyncConnection) -> str:
        # If two processes create the key at once, the second waits for the first and then reads its key.
        statement = rows.insert(database.dialect, secret, list(secret.c))
        await connection.execute(statement, {"rows": [row]})
        found: str = (await connection.execute(sa.select(secret.c.value).where(secret.c.name == name))).scalar_one()
        return found

    return await database.write(work)
