"""Places with ports, as tests put them."""

from collections.abc import Iterable

import msgspec

from notifier.domain.stations import Connector, Evse, EvseStatus, Location
from notifier.store.stations.locations import StoredEvse, StoredLocation

NOON = 1_772_366_400_000
PLACE = "NL-TNM-LOC1"


def place(id_: str = PLACE, ports: Iterable[str] = ("1", "2"), **others: object) -> StoredLocation:
    """A place in Gent whose ports are taken; they are those of the OCPP station `CS-…`."""
    fields: dict[str, object] = {
        "id": id_, "party": "NL-TNM", "name": "Gent Zuid", "city": "Gent", "country": "BEL",
        "time_zone": "Europe/Brussels", "latitude": 51.047599, "longitude": 3.729944, "last_updated": NOON,
    }  # fmt: skip
    found = {
        f"{id_}-{uid}": StoredEvse(
            Evse(
                id=f"{id_}-{uid}", location_id=id_, uid=uid, connectors=(Connector("1", "IEC_62196_T2", 22_000),),
                station=f"CS-{id_}", port=int(uid), source="ocpp", status=EvseStatus.CHARGING, since=NOON,
                last_updated=NOON, heard_at=NOON,
            ),
            msgspec.Raw(b'{"uid":"' + uid.encode() + b'","capabilities":["RFID_READER"]}'),
        )
        for uid in ports
    }  # fmt: skip
    return StoredLocation(Location(**(fields | others)), msgspec.Raw(b'{"id":"LOC1","x":1}'), found)  # type: ignore[arg-type]
