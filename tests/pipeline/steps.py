"""Deliveries one by one, as the clock and workers take them up, and what became of them."""

from typing import Any

import sqlalchemy as sa

from notifier.domain.deliveries import State
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.status import rendered as delivery
from tests.named import EMAIL, PUSH, SMS

OFFER = {
    "offer_id": "7781",
    "station": "Gent Zuid, bay 3",
    "respond_by": "2026-03-09T17:50:00Z",
    "driver_id": "ada",
}
LATE_VAN = {
    "fleet_id": "acme",
    "vehicle_id": "van-1",
    "vehicle": "Van 1",
    "departure": "2026-03-09T18:30:00Z",
    "charge_percent": 40,
    "needed_percent": 80,
    "reason": "not_plugged_in",
}


def offline(station: str = "1", since: str = "2026-03-09T17:30:00Z", **data: Any) -> dict[str, Any]:
    """The data of a station that is lost."""
    named = {"site_id": "gent", "site": "Gent", "station_id": station, "station": f"Station {station}"}
    return {**named, "since": since, **data}


def online(station: str = "1", since: str = "2026-03-09T17:50:00Z") -> dict[str, Any]:
    """The data of a station that is back."""
    named = {"site_id": "gent", "site": "Gent", "station_id": station, "station": f"Station {station}"}
    return {**named, "online_since": since}


async def rows(engine: WorkerEngine, **where: Any) -> list[Any]:
    """Deliveries as they are now, in the order of their steps."""
    query = sa.select(delivery).order_by(delivery.c.step, delivery.c.recipient_id, delivery.c.created_at, delivery.c.id)
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(query.filter_by(**where)))


async def one(engine: WorkerEngine, **where: Any) -> Any:
    """The one delivery of which this is so."""
    (found,) = await rows(engine, **where)
    return found


async def deliver_due(engine: WorkerEngine) -> None:
    """What is due goes out, as when the clock has signalled it."""
    for channel in (PUSH, SMS, EMAIL):
        waiting = [row.id for row in await rows(engine, channel=channel, state=State.PENDING)]
        await deliver(engine, channel, waiting)


def ends(found: list[Any]) -> list[tuple[str, str, str | None]]:
    """Channel, state and reason of each."""
    return [(row.channel, row.state, row.reason) for row in found]
