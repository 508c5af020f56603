"""Subscriptions as rows: each is claimed under a token while its lease lasts, and moved on under that token."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.changes import Place
from notifier.domain.subscriptions import Subscription, SubscriptionDetails
from notifier.store.core import audit
from notifier.store.core.audit import AuditEntry
from notifier.store.core.change_log import subscription
from notifier.store.core.database import Database

DOCUMENTS: Final = ("states", "types", "sources")
PLACES: Final = ("place", "until")

Change = Callable[[Subscription], Mapping[str, Any]]
"""The members of a subscription that change, as its row is now; none is no change."""


async def get(database: Database, id_: str) -> Subscription | None:
    """A subscription; None where there is none with this id."""

    async def work(connection: AsyncConnection) -> Subscription | None:
        row = (await connection.execute(_one(id_))).first()
        return None if row is None else _read(row)

    return await database.read(work)


async def every(database: Database) -> list[Subscription]:
    """All subscriptions, by their ids."""

    async def work(connection: AsyncConnection) -> list[Subscription]:
        return [_read(row) for row in await connection.execute(sa.select(subscription).order_by(subscription.c.id))]

    return await database.read(work)


async def add(database: Database, new: Subscription, actor: str) -> bool:
    """Write a new subscription; False where there is one with its id."""

    async def work(connection: AsyncConnection) -> bool:
        if (await connection.execute(_one(new.id).with_for_update())).first() is not None:
            return False
        told = msgspec.structs.asdict(new)
        details = msgspec.structs.asdict(told.pop("details"))
        await connection.execute(sa.insert(subscription).values(_row(told | details)))
        await _tell(connection, database, new.created_at, actor, "created", new.id, "")
        return True

    return await database.write(work)


async def change(
    database: Database, id_: str, changed: Change, now: int, actor: str, action: str, detail: str = ""
) -> Subscription | None:
    """Change a subscription by hand, and take it from whoever holds it; returns it as it was, None where there is
    none."""

    async def work(connection: AsyncConnection) -> Subscription | None:
        row = (await connection.execute(_one(id_).with_for_update())).first()
        if row is None:
            return None
        held = _read(row)
        values = _row(changed(held)) | {"lease_token": None, "due_at": now}
        await connection.execute(sa.update(subscription).where(subscription.c.id == id_).values(values))
        await _tell(connection, database, now, actor, action, id_, detail)
        return held

    return await database.write(work)


async def delete(database: Database, id_: str, now: int, actor: str) -> bool:
    """Delete a subscription; False where there was none."""

    async def work(connection: AsyncConnection) -> bool:
        gone = await connection.execute(sa.delete(subscription).where(subscription.c.id == id_))
        if gone.rowcount:
            await _tell(connection, database, now, actor, "deleted", id_, "")
        return bool(gone.rowcount)

    return await database.write(work)


async def due(database: Database, now: int) -> dict[str, Place]:
    """The subscriptions that may be told something now, and how far each has got."""
    query = sa.select(subscription.c.id, subscription.c.place).where(*_is_due(now))

    async def work(connection: AsyncConnection) -> dict[str, Place]:
        return {row.id: msgspec.json.decode(row.place, type=Place) for row in await connection.execute(query)}

    return await database.read(work)


async def claim(database: Database, id_: str, token: str, now: int, lease_ends: int) -> Subscription | None:
    """Claim a subscription that is due, under a token until its lease ends; None where somebody else has it, or it
    isn't due."""

    async def work(connection: AsyncConnection) -> Subscription | None:
        own = sa.update(subscription).where(subscription.c.id == id_, *_is_due(now))
        taken = await connection.execute(own.values(lease_token=token, due_at=lease_ends))
        if not taken.rowcount:
            return None
        row = (await connection.execute(_one(id_))).first()
        return None if row is None else _read(row)

    return await database.write(work)


async def move_on(database: Database, id_: str, token: str, due_at: int, *, held: bool, **changed: Any) -> bool:
    """Change a subscription that is held under a token, and hold it on or let it go until it is due; False where it
    is held no more."""
    own = sa.update(subscription).where(subscription.c.id == id_, subscription.c.lease_token == token)
    values = _row(changed) | {"due_at": due_at, "lease_token": token if held else None}

    async def work(connection: AsyncConnection) -> bool:
        return bool((await connection.execute(own.values(values))).rowcount)

    return await database.write(work)


async def pause(database: Database, id_: str, token: str, now: int, **changed: Any) -> bool:
    """Pause a subscription that is held under a token, and tell the audit why; False where it is held no more."""
    own = sa.update(subscription).where(subscription.c.id == id_, subscription.c.lease_token == token)
    values = _row(changed) | {"paused_at": now, "lease_token": None}

    async def work(connection: AsyncConnection) -> bool:
        if not (await connection.execute(own.values(values))).rowcount:
            return False
        await _tell(connection, database, now, "notifier", "paused", id_, changed["paused"])
        return True

    return await database.write(work)


async def _tell(
    connection: AsyncConnection, database: Database, now: int, actor: str, action: str, id_: str, detail: str
) -> None:
    entry = AuditEntry(at=now, actor=actor, action=f"subscription.{action}", subject=id_, detail=detail)
    await audit.add(connection, database.dialect, [entry])


def _is_due(now: int) -> Sequence[sa.ColumnElement[bool]]:
    return subscription.c.paused.is_(None), subscription.c.due_at <= now


def _one(id_: str) -> sa.Select[Any]:
    return sa.select(subscription).where(subscription.c.id == id_)


def _row(members: Mapping[str, Any]) -> dict[str, Any]:
    """Members of a subscription as columns."""
    return {name: _encoded(value) if name in (*DOCUMENTS, *PLACES) else value for name, value in members.items()}


def _encoded(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _read(row: Any) -> Subscription:
    columns = row._asdict()
    columns |= {name: msgspec.json.decode(columns[name]) for name in DOCUMENTS}
    columns |= {name: msgspec.json.decode(columns[name], type=Place) for name in PLACES if columns[name] is not None}
    names = SubscriptionDetails.__struct_fields__
    details = msgspec.convert({name: columns.pop(name) for name in names}, SubscriptionDetails)
    del columns["lease_token"]
    return Subscription(**columns, details=details)
