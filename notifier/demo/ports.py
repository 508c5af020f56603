"""What the demo's ports say: each event of a session tells a status, as a station would by OCPP 1.6."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import aiohttp

from notifier.demo.events import TimedEvent
from notifier.demo.local import LocalSystem
from notifier.demo.places import place_of, stations

SAYS: Final = {
    "session.started": "Charging", "charging.interrupted": "SuspendedEVSE", "charging.resumed": "Charging",
    "charging.complete": "SuspendedEV", "session.ended": "Available", "station.offline": "Unavailable",
    "station.online": "Available",
}  # fmt: skip
"""The status that a port has after an event."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


class Ports:
    """The ports of the stations that events name, told of over HTTP as a network's own system does it."""

    def __init__(self, system: LocalSystem) -> None:
        self._session = aiohttp.ClientSession(
            system.settings.public_url, headers={"Authorization": f"Bearer {system.key}"}, timeout=TIMEOUT,
            raise_for_status=True,
        )  # fmt: skip
        self._said = 0

    async def __aenter__(self) -> "Ports":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def put(self, events: Iterable[TimedEvent], now: datetime) -> None:
        """Put the places of all stations that events name; their ports are free."""
        names = {event.data["station"] for event in events if event.type in SAYS}
        for id_, station in stations(place_of(names)).items():
            async with self._session.put(f"/v1/stations/{id_}", json=station):
                pass
        await self._send([(name, "Available") for name in sorted(names)], now)

    async def tell(self, events: Iterable[TimedEvent], now: datetime) -> None:
        """Tell what the ports say after some events."""
        await self._send([(event.data["station"], SAYS[event.type]) for event in events if event.type in SAYS], now)

    async def _send(self, statuses: list[tuple[str, str]], now: datetime) -> None:
        frames = [{"station": name, "frame": self._frame(status, now)} for name, status in statuses]
        if frames:
            async with self._session.post("/v1/ocpp", json=frames):
                pass

    def _frame(self, status: str, now: datetime) -> list[Any]:
        self._said += 1
        said = {
            "connectorId": 1, "errorCode": "NoError", "status": status,
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }  # fmt: skip
        return [2, f"demo-{self._said}", "StatusNotification", said]
