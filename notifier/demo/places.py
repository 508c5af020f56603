"""Where the demo's stations stand: public places of Pasadena, four ports at each.

The places are real, to a hundred metres or so. Which ports are where is made up: the sessions are of one large garage
(`acn`), and on a map that would be a single point.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from notifier.demo.acn import POWER_KW, ZONE

PORTS: Final = 4
"""Ports at a place."""


class Place(NamedTuple):
    """A place's name, its street, and its coordinates (WGS 84, degrees)."""

    name: str
    address: str
    latitude: float
    longitude: float


PLACES: Final = (
    Place("Marengo Plaza", "155 East Green Street", 34.1448, -118.1456),
    Place("Arroyo Parkway", "64 South Arroyo Parkway", 34.1445, -118.1476),
    Place("Del Mar Station", "202 South Raymond Avenue", 34.1417, -118.1484),
    Place("Memorial Park", "85 East Holly Street", 34.1485, -118.1472),
    Place("Robinson Park", "1081 North Fair Oaks Avenue", 34.1655, -118.1505),
    Place("Rose Bowl", "1001 Rose Bowl Drive", 34.1613, -118.1676),
    Place("Huntington Hospital", "100 West California Boulevard", 34.1341, -118.1530),
    Place("Lake Avenue", "250 South Lake Avenue", 34.1413, -118.1325),
    Place("Caltech", "1200 East California Boulevard", 34.1362, -118.1255),
    Place("Pasadena City College", "1570 East Colorado Boulevard", 34.1440, -118.1186),
    Place("Victory Park", "2575 Paloma Street", 34.1657, -118.0955),
    Place("Sierra Madre Villa", "149 North Halstead Street", 34.1478, -118.0810),
    Place("Hastings Ranch", "3500 East Foothill Boulevard", 34.1520, -118.0700),
)


def place_of(ports: Iterable[str]) -> dict[str, Place]:
    """The place of each port by name: as many at one as fit, in their order; what doesn't fit is at the last."""
    return {port: PLACES[min(number // PORTS, len(PLACES) - 1)] for number, port in enumerate(sorted(set(ports)))}


def stations(where: dict[str, Place]) -> dict[str, dict[str, Any]]:
    """The places as `PUT /v1/stations/{id}` takes them, by id; each port is a station of OCPP by its own name."""
    found: dict[str, dict[str, Any]] = {}
    for port, place in where.items():
        id_ = place.name.lower().replace(" ", "-")
        ports = found.setdefault(
            id_,
            {
                "name": place.name, "address": place.address, "city": "Pasadena", "country": "USA",
                "latitude": place.latitude, "longitude": place.longitude, "time_zone": ZONE.key, "ports": [],
            },
        )["ports"]  # fmt: skip
        connector = {"id": "1", "standard": "IEC_62196_T1", "power": round(POWER_KW * 1000)}
        ports.append({"uid": port, "ocpp": {"station": port, "port": 1}, "connectors": [connector]})
    return found
