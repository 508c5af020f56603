"""Those who wait at places are looked at when something has changed there."""

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.availability_alerts import AlertState
from notifier.store.core.stations import availability_alert


async def wake(connection: AsyncConnection, location_ids: Collection[str], now: int) -> None:
    """Have the clock look at once at those who wait at places."""
    if location_ids:
        await connection.execute(_WAKE, {"places": sorted(location_ids), "now": now})


_WAKE: Final = (
    sa.update(availability_alert)
    .where(
        availability_alert.c.location_id.in_(sa.bindparam("places", expanding=True)),
        availability_alert.c.state == AlertState.WAITING,
    )
    .values(next_check_at=sa.bindparam("now"))
)
