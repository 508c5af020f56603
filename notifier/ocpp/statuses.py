"""What a frame says of a station's ports, in OCPI's words."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from notifier.domain.stations import EvseStatus
from notifier.ocpp.frames import Frame, Status16, Status201, instant

WORDS: Final[Mapping[str, EvseStatus]] = {
    "Available": EvseStatus.AVAILABLE, "Preparing": EvseStatus.BLOCKED, "Charging": EvseStatus.CHARGING,
    "SuspendedEVSE": EvseStatus.CHARGING, "SuspendedEV": EvseStatus.CHARGING, "Finishing": EvseStatus.BLOCKED,
    "Occupied": EvseStatus.CHARGING, "Reserved": EvseStatus.RESERVED, "Unavailable": EvseStatus.INOPERATIVE,
    "Faulted": EvseStatus.OUTOFORDER,
}  # fmt: skip
"""OCPP's statuses as OCPI has them. Whose plug is in without charging blocks the port."""


class PortStatus(NamedTuple):
    """The status of a port, of all ports of the station (`port` None), or none for a sign of life; and its instant."""

    port: int | None
    status: EvseStatus | None
    at: int


def status_of(frame: Frame, now: int) -> PortStatus:
    """What a frame that came now says of ports. That a whole station is available says nothing of each port."""
    match frame.payload:
        case Status16(connector_id=port, status=word, timestamp=moment):
            at = now if moment is None else instant(moment)
        case Status201(evse_id=port, connector_status=word, timestamp=moment):
            at = instant(moment)
        case _:
            return PortStatus(None, None, now)
    if port == 0:
        return PortStatus(None, None if word in ("Available", "Reserved") else WORDS[word], at)
    return PortStatus(port, WORDS[word], at)
