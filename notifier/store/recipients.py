"""Recipients: their addresses, devices and audiences. Personal data lives here and nowhere else."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.deliveries import Channel
from notifier.messages import Device
from notifier.recipients import Recipient, RecipientDetails, device_id
from notifier.store import rows
from notifier.store.database import Database
from notifier.store.schema import device, membership, recipient
from notifier.store.suppressions import address_key

_OWN = ("id", "kind", "name", "email", "phone", "locale", "time_zone", "switches", "created_at", "updated_at")
_KEYS = ("email_key", "phone_key")
_DEVICE = ("id", "recipient_id", "kind", "value", "platform", "last_seen")


async def put(database: Database, details: Mapping[str, RecipientDetails], now: int) -> None:
    """Write recipients by id, each whole: what the caller left out is gone. Devices move here from whoever had them."""
    if not details:
        return
    key = await address_key(database)
    people = [
        {
            **{name: getattr(given, name) for name in _OWN[1:8]},
            "id": id_,
            "created_at": now,
            "updated_at": now,
            "email_key": None if given.email is None else key(Channel.EMAIL, given.email),
            "phone_key": None if given.phone is None else key(Channel.SMS, given.phone),
        }
        for id_, given in details.items()
    ]
    devices = {
        device_id(each): {"id": device_id(each), "recipient_id": id_, **msgspec.structs.asdict(each)}
        for id_, given in details.items()
        for each in given.devices
    }
    memberships = [
        {"audience": audience, "recipient_id": id_}
        for id_, given in details.items()
        for audience in given.audiences(id_)
    ]
    owners = rows.encode([{"recipient_id": id_} for id_ in details])

    async def work(connection: AsyncConnection) -> None:
        dialect = database.dialect
        await connection.execute(_upsert(dialect), {"rows": rows.encode(people)})
        for clear in _clear(dialect):
            await connection.execute(clear, {"rows": owners})
        if devices:
            await connection.execute(_upsert_devices(dialect), {"rows": rows.encode(list(devices.values()))})
        if memberships:
            await connection.execute(_insert_memberships(dialect), {"rows": rows.encode(memberships)})

    await database.write(work)


async def get(database: Database, id_: str) -> dict[str, Any] | None:
    """All that is held about one recipient, shaped as RecipientDetails; None where there is none."""

    async def work(connection: AsyncConnection) -> dict[str, Any] | None:
        row = (await connection.execute(sa.select(recipient).where(recipient.c.id == id_))).first()
        if row is None:
            return None
        devices = await connection.execute(
            sa.select(*(device.c[name] for name in _DEVICE[2:]))
            .where(device.c.recipient_id == id_)
            .order_by(device.c.id)
        )
        audiences = list(
            (
                await connection.execute(sa.select(membership.c.audience).where(membership.c.recipient_id == id_))
            ).scalars()
        )
        found = {name: getattr(row, name) for name in _OWN[:7]}
        groups = {
            f"{group}s": sorted(key.partition(":")[2] for key in audiences if key.startswith(f"{group}:"))
            for group in ("token", "fleet", "site")
        }
        listed = [dict(each._mapping) for each in devices]  # noqa: SLF001 (SQLAlchemy's public name for it)
        return {**found, "switches": msgspec.json.decode(row.switches), "devices": listed, **groups}

    return await database.read(work)


async def locale_of(database: Database, phone_key: str) -> str | None:
    """The locale of whoever has a number, by the number's key; None where nobody has it."""
    query = sa.select(recipient.c.locale).where(recipient.c.phone_key == phone_key).order_by(recipient.c.id).limit(1)

    async def work(connection: AsyncConnection) -> str | None:
        return (await connection.execute(query)).scalar()

    return await database.read(work)


async def in_audiences(
    connection: AsyncConnection, dialect: str, audiences: Sequence[str]
) -> dict[str, list[Recipient]]:
    """The recipients of each audience key; a key without any is not in the answer."""
    if not audiences:
        return {}
    found = await connection.execute(
        _members(dialect), {"rows": rows.encode([{"audience": key} for key in dict.fromkeys(audiences)])}
    )
    people: dict[str, Recipient] = {}
    members: dict[str, dict[str, Recipient]] = {}
    for row in found:
        person = people.get(row.id)
        if person is None:
            person = people[row.id] = Recipient(
                id=row.id, name=row.name, email=row.email, phone=row.phone, locale=row.locale, time_zone=row.time_zone,
                devices=[], switches=msgspec.json.decode(row.switches),
            )  # fmt: skip
        if row.value is not None and all(known.value != row.value for known in person.devices):
            person.devices.append(
                Device(kind=row.device_kind, value=row.value, platform=row.platform, last_seen=row.last_seen)
            )
        members.setdefault(row.audience, {})[row.id] = person
    return {key: list(group.values()) for key, group in members.items()}


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, recipient, [recipient.c[name] for name in (*_OWN, *_KEYS)], kept=("created_at",))


@cache
def _upsert_devices(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, device, [device.c[name] for name in _DEVICE])


@cache
def _insert_memberships(dialect: str) -> sa.Insert:
    return rows.insert(dialect, membership, list(membership.c))


@cache
def _clear(dialect: str) -> list[sa.Delete]:
    owners = rows.batch(dialect, [membership.c.recipient_id])
    return [
        sa.delete(table).where(table.c.recipient_id.in_(sa.select(owners.c.recipient_id)))
        for table in (device, membership)
    ]


@cache
def _members(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [membership.c.audience])
    own = ("id", "name", "email", "phone", "locale", "time_zone", "switches")
    return (
        sa.select(
            wanted.c.audience,
            *(recipient.c[name] for name in own),
            device.c.kind.label("device_kind"),
            *(device.c[name] for name in ("value", "platform", "last_seen")),
        )
        .select_from(wanted)
        .join(membership, membership.c.audience == wanted.c.audience)
        .join(recipient, recipient.c.id == membership.c.recipient_id)
        .outerjoin(device, device.c.recipient_id == recipient.c.id)
        .order_by(wanted.c.audience, recipient.c.id, device.c.id)
    )
