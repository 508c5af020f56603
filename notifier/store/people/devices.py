"""Devices: where a person's pushes go. Each belongs to one person, the last one who registered it.

Whoever had it in another bucket loses it afterwards, in a transaction of its own; a call that ends in between had no
answer, and is made again. Of two who register one at the same moment both may lose it, until their app does so again:
better than that both keep it, and one hears what is the other's.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.messages import Device
from notifier.domain.recipients import MAX_DEVICES, device_id
from notifier.store.core import buckets, rows
from notifier.store.core.buckets import of_person
from notifier.store.core.database import Database
from notifier.store.core.schema import device, recipient
from notifier.store.people import locking

_COLUMNS = ("id", "recipient_id", "kind", "value", "platform", "last_seen")


@of_person
async def of(database: Database, recipient_id: str) -> list[Device] | None:
    """A person's devices; None where there is no such recipient."""
    known = sa.select(recipient.c.id).where(recipient.c.id == recipient_id)

    async def work(connection: AsyncConnection) -> list[Device] | None:
        if (await connection.execute(known)).first() is None:
            return None
        return await read(connection, recipient_id)

    return await database.read(work)


async def read(connection: AsyncConnection, recipient_id: str) -> list[Device]:
    """A person's devices, in a stable order."""
    query = (
        sa.select(*(device.c[name] for name in _COLUMNS[2:]))
        .where(device.c.recipient_id == recipient_id)
        .order_by(device.c.id)
    )
    return [rows.read(row, Device) for row in await connection.execute(query)]


@of_person
async def register(database: Database, recipient_id: str, value: str, step: Callable[[Device | None], Device]) -> bool:
    """Write the device that `step` makes of the stored one; False where there is no such recipient.

    Beyond `MAX_DEVICES` the least recently used are deleted.
    """

    async def work(connection: AsyncConnection) -> Device | None:
        if not await locking.lock(connection, database.dialect, [recipient_id]):
            return None
        held = await read(connection, recipient_id)
        new = step(next((each for each in held if each.value == value), None))
        others = sorted((each for each in held if each.value != value), key=lambda each: -each.last_seen)
        gone = [each for each in held if each.value == value] + others[MAX_DEVICES - 1 :]
        await _delete(connection, recipient_id, gone)
        await _add(connection, database.dialect, {recipient_id: [new]})
        return new

    new = await database.write(work)
    if new is not None:
        await take_from_others(database, {recipient_id: [new]})
    return new is not None


async def take_from_others(database: Database, owned: Mapping[str, Sequence[Device]]) -> None:
    """Take devices from whoever has them in another bucket than these people, who registered them."""
    if len(database.whole.buckets) == 1:
        return
    where = {device_id(each): buckets.of(database.whole, id_) for id_, theirs in owned.items() for each in theirs}

    async def take(other: Database) -> None:
        ids = sorted(id_ for id_, there in where.items() if there is not other)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_delete_all(database.dialect), {"rows": rows.ids(ids)})

        if ids:
            await other.write(work)

    await buckets.in_each(database.whole, take)


@of_person
async def forget(database: Database, recipient_id: str, value: str) -> None:
    """Delete one device of a person, so that nothing more is sent to it."""

    async def work(connection: AsyncConnection) -> None:
        await locking.lock(connection, database.dialect, [recipient_id])
        held = await read(connection, recipient_id)
        await _delete(connection, recipient_id, [each for each in held if each.value == value])

    await database.write(work)


async def replace(connection: AsyncConnection, dialect: str, owned: Mapping[str, Sequence[Device]]) -> None:
    """Replace all devices of these people, in a transaction that has locked the people."""
    if owned:
        owners = [{"recipient_id": id_} for id_ in owned]
        await connection.execute(_clear(dialect), {"rows": owners})
        await _add(connection, dialect, owned)


async def _add(connection: AsyncConnection, dialect: str, owned: Mapping[str, Sequence[Device]]) -> None:
    # A token that is listed twice keeps its last entry.
    added: dict[str, dict[str, Any]] = {
        device_id(each): {"id": device_id(each), "recipient_id": id_, **msgspec.structs.asdict(each)}
        for id_, theirs in owned.items()
        for each in theirs
    }
    if added:
        await connection.execute(_upsert(dialect), {"rows": list(added.values())})


async def _delete(connection: AsyncConnection, recipient_id: str, gone: Sequence[Device]) -> None:
    ids = [device_id(each) for each in gone]
    if ids:
        await connection.execute(sa.delete(device).where(device.c.id.in_(ids), device.c.recipient_id == recipient_id))


@cache
def _clear(dialect: str) -> sa.Delete:
    owners = rows.batch(dialect, [device.c.recipient_id])
    return sa.delete(device).where(device.c.recipient_id.in_(sa.select(owners.c.recipient_id)))


@cache
def _delete_all(dialect: str) -> sa.Delete:
    return rows.delete(dialect, device, rows.batch(dialect, [device.c.id]))


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, device, [device.c[name] for name in _COLUMNS])
