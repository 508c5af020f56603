"""Signing in to the console: sessions, and the attempts at a password that are left.

Attempts are rows rather than a process's memory, so several web processes allow no more of them than one. An attempt is
taken before the password is checked: a hundred simultaneous guesses get no more than the attempts left.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import make_id
from notifier.domain.users import ABSOLUTE, IDLE, LOCK, ConsoleSession
from notifier.store.core import audit, rows
from notifier.store.core.database import Database
from notifier.store.core.staff import console_guess, console_session, console_user

NOBODY = "(nobody)"
"""The audit log's subject for a name that no user has: the typed text may be a password."""


async def take_try(database: Database, limits: Mapping[str, int], now: int) -> bool:
    """Take one attempt from each of these keys (a guessed name's or an address's); False where a key has none left."""
    keys = sorted(limits)

    async def work(connection: AsyncConnection) -> bool:
        await connection.execute(sa.delete(console_guess).where(console_guess.c.last_at <= now - LOCK))
        new = [{"id": key, "tries": 0, "last_at": now} for key in keys]
        await connection.execute(_insert(database.dialect), {"rows": new})
        left = True
        for key in keys:
            taken = (
                sa.update(console_guess)
                .where(console_guess.c.id == key, console_guess.c.tries < limits[key])
                .values(tries=console_guess.c.tries + 1, last_at=now)
            )
            left = (await connection.execute(taken)).rowcount == 1 and left
        return left

    return await database.write(work)


async def forgive(database: Database, name: str) -> None:
    """Give a name all its attempts back."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.delete(console_guess).where(console_guess.c.id == name_key(name)))

    await database.write(work)


def name_key(name: str) -> str:
    """The key under which a name's attempts are counted."""
    return make_id("guess", "name", name)


def address_key(address: str) -> str:
    """The key under which an address's attempts are counted."""
    return make_id("guess", "address", address)


async def begin(database: Database, session: ConsoleSession, address: str) -> None:
    """Write a session, give its user all attempts and its address one attempt back, and delete expired sessions."""

    async def work(connection: AsyncConnection) -> None:
        now = session.created_at
        await connection.execute(sa.delete(console_session).where(_over(now)))
        await connection.execute(sa.insert(console_session).values(_values(session)))
        signed_in = sa.update(console_user).where(console_user.c.name == session.user).values(signed_in_at=now)
        await connection.execute(signed_in)
        await connection.execute(sa.delete(console_guess).where(console_guess.c.id == name_key(session.user)))
        given_back = sa.update(console_guess).where(console_guess.c.id == address_key(address))
        await connection.execute(given_back.values(tries=console_guess.c.tries - 1))
        await _tell(connection, database.dialect, now, "user.sign_in", session.user)

    await database.write(work)


async def record_failure(database: Database, user: str | None, now: int) -> None:
    """Record a wrong password in the audit; `user` is None where no user has that name."""

    async def work(connection: AsyncConnection) -> None:
        await _tell(connection, database.dialect, now, "user.sign_in_failed", user or NOBODY)

    await database.write(work)


async def find(database: Database, id_hash: str, now: int) -> ConsoleSession | None:
    """The session with this hash, unless it has expired."""
    query = (
        sa.select(*(console_session.c[name] for name in ("id_hash", "user", "created_at", "used_at")))
        .add_columns(console_user.c.role)
        .join(console_user, console_user.c.name == console_session.c.user)
        .where(console_session.c.id_hash == id_hash, ~_over(now), console_user.c.disabled_at.is_(None))
    )

    async def work(connection: AsyncConnection) -> ConsoleSession | None:
        row = (await connection.execute(query)).first()
        return None if row is None else rows.read(row, ConsoleSession)

    return await database.read(work)


async def touch(database: Database, id_hash: str, now: int) -> None:
    """Record that a session is in use."""

    async def work(connection: AsyncConnection) -> None:
        update = sa.update(console_session).where(console_session.c.id_hash == id_hash).values(used_at=now)
        await connection.execute(update)

    await database.write(work)


async def end(database: Database, session: ConsoleSession, now: int) -> None:
    """End a session."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.delete(console_session).where(console_session.c.id_hash == session.id_hash))
        await _tell(connection, database.dialect, now, "user.sign_out", session.user)

    await database.write(work)


def _over(now: int) -> sa.ColumnElement[bool]:
    return sa.or_(console_session.c.used_at <= now - IDLE, console_session.c.created_at <= now - ABSOLUTE)


def _values(session: ConsoleSession) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(session).items() if name != "role"}


async def _tell(connection: AsyncConnection, dialect: str, now: int, action: str, name: str) -> None:
    entry = audit.AuditEntry(at=now, actor=f"console:{name}", action=action, subject=name)
    await audit.add(connection, dialect, [entry])


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, console_guess, list(console_guess.c))
