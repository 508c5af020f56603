"""The on-call order of an audience, kept in its memberships: from 1, and 0 for members without a place."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.errors import StoreUnavailable
from notifier.store.core import rows
from notifier.store.core.database import CONFLICT_TRIES, Database
from notifier.store.core.schema import membership
from notifier.store.people.locking import Check, anything

Place = tuple[int, str]
"""A member's place in the on-call order, 0 for none, and their id."""

FIRST = (sa.case((membership.c.position == 0, 1), else_=0), membership.c.position)
"""The sort order of people: those on call first, in their order."""


async def put(database: Database, audience: str, order: Sequence[str], check: Check[list[str]] = anything) -> list[str]:
    """Set the on-call order; where some are not members nothing changes, and they are returned.

    All buckets are read first, and then each is written while it is as it was read: of two who set an order at the same
    moment, the one who finds the other's in a bucket begins anew, with `check`. A call that ends between two buckets
    leaves a part of each order, in which everybody still has a turn, until one is set again. Raises StoreUnavailable.
    """
    for _ in range(CONFLICT_TRIES):
        held = [await _read(each, audience) for each in database.buckets]
        members = sorted(chain.from_iterable(held))
        check(_order(members))
        strangers = [id_ for id_ in order if id_ not in {id_ for _, id_ in members}]
        if strangers:
            return strangers
        for each, before in zip(database.buckets, held, strict=True):
            if not await _write(each, before, audience, order):
                break
        else:
            return []
    raise StoreUnavailable("others set this on-call order at every attempt; try again")


async def get(database: Database, audience: str) -> list[str] | None:
    """The recipients with a place in the on-call order; None where the audience has no members."""
    return _order(sorted(chain.from_iterable([await _read(each, audience) for each in database.buckets])))


async def _read(database: Database, audience: str) -> list[Place]:
    """The members of an audience in a bucket."""

    async def work(connection: AsyncConnection) -> list[Place]:
        return await _members(connection, audience)

    return await database.read(work)


async def _write(database: Database, before: list[Place], audience: str, order: Sequence[str]) -> bool:
    """Write the places of members in a bucket; False where these were changed meanwhile."""
    places = [{"recipient_id": id_, "position": place} for place, id_ in enumerate(order, 1)]

    async def work(connection: AsyncConnection) -> bool:
        if await _members(connection, audience, hold=True) != before:
            return False
        await connection.execute(sa.update(membership).where(membership.c.audience == audience).values(position=0))
        await connection.execute(_place(database.dialect), {"rows": places, "group": audience})
        return True

    return not before or await database.write(work)


async def _members(connection: AsyncConnection, audience: str, *, hold: bool = False) -> list[Place]:
    query = sa.select(membership.c.position, membership.c.recipient_id).where(membership.c.audience == audience)
    found = await connection.execute(query.with_for_update() if hold else query)
    return sorted((row.position, row.recipient_id) for row in found)


def _order(members: Sequence[Place]) -> list[str] | None:
    return [id_ for position, id_ in members if position > 0] if members else None


async def lines(database: Database, audiences: Collection[str]) -> dict[str, list[int]]:
    """The places of all members of each of these audiences in a bucket, in the order of their turns."""
    wanted = {"rows": [{"audience": key} for key in sorted(audiences)]}

    async def work(connection: AsyncConnection) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row in await connection.execute(_lines(database.dialect), wanted):
            found.setdefault(row.audience, []).append(row.position)
        return found

    return await database.read(work) if audiences else {}


async def places(
    connection: AsyncConnection, dialect: str, owners: Sequence[Mapping[str, str]]
) -> dict[tuple[str, str], int]:
    """The places of recipients (a batch of `recipient_id`) in on-call orders, by audience and id."""
    found = await connection.execute(_placed(dialect), {"rows": owners})
    return {(row.audience, row.recipient_id): row.position for row in found}


@cache
def _placed(dialect: str) -> sa.Select[Any]:
    owners = rows.batch(dialect, [membership.c.recipient_id])
    return (
        sa.select(membership.c.audience, membership.c.recipient_id, membership.c.position)
        .join(owners, owners.c.recipient_id == membership.c.recipient_id)
        .where(membership.c.position > 0)
    )


@cache
def _lines(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [membership.c.audience])
    return (
        sa.select(membership.c.audience, membership.c.position)
        .join(wanted, wanted.c.audience == membership.c.audience)
        .order_by(*FIRST, membership.c.recipient_id)
    )


@cache
def _place(dialect: str) -> sa.Update:
    places = rows.batch(dialect, [membership.c.recipient_id, membership.c.position])
    return (
        sa.update(membership)
        .where(
            membership.c.audience == sa.bindparam("group"),
            membership.c.recipient_id == places.c.recipient_id,
        )
        .values(position=places.c.position)
    )
