"""Recipients: their addresses, devices and audiences. Personal data lives here and nowhere else."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.messages import Device
from notifier.domain.preferences import chosen, laid_upon, read_preferences
from notifier.domain.recipients import Recipient, RecipientDetails
from notifier.domain.topics import GROUP
from notifier.store.core import buckets, rows
from notifier.store.core.buckets import first, of_person, over
from notifier.store.core.database import Database
from notifier.store.core.schema import device, membership, recipient, suppression
from notifier.store.people import addresses, devices, on_call, preferences, reach, recipient_facts
from notifier.store.people.addresses import KEYED
from notifier.store.people.suppressions import AddressKey, address_key

_PLAIN = ("kind", "name", "email", "phone", "locale", "time_zone", "region")
_GIVEN = (*_PLAIN, "tenants", "attributes")
"""Columns that hold a recipient's details as the recipient's service wrote them."""
_KEPT = ("created_at", "preferences", "consents")
"""Columns that a recipient's service doesn't overwrite: the person's own."""


async def put(database: Database, details: Mapping[str, RecipientDetails], now: int, actor: str = "import") -> None:
    """Write recipients by id, each replaced whole, except that devices and preferences left out by the caller stay, and
    so do subscriptions to topics.

    Devices move here from whoever had them. Preferences that are given are recorded in their history as changes by
    `actor`. People of several buckets are written one bucket after the other, and where one doesn't answer
    (StoreUnavailable) those of others may be written; the same again changes nothing of them.
    """
    for there, part in buckets.by_bucket(database, details).items():
        await _put(there, {id_: details[id_] for id_ in part}, now, actor)
    await devices.take_from_others(database, _devices(details))


async def _put(database: Database, details: Mapping[str, RecipientDetails], now: int, actor: str) -> None:
    key = await address_key(database)

    async def work(connection: AsyncConnection) -> None:
        await _write(connection, database, key, details, now)
        await preferences.take_steps(connection, database.dialect, _told(details), actor, now)

    await database.write(work)


@of_person
async def change(
    database: Database, id_: str, step: Callable[[dict[str, Any] | None], RecipientDetails], now: int, actor: str
) -> dict[str, Any]:
    """Change a recipient by one step, from the stored details (`get`, or None) to the new ones, which are returned.

    Concurrent changes of one recipient wait for each other; an error raised by `step` leaves everything as it was.
    """
    key = await address_key(database)
    written: dict[str, RecipientDetails] = {}

    async def work(connection: AsyncConnection) -> dict[str, Any]:
        dialect = database.dialect
        known = sa.select(recipient.c.id).where(recipient.c.id == id_)
        blank = _row(key, id_, RecipientDetails(), now)
        there = await rows.hold(connection, dialect, recipient, known, blank)
        written[id_] = step(None if there is None else await _read(connection, id_))
        await _write(connection, database, key, written, now)
        await preferences.take_steps(connection, dialect, _told(written), actor, now)
        return await _read(connection, id_) or {}

    changed = await database.write(work)
    await devices.take_from_others(database, _devices(written))
    return changed


def _devices(details: Mapping[str, RecipientDetails]) -> dict[str, list[Device]]:
    """The devices of those whose devices are told of."""
    return {id_: given.devices for id_, given in details.items() if given.devices is not None}


def _told(details: Mapping[str, RecipientDetails]) -> dict[str, preferences.Step]:
    """The steps of those whose preferences are told of."""
    return {
        id_: partial(laid_upon, told=given.preferences)
        for id_, given in details.items()
        if given.preferences is not None
    }


async def _write(
    connection: AsyncConnection, database: Database, key: AddressKey, details: Mapping[str, RecipientDetails], now: int
) -> None:
    dialect = database.dialect
    written = [_row(key, id_, given, now) for id_, given in details.items()]
    memberships = [
        {"audience": audience, "recipient_id": id_}
        for id_, given in details.items()
        for audience in given.audiences(id_)
    ]
    owners = [{"recipient_id": id_} for id_ in details]
    await connection.execute(_upsert(dialect), {"rows": written})
    places = await on_call.places(connection, dialect, owners)
    await devices.replace(connection, dialect, _devices(details))
    own = {id_: given.addresses for id_, given in details.items() if given.addresses is not None}
    await addresses.replace(connection, dialect, own)
    await connection.execute(_clear(dialect), {"rows": owners})
    if memberships:
        placed = [each | {"position": places.get((each["audience"], each["recipient_id"]), 0)} for each in memberships]
        await connection.execute(_insert_memberships(dialect), {"rows": placed})
        await reach.join(connection, database, [each["audience"] for each in memberships])


def _row(key: AddressKey, id_: str, given: RecipientDetails, now: int) -> dict[str, Any]:
    told = {channel: getattr(given, column.removesuffix("_key")) for channel, column in KEYED.items()}
    return {
        **{name: getattr(given, name) for name in _GIVEN},
        "id": id_,
        "created_at": now,
        "updated_at": now,
        "preferences": {},
        "consents": {},
        **{KEYED[channel]: address and key(channel, address) for channel, address in told.items()},
    }


@of_person
async def get(database: Database, id_: str) -> dict[str, Any] | None:
    """Everything stored about one recipient, as RecipientDetails; None where there is none."""

    async def work(connection: AsyncConnection) -> dict[str, Any] | None:
        return await _read(connection, id_)

    return await database.read(work)


async def _read(connection: AsyncConnection, id_: str) -> dict[str, Any] | None:
    row = (await connection.execute(sa.select(recipient).where(recipient.c.id == id_))).first()
    if row is None:
        return None
    held = sa.select(membership.c.audience).where(membership.c.recipient_id == id_)
    audiences = list((await connection.execute(held)).scalars())
    found = {name: getattr(row, name) for name in _PLAIN}
    documents = {name: msgspec.json.decode(getattr(row, name)) for name in ("tenants", "attributes")}
    documents["preferences"] = chosen(read_preferences(row.preferences))
    groups = {
        f"{group}s": sorted(key.partition(":")[2] for key in audiences if key.startswith(f"{group}:"))
        for group in ("token", "fleet", "site", "team")
    }
    listed = [msgspec.structs.asdict(each) for each in await devices.read(connection, id_)]
    return {**found, **documents, "devices": listed, "addresses": dict(addresses.own(row.addresses)), **groups}


@of_person
async def find(database: Database, id_: str) -> tuple[Recipient, frozenset[str]] | None:
    """One recipient as the pipeline reads it, and the groups (`driver`, `site` …) that they are in; None where there is
    none."""
    query = sa.select(*PERSON).select_from(with_addresses(recipient)).where(recipient.c.id == id_)
    audiences = sa.select(membership.c.audience).where(membership.c.recipient_id == id_)

    async def work(connection: AsyncConnection) -> tuple[Recipient, frozenset[str]] | None:
        found = await make_people(connection, database.dialect, list(await connection.execute(query)))
        if id_ not in found:
            return None
        groups = frozenset(key.partition(":")[0] for key in (await connection.execute(audiences)).scalars())
        return found[id_], groups

    return await database.read(work)


@over(first)
async def locale_of(database: Database, phone_key: str) -> str | None:
    """The locale of the recipient who has a number, by the number's key; None where nobody has it."""
    query = sa.select(recipient.c.locale).where(recipient.c.phone_key == phone_key).order_by(recipient.c.id).limit(1)

    async def work(connection: AsyncConnection) -> str | None:
        return (await connection.execute(query)).scalar()

    return await database.read(work)


async def in_audiences(
    connection: AsyncConnection, dialect: str, audiences: Sequence[str]
) -> dict[str, list[Recipient]]:
    """The recipients of each audience key, those on call in their order; a key without any is not in the answer."""
    if not audiences:
        return {}
    wanted = {"rows": [{"audience": key} for key in dict.fromkeys(audiences)]}
    found = list(await connection.execute(_members(dialect), wanted))
    members: dict[str, list[str]] = {}
    for row in found:
        group = members.setdefault(row.audience, [])
        if not group or group[-1] != row.id:
            group.append(row.id)
    known = await make_people(connection, dialect, found)
    return {key: [known[id_] for id_ in group] for key, group in members.items()}


async def person(connection: AsyncConnection, dialect: str, id_: str) -> Recipient | None:
    """One recipient as the pipeline reads them; None where there is none."""
    query = sa.select(*PERSON).select_from(with_addresses(recipient)).where(recipient.c.id == id_)
    found = list(await connection.execute(query.order_by(device.c.id)))
    return (await make_people(connection, dialect, found)).get(id_)


async def make_people(connection: AsyncConnection, dialect: str, found: Sequence[Any]) -> dict[str, Recipient]:
    """Recipients by id from rows of `PERSON`, one for each of a person's devices; their tenants' presets are looked
    up."""
    first: dict[str, Any] = {}
    owned: dict[str, dict[str, Device]] = {}
    for row in found:
        first.setdefault(row.id, row)
        if row.value is not None:
            listed = owned.setdefault(row.id, {})
            listed[row.value] = Device(
                kind=row.device_kind, value=row.value, platform=row.platform, last_seen=row.last_seen
            )
    standings = await recipient_facts.make(connection, dialect, first, {id_: len(owned.get(id_, ())) for id_ in first})
    return {
        id_: Recipient(
            id=id_, name=row.name, email=row.email, phone=row.phone, devices=list(owned.get(id_, {}).values()),
            facts=standings[id_], own=addresses.own(row.addresses), phone_key=row.phone_key, email_key=row.email_key,
        )
        for id_, row in first.items()
    }  # fmt: skip


@cache
def _upsert(dialect: str) -> sa.Insert:
    names = ("id", *_GIVEN, "updated_at", *KEYED.values(), *_KEPT)
    return rows.upsert(dialect, recipient, [recipient.c[name] for name in names], kept=_KEPT)


@cache
def _insert_memberships(dialect: str) -> sa.Insert:
    return rows.insert(dialect, membership, list(membership.c))


@cache
def _clear(dialect: str) -> sa.Delete:
    owners = rows.batch(dialect, [membership.c.recipient_id])
    theirs = sa.select(owners.c.recipient_id)
    subscribed = membership.c.audience.startswith(f"{GROUP}:", autoescape=True)
    return sa.delete(membership).where(membership.c.recipient_id.in_(theirs), sa.not_(subscribed))


_SUPPRESSED = {channel: suppression.alias(f"of_{channel}") for channel in KEYED}
PERSON: list[sa.ColumnElement[Any]] = [
    *(recipient.c[name] for name in ("id", "name", "email", "phone", *KEYED.values(), *recipient_facts.COLUMNS)),
    device.c.kind.label("device_kind"),
    *(device.c[name] for name in ("value", "platform", "last_seen")),
    *(found.c.reason.label(f"suppressed_{channel}") for channel, found in _SUPPRESSED.items()),
]
"""The columns that `make_people` takes."""


def with_addresses(people: sa.FromClause) -> sa.FromClause:
    """A join that has `recipient`, joined with what `PERSON` needs beside it."""
    joined = people.outerjoin(device, device.c.recipient_id == recipient.c.id)
    for channel, found in _SUPPRESSED.items():
        joined = joined.outerjoin(found, found.c.address_key == recipient.c[KEYED[channel]])
    return joined


@cache
def _members(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [membership.c.audience])
    joined = wanted.join(membership, membership.c.audience == wanted.c.audience).join(
        recipient, recipient.c.id == membership.c.recipient_id
    )
    return (
        sa.select(wanted.c.audience, *PERSON)
        .select_from(with_addresses(joined))
        .order_by(wanted.c.audience, *on_call.FIRST, recipient.c.id, device.c.id)
    )
