"""Console users. Each change is recorded in the audit, in the same transaction."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.users import User
from notifier.store.core import audit, rows
from notifier.store.core.database import Database
from notifier.store.core.staff import console_session, console_user


async def add(database: Database, user: User, actor: str) -> bool:
    """Write a new user; False where the name is taken."""

    async def work(connection: AsyncConnection) -> bool:
        dialect = database.dialect
        if (await connection.execute(_insert(dialect), {"rows": [user]})).rowcount == 0:
            return False
        await audit.add(connection, dialect, [_entry(user.created_at, actor, "user.create", user.name, user.role)])
        return True

    return await database.write(work)


async def find(database: Database, name: str) -> User | None:
    """The user with this name, disabled or not."""

    async def work(connection: AsyncConnection) -> User | None:
        row = (await connection.execute(sa.select(console_user).where(console_user.c.name == name))).first()
        return None if row is None else _user(row)

    return await database.read(work)


async def every(database: Database) -> list[User]:
    """All users by name."""

    async def work(connection: AsyncConnection) -> list[User]:
        return [_user(row) for row in await connection.execute(sa.select(console_user).order_by(console_user.c.name))]

    return await database.read(work)


async def there_are_any(database: Database) -> bool:
    """Whether any user exists."""

    async def work(connection: AsyncConnection) -> bool:
        return (await connection.execute(sa.select(console_user.c.name).limit(1))).first() is not None

    return await database.read(work)


async def change(
    database: Database, name: str, values: Mapping[str, Any], *, action: str, actor: str, now: int, detail: str = "",
    seen: Mapping[str, Any] | None = None,
) -> bool:  # fmt: skip
    """Change a user if they are still as `seen`; whether they were. A new password and disabling the user end their
    sessions."""
    still = [console_user.c[column] == value for column, value in (seen or {}).items()]

    async def work(connection: AsyncConnection) -> bool:
        update = sa.update(console_user).where(console_user.c.name == name, *still).values(**values)
        if (await connection.execute(update)).rowcount == 0:
            return False
        if values.keys() & {"password_hash", "disabled_at"}:
            await connection.execute(sa.delete(console_session).where(console_session.c.user == name))
        await audit.add(connection, database.dialect, [_entry(now, actor, action, name, detail)])
        return True

    return await database.write(work)


def _entry(now: int, actor: str, action: str, name: str, detail: str = "") -> audit.AuditEntry:
    return audit.AuditEntry(at=now, actor=actor, action=action, subject=name, detail=detail)


def _user(row: sa.Row[Any]) -> User:
    return rows.read(row, User)


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, console_user, [console_user.c[name] for name in User.__struct_fields__])
