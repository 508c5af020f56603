"""Those who wait at places, or were offered a port, are looked at when something has changed there."""

from collections.abc import Collection, Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.availability_alerts import AlertState
from notifier.domain.stations import Evse
from notifier.store.core.stations import availability_alert

AT_ONCE: Final = 0
"""When what is told of a port that is taken goes out: before all offers."""


async def wake(connection: AsyncConnection, location_ids: Collection[str], now: int) -> None:
    """Have the clock look at once at those who wait at places."""
    if location_ids:
        await connection.execute(_WAKE, {"places": sorted(location_ids), "now": now})


async def recall(connection: AsyncConnection, taken: Iterable[Evse]) -> None:
    """Have the clock stop what tells people of ports that are free no more."""
    ports = {each.id: each.location_id for each in taken}
    if ports:
        await connection.execute(_RECALL, {"places": sorted(set(ports.values())), "ports": sorted(ports)})


def _at(places: str) -> sa.ColumnElement[bool]:
    return availability_alert.c.location_id.in_(sa.bindparam(places, expanding=True))


_WAKE: Final = (
    sa.update(availability_alert)
    .where(_at("places"), availability_alert.c.state == AlertState.WAITING)
    .values(next_check_at=sa.bindparam("now"))
)
_RECALL: Final = (
    sa.update(availability_alert)
    .where(
        _at("places"), availability_alert.c.evse_id.in_(sa.bindparam("ports", expanding=True)),
        availability_alert.c.state == AlertState.OFFERED,
    )
    .values(tell_at=AT_ONCE)
)  # fmt: skip
