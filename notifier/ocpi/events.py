"""What OCPI objects have in common as our events: ids, sources, subjects, money and the names of stations."""

from collections.abc import Callable
from typing import Any, NamedTuple

from notifier.domain.clock import to_instant
from notifier.domain.ids import make_id
from notifier.domain.messages import Private
from notifier.ocpi.objects import CdrId, CountryCode, PartyId, Timestamp, check

StationName = Callable[[str, str], str]
"""Gives the name by which drivers know a station, from the location's id and the EVSE's uid."""


class OcpiObjectId(NamedTuple):
    """What names an object that a peer owns, as in its URL: `…/{country_code}/{party_id}/{id}`."""

    country_code: str
    party_id: str
    id: str

    def checked(self) -> "OcpiObjectId":
        """The object id in capitals, since OCPI ids ignore case; OcpiInvalid if OCPI doesn't allow it."""
        check(self._asdict(), _Checked)
        return OcpiObjectId(*(each.upper() for each in self))

    @property
    def text(self) -> str:
        """`BE-BEC-101`: unique among all peers, for the country and the party have a fixed length."""
        return "-".join(self)


class _Checked(Private, frozen=True):
    country_code: CountryCode
    party_id: PartyId
    id: CdrId


class OcpiEvent(Private, frozen=True, kw_only=True):
    """An event for our pipeline. `id` is the same however often it is derived; `time` in epoch milliseconds."""

    type: str
    id: str
    source: str
    subject: str
    time: int
    data: dict[str, Any]


def make_event(kind: str, about: str, ids: OcpiObjectId, updated: Timestamp, data: dict[str, Any]) -> OcpiEvent:
    """The event `kind` about a peer's `session` or `cdr`, as of its `last_updated`."""
    return OcpiEvent(
        type=kind,
        id=make_id("ocpi", about, ids.text, str(updated), kind),
        source=f"ocpi/{ids.country_code}/{ids.party_id}",
        subject="/".join((about, *ids)),
        time=to_instant(updated),
        data=data,
    )


def money(amount: float, currency: str) -> dict[str, Any]:
    """An amount as the notification types take it, to the four decimals that OCPI counts in."""
    return {"amount": round(amount, 4), "currency": currency}


def location_id(location: str, _evse: str) -> str:
    """The name of a station that nobody told us more about: its location's id."""
    return location
