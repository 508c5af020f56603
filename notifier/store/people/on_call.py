"""The on-call order of an audience, kept in its memberships: from 1, and 0 for members without a place."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import membership
from notifier.store.people.locking import Check, anything

FIRST = (sa.case((membership.c.position == 0, 1), else_=0), membership.c.position)
"""The sort order of people: those on call first, in their order."""


async def put(database: Database, audience: str, order: Sequence[str], check: Check[list[str]] = anything) -> list[str]:
    """Set the on-call order; where some are not members nothing changes, and they are returned."""
    places = [{"recipient_id": id_, "position": place} for place, id_ in enumerate(order, 1)]

    async def work(connection: AsyncConnection) -> list[str]:
        members = list(await connection.execute(_members(audience).with_for_update()))
        check(_order(members))
        known = {row.recipient_id for row in members}
        strangers = [id_ for id_ in order if id_ not in known]
        if strangers:
            return strangers
        await connection.execute(sa.update(membership).where(membership.c.audience == audience).values(position=0))
        await connection.execute(_place(database.dialect), {"rows": places, "group": audience})
        return []

    return await database.write(work)


async def get(database: Database, audience: str) -> list[str] | None:
    """The recipients with a place in the on-call order; None where the audience has no members."""

    async def work(connection: AsyncConnection) -> list[str] | None:
        return _order(list(await connection.execute(_members(audience))))

    return await database.read(work)


def _members(audience: str) -> sa.Select[tuple[str, int]]:
    of_audience = sa.select(membership.c.recipient_id, membership.c.position).where(membership.c.audience == audience)
    return of_audience.order_by(membership.c.position)


def _order(members: Sequence[sa.Row[tuple[str, int]]]) -> list[str] | None:
    return [row.recipient_id for row in members if row.position > 0] if members else None


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
