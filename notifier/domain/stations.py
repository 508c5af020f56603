"""Stations: places with ports (EVSEs), what each port says of itself, and since when.

A port has the statuses of OCPI 2.2.1 (mod_locations, Status enum). People are shown one of five conditions. A port that
says nothing for `silent_after` is unknown. Each time that a port has been available for `STABLE` without a break, it
begins a new availability epoch: a plug that is pulled and put back within seconds frees nothing.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from notifier.domain.clock import HOUR, MINUTE, SECOND
from notifier.domain.text import LINE

STABLE: Final = 45 * SECOND
"""Milliseconds that a port must be available before anybody is told: drivers replug, and stations restart."""
HEARD_EVERY: Final = 5 * MINUTE
"""Milliseconds after which a repeat is written down as a sign of life: not each heartbeat is worth a write."""
SILENT_AFTER: Final[Mapping["Source", int]] = {"ocpi": 36 * HOUR, "ocpp": 60 * MINUTE, "api": 36 * HOUR}
"""Milliseconds of silence after which a port is unknown, by who tells of it: peers tell of changes and of all once a
night, stations send a heartbeat, commonly every 5 to 15 minutes."""

Source = Literal["ocpi", "ocpp", "api"]
"""Who tells of a port's status."""

LocationId = Annotated[str, msgspec.Meta(min_length=1, max_length=50, pattern=LINE)]
"""`NL-TNM-LOC1`: the party, and up to 36 characters of OCPI's id; some peers have longer ones."""
EvseId = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=LINE)]
"""The location's id, and the port's uid."""
Party = Annotated[str, msgspec.Meta(min_length=1, max_length=6, pattern=LINE)]
"""`NL-TNM`: who owns a place, as OCPI names parties."""
OcppStation = Annotated[str, msgspec.Meta(min_length=1, max_length=48, pattern=LINE)]
"""A charging station's identity in OCPP (2.0.1 Part 4 §3.1.1: up to 48 characters)."""
Line = Annotated[str, msgspec.Meta(max_length=200, pattern=LINE)]
Name = Annotated[str, msgspec.Meta(max_length=255, pattern=LINE)]


class EvseStatus(StrEnum):
    """What a port says of itself, in OCPI's words."""

    AVAILABLE = "AVAILABLE"
    BLOCKED = "BLOCKED"
    CHARGING = "CHARGING"
    INOPERATIVE = "INOPERATIVE"
    OUTOFORDER = "OUTOFORDER"
    PLANNED = "PLANNED"
    REMOVED = "REMOVED"
    RESERVED = "RESERVED"
    UNKNOWN = "UNKNOWN"


class Condition(StrEnum):
    """What people are shown of a port."""

    FREE = "free"
    BUSY = "busy"
    RESERVED = "reserved"
    OUT_OF_ORDER = "out-of-order"
    UNKNOWN = "unknown"


SHOWN: Final[Mapping[EvseStatus, Condition]] = {
    EvseStatus.AVAILABLE: Condition.FREE,
    EvseStatus.BLOCKED: Condition.BUSY,
    EvseStatus.CHARGING: Condition.BUSY,
    EvseStatus.RESERVED: Condition.RESERVED,
    EvseStatus.INOPERATIVE: Condition.OUT_OF_ORDER,
    EvseStatus.OUTOFORDER: Condition.OUT_OF_ORDER,
    EvseStatus.UNKNOWN: Condition.UNKNOWN,
}
"""The condition of each status; ports that are planned or removed aren't shown."""


class Connector(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A plug of a port: OCPI's name of its standard, and its power in watts, 0 where nobody says."""

    id: str
    standard: str
    power: int = 0


class Location(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A place with ports. `id` is unique among all parties, `party` such as `NL-TNM`, `last_updated` its owner's
    instant. Coordinates are WGS 84 in degrees; `hidden` says that its owner doesn't want it published."""

    id: LocationId
    party: Party
    name: Name
    address: Line = ""
    city: Line = ""
    country: Annotated[str, msgspec.Meta(max_length=3, pattern=LINE)] = ""
    operator: Name = ""
    time_zone: str | None = None
    latitude: float
    longitude: float
    hidden: bool = False
    last_updated: int


class Evse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A port and its status `since` an instant. `station` and `port` are its names in OCPP, where it has such.

    `last_updated` is what its owner last told, `heard_at` when anything was last heard; `epoch` counts how often it
    became free, and `settled` says that the current availability is counted.
    """

    id: EvseId
    location_id: LocationId
    uid: Annotated[str, msgspec.Meta(min_length=1, max_length=48, pattern=LINE)]
    connectors: tuple[Connector, ...] = ()
    station: OcppStation | None = None
    port: int | None = None
    source: Source = "ocpi"
    status: EvseStatus
    since: int
    last_updated: int
    heard_at: int
    epoch: int = 0
    settled: bool = False

    @property
    def condition(self) -> Condition | None:
        """What people are shown; None where the port isn't shown."""
        return SHOWN.get(self.status)

    @property
    def next_check_at(self) -> int | None:
        """When time alone changes something; None where it doesn't."""
        if self.status == EvseStatus.AVAILABLE and not self.settled:
            return self.since + STABLE
        if self.condition in (None, Condition.UNKNOWN):
            return None
        return self.heard_at + SILENT_AFTER[self.source]


def report(evse: Evse, status: EvseStatus | None, last_updated: int, now: int, source: Source | None = None) -> Evse:
    """The port after a report of its status, or a sign of life (None); the same object where nothing is news.

    What is older than what is known changes nothing. Within one instant the later report counts: owners count in
    seconds.
    """
    if last_updated < evse.last_updated or status in (None, evse.status):
        heard = evse if now - evse.heard_at < HEARD_EVERY else msgspec.structs.replace(evse, heard_at=now)
        if status is None or last_updated <= evse.last_updated:
            return heard
        return heard if heard is evse else msgspec.structs.replace(heard, last_updated=last_updated)
    return msgspec.structs.replace(
        evse, status=status, since=min(last_updated, now), last_updated=last_updated, heard_at=now, settled=False,
        source=source or evse.source,
    )  # fmt: skip


def look(evse: Evse, now: int) -> Evse:
    """The port after time has passed: its availability counts, or it is silent; the same object where neither is so."""
    due = evse.next_check_at
    if due is None or due > now:
        return evse
    if evse.status == EvseStatus.AVAILABLE and not evse.settled:
        return msgspec.structs.replace(evse, settled=True, epoch=evse.epoch + 1)
    return msgspec.structs.replace(evse, status=EvseStatus.UNKNOWN, since=now, settled=False)


class Counts(msgspec.Struct, frozen=True, gc=False):
    """How many ports of a place are in each condition."""

    free: int = 0
    busy: int = 0
    reserved: int = 0
    out_of_order: int = 0
    unknown: int = 0

    @property
    def shown(self) -> int:
        """All of them."""
        return self.free + self.busy + self.reserved + self.out_of_order + self.unknown


def count(conditions: Iterable[Condition | None]) -> Counts:
    """Count the ports of a place by condition, without those that aren't shown."""
    numbers = dict.fromkeys(Condition, 0)
    for condition in conditions:
        if condition is not None:
            numbers[condition] += 1
    return Counts(*numbers.values())
