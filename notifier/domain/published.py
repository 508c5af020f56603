"""What is published of stations: places and ports in a form that is small enough to hold all of them in memory, and
what anybody is told of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from notifier.domain.clock import to_datetime
from notifier.domain.stations import SHOWN, Condition, Connector, Counts, EvseStatus

KW: Final = 1000
"""Watts."""

Offers = frozenset[tuple[str, int]]
"""What plugs a place has: standards, each with its power in watts."""


class Port(msgspec.Struct, frozen=True, gc=False):
    """A port of a place, as of a revision."""

    id: str
    uid: str
    connectors: tuple[Connector, ...]
    status: EvseStatus
    since: int
    heard_at: int
    revision: int

    @property
    def condition(self) -> Condition | None:
        """What people are shown; None where the port isn't shown."""
        return SHOWN.get(self.status)


class Place(msgspec.Struct, kw_only=True, gc=False):
    """A place and its ports, `put` the revision of the place alone, `revision` the newest of it and its ports, and
    `formed` the newest that changed anything but statuses. `cell` is its finest, `offers` the plugs of the ports that
    are shown.

    `encoded` is what anybody is told, as JSON, once it has been asked for.
    """

    id: str
    name: str
    address: str
    city: str
    operator: str
    time_zone: str | None
    latitude: float
    longitude: float
    hidden: bool
    put: int
    cell: int
    ports: tuple[Port, ...] = ()
    offers: Offers = frozenset()
    counts: Counts = Counts()
    revision: int = 0
    formed: int = 0
    encoded: msgspec.Raw | None = None

    @property
    def shown(self) -> bool:
        """Whether anybody is told of it."""
        return not self.hidden and self.counts.shown > 0


class Needs(NamedTuple):
    """What a driver needs: one of these standards, or any where there are none, with so many watts at least."""

    connectors: frozenset[str] = frozenset()
    watts: int = 0

    def fit(self, offers: Iterable[tuple[str, int]]) -> bool:
        """Whether one of the plugs will do."""
        return any(watts >= self.watts and (not self.connectors or name in self.connectors) for name, watts in offers)

    def fits(self, place: Place) -> bool:
        """Whether a place is shown and has such a plug."""
        return place.shown and (self == ANYTHING or self.fit(place.offers))

    def has_free(self, place: Place) -> bool:
        """Whether a port that will do is free."""
        return any(
            port.status == EvseStatus.AVAILABLE and (self == ANYTHING or self.fit(_plugs(port))) for port in place.ports
        )


ANYTHING: Final = Needs()


class ConnectorCount(msgspec.Struct, frozen=True):
    """How many plugs of a standard and power a station has, and how many of them are free."""

    standard: str
    kw: float
    free: int
    all: int


class Station(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place where one can charge. `changed_at` is when a port's status last changed, `heard_at` when its owner was
    last heard of, `distance_m` how many metres it is from where one asked."""

    id: str
    name: str
    address: str
    city: str
    operator: str
    latitude: float
    longitude: float
    time_zone: str | None
    counts: Counts
    connectors: list[ConnectorCount]
    max_kw: float
    changed_at: datetime
    heard_at: datetime
    distance_m: int | None = None


class Plug(msgspec.Struct, frozen=True):
    """A plug of a port: OCPI's name of its standard, and its power, 0 where nobody says."""

    standard: str
    kw: float


class PublishedEvse(msgspec.Struct, frozen=True):
    """A port of a station: `condition` is what people are shown of its `status`, which it has `since`."""

    id: str
    uid: str
    condition: Condition
    status: EvseStatus
    since: datetime
    connectors: list[Plug]


class StationDetails(Station, frozen=True, kw_only=True):
    """A station with each of its ports."""

    evses: list[PublishedEvse]


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The stations of a cell of H3, and the middle of them; with 0 stations it is no more."""

    cell: str
    latitude: float
    longitude: float
    stations: int
    counts: Counts


def offers(ports: Iterable[Port]) -> Offers:
    """The plugs of the ports that are shown."""
    return frozenset(plug for port in ports if port.condition is not None for plug in _plugs(port))


def tell(place: Place, distance: float | None = None) -> Station:
    """What anybody is told of a place that is shown; the distance is in metres."""
    return Station(**_told(place), distance_m=None if distance is None else round(distance))  # type: ignore[arg-type]


def encode(place: Place) -> msgspec.Raw:
    """The same as JSON, which is kept until the place changes."""
    if place.encoded is None:
        place.encoded = msgspec.Raw(msgspec.json.encode(tell(place)))
    return place.encoded


def details(place: Place) -> StationDetails:
    """What anybody is told of a place and each of its ports."""
    ports = [
        PublishedEvse(
            port.id, port.uid, port.condition, port.status, to_datetime(port.since),
            [Plug(each.standard, each.power / KW) for each in port.connectors],
        )
        for port in place.ports
        if port.condition is not None
    ]  # fmt: skip
    return StationDetails(**_told(place), evses=ports)  # type: ignore[arg-type]


def _told(place: Place) -> Mapping[str, object]:
    ports = [port for port in place.ports if port.condition is not None]
    plugs: dict[tuple[str, int], list[int]] = {}
    for port in ports:
        for plug in _plugs(port):
            found = plugs.setdefault(plug, [0, 0])
            found[0] += port.condition == Condition.FREE
            found[1] += 1
    return {
        "id": place.id, "name": place.name, "address": place.address, "city": place.city, "operator": place.operator,
        "latitude": place.latitude, "longitude": place.longitude, "time_zone": place.time_zone, "counts": place.counts,
        "connectors": [
            ConnectorCount(standard, watts / KW, *counted) for (standard, watts), counted in sorted(plugs.items())
        ],
        "max_kw": max((watts for _, watts in plugs), default=0) / KW,
        "changed_at": to_datetime(max(port.since for port in ports)),
        "heard_at": to_datetime(max(port.heard_at for port in ports)),
    }  # fmt: skip


def _plugs(port: Port) -> Iterable[tuple[str, int]]:
    """The plugs of a port, each standard with its power once: two of a kind are one place to charge."""
    return {(each.standard, each.power) for each in port.connectors}
