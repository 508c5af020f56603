"""Stations that the network itself puts: what it tells of one becomes a place with its ports."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from notifier.domain.sayable import make_check
from notifier.domain.stations import Connector, Evse, EvseStatus, Line, Location, Name, OcppStation, report
from notifier.domain.text import LINE
from notifier.store.stations.locations import StoredEvse, StoredLocation

OWN: Final = "own"
"""The party of stations that no peer has put: the network itself."""
MAX_PORTS: Final = 1_000
"""Ports of a place: the largest sites have some hundred."""

check_zone = make_check({"time_zone": "zone"})
"""Checks a station's `time_zone`; raises a ValueError that names the field."""


class PlaceIsOthers(ValueError):
    """A place that an OCPI party put; nobody else changes it."""


class OcppPort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A port's names in OCPP: the station's identity, and the connector of 1.6 or the EVSE of 2.0.1."""

    station: OcppStation
    port: Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class PlugDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plug: OCPI's name of its standard, such as IEC_62196_T2_COMBO, and its power in watts."""

    standard: Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=LINE)]
    power: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=36, pattern=LINE)] = "1"


class PortDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A port: what is written on it, its plugs, and its names in OCPP or its status."""

    uid: Annotated[str, msgspec.Meta(min_length=1, max_length=48, pattern=LINE)]
    connectors: Annotated[list[PlugDetails], msgspec.Meta(max_length=20)] = []
    ocpp: OcppPort | None = None
    status: EvseStatus | None = None


class StationDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A station, whole. Coordinates are WGS 84 in degrees; a `hidden` one is on no map."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=LINE)]
    address: Line = ""
    city: Line = ""
    country: Annotated[str, msgspec.Meta(max_length=3, pattern=LINE)] = ""
    operator: Name = ""
    time_zone: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    hidden: bool = False
    ports: Annotated[list[PortDetails], msgspec.Meta(max_length=MAX_PORTS)]

    def __post_init__(self) -> None:
        check_zone(self)
        uids = [port.uid.upper() for port in self.ports]
        if len(set(uids)) < len(uids):
            raise ValueError("two ports have the same uid")


def put(stored: StoredLocation | None, id_: str, details: StationDetails, now: int) -> StoredLocation:
    """The place as it is to be; what its ports have said is kept. Raises PlaceIsOthers."""
    _check(stored)
    known = stored.evses if stored else {}
    ports = {f"{id_}-{port.uid}": port for port in details.ports}
    named = {evse: _port(known.get(evse), evse, id_, port, now) for evse, port in ports.items()}
    evses = {**_removed(known, now), **named}
    place = Location(
        id=id_, party=OWN, name=details.name, address=details.address, city=details.city, country=details.country,
        operator=details.operator, time_zone=details.time_zone, latitude=details.latitude, longitude=details.longitude,
        hidden=details.hidden, last_updated=now,
    )  # fmt: skip
    document = msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(details, ports=[])))
    if stored and msgspec.structs.replace(stored.location, last_updated=now) == place:
        place = stored.location
    return StoredLocation(place, document, evses)


def remove(stored: StoredLocation | None, now: int) -> StoredLocation | None:
    """The place hidden, and its ports removed; None where there is none. Raises PlaceIsOthers."""
    _check(stored)
    if stored is None:
        return None
    place = msgspec.structs.replace(stored.location, hidden=True, last_updated=now)
    return StoredLocation(place, stored.document, _removed(stored.evses, now))


def _check(stored: StoredLocation | None) -> None:
    if stored is not None and stored.location.party != OWN:
        raise PlaceIsOthers(f"the party {stored.location.party} put this station by OCPI; no other can change it")


def _removed(known: Mapping[str, StoredEvse], now: int) -> dict[str, StoredEvse]:
    """Ports as they are once they are there no more."""
    return {id_: msgspec.structs.replace(each, evse=_gone(each.evse, now)) for id_, each in known.items()}


def _gone(evse: Evse, now: int) -> Evse:
    if evse.status == EvseStatus.REMOVED:
        return evse
    return report(evse, EvseStatus.REMOVED, max(now, evse.last_updated), now)


def _new(id_: str, location_id: str, uid: str, now: int) -> Evse:
    return Evse(
        id=id_, location_id=location_id, uid=uid, status=EvseStatus.UNKNOWN, since=now, last_updated=0, heard_at=now
    )


def _port(known: StoredEvse | None, id_: str, location_id: str, port: PortDetails, now: int) -> StoredEvse:
    connectors = tuple(Connector(each.id, each.standard, each.power) for each in port.connectors)
    names = {
        "connectors": connectors, "station": port.ocpp and port.ocpp.station, "port": port.ocpp and port.ocpp.port,
        "source": "ocpp" if port.ocpp else "api",
    }  # fmt: skip
    before = known.evse if known else _new(id_, location_id, port.uid, now)
    status = port.status or (EvseStatus.UNKNOWN if before.status == EvseStatus.REMOVED else None)
    if status not in (None, before.status):
        before = report(before, status, max(now, before.last_updated), now)
    document = msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(port, status=None)))
    return StoredEvse(msgspec.structs.replace(before, **names), document)
