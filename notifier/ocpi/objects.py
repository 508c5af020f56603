"""The OCPI objects that a receiver is sent, and the reading of them: strict about what we use, blind to the rest.

OCPI 2.2.1 (types, mod_sessions, mod_cdrs), and the prices of 2.3.0. Unknown members are ignored, and so are the values
of enumerations that decide nothing here: a peer that speaks a newer OCPI is not refused for a word we don't need.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from notifier.domain.messages import Private
from notifier.domain.sayable import is_showable
from notifier.domain.text import END, LINE

MAX_NUMBER = (
    1e9  # kWh, hours, amperes or money: more than any session has, and far below the limit of a float's exact integers
)
MAX_TEXT = 255  # characters: OCPI's longest string that we use (a location's name)
MAX_STREET = 200  # characters: OCPI says 45, real addresses are longer, and street and town must fit our texts of 500

_PRINTABLE_ASCII = rf"^[ -~]*{END}"
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z?", re.ASCII)
_PLACE = re.compile(r"(?P<detail>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_MISSING = re.compile(r"missing required field `(\w+)`")

CountryCode = Annotated[str, msgspec.Meta(max_length=2, pattern="^[A-Za-z]{2}$")]
PartyId = Annotated[str, msgspec.Meta(max_length=3, pattern="^[A-Za-z0-9]{3}$")]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=36, pattern=_PRINTABLE_ASCII)]
CdrId = Annotated[str, msgspec.Meta(min_length=1, max_length=39, pattern=_PRINTABLE_ASCII)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT, pattern=LINE)]
Street = Annotated[str, msgspec.Meta(max_length=MAX_STREET, pattern=LINE)]
Currency = Annotated[str, msgspec.Meta(max_length=3, pattern="^[A-Z]{3}$")]
Number = Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]

SessionStatus = Literal["ACTIVE", "COMPLETED", "INVALID", "PENDING", "RESERVATION"]


class OcpiInvalid(ValueError):
    """A body, or an id in its URL, that is not what OCPI says; `pointer` (RFC 6901) is the member at fault."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or '/'}: {detail}")
        self.pointer = pointer
        self.detail = detail


class Timestamp(datetime):
    """A DateTime of OCPI: RFC 3339 in UTC; `Z` may be left out, an offset is not allowed, not even `+00:00`."""

    def __str__(self) -> str:
        return self.isoformat().removesuffix("+00:00") + "Z"


DateTime = Annotated[
    Timestamp, msgspec.Meta(extra_json_schema={"type": "string", "pattern": f"^{_TIMESTAMP.pattern}$"})
]  # not the format date-time, for which client generators write an offset


class Tax(Private, frozen=True):
    """One tax of a 2.3.0 price; of TaxAmount only what adds up."""

    amount: Number


class Price(Private, frozen=True, omit_defaults=True):
    """An amount of money: `excl_vat` and `incl_vat` in 2.2.1, `before_taxes` and `taxes` in 2.3.0."""

    excl_vat: Number | None = None
    incl_vat: Number | None = None
    before_taxes: Number | None = None
    taxes: list[Tax] | None = None

    def __post_init__(self) -> None:
        if self.excl_vat is None and self.before_taxes is None:
            raise ValueError("a price has excl_vat (OCPI 2.2.1) or before_taxes (2.3.0)")

    @property
    def net(self) -> float:
        """The price without taxes."""
        return self.excl_vat if self.excl_vat is not None else self.before_taxes or 0.0

    @property
    def tax(self) -> float:
        """The taxes of the price; 0 if none are given."""
        return sum(tax.amount for tax in self.taxes or []) if self.incl_vat is None else self.incl_vat - self.net

    @property
    def total(self) -> float:
        """The price including those taxes that are given."""
        return self.net + self.tax

    @property
    def due(self) -> float | None:
        """The price including taxes; None if taxes are not given, since it would be no total."""
        return None if self.incl_vat is None and self.taxes is None else self.total


class CdrToken(Private, frozen=True, kw_only=True):
    """The token that started a session; `contract_id` is the driver's contract."""

    country_code: CountryCode
    party_id: PartyId
    uid: Id
    type: Text
    contract_id: Id


class CdrDimension(Private, frozen=True):
    """How much of what: ENERGY in kWh, TIME and PARKING_TIME in hours, STATE_OF_CHARGE in percent, and nine more that
    decide nothing here."""

    type: Text
    volume: Number


class ChargingPeriod(Private, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of a session; it lasts until the next one starts."""

    start_date_time: DateTime
    dimensions: Annotated[list[CdrDimension], msgspec.Meta(min_length=1)]
    tariff_id: Id | None = None

    @property
    def parks(self) -> bool:
        """Whether the car stands there without charging.

        Peers that list every dimension in every period tell a parking time of zero while the car charges, and one that
        is above zero next to energy when the period holds both: neither is parking.
        """
        volumes = {each.type: each.volume for each in self.dimensions}
        charging = [volumes[each] for each in ("ENERGY", "TIME") if each in volumes]
        return "PARKING_TIME" in volumes and not any(charging) and (volumes["PARKING_TIME"] > 0 or not charging)


class OcpiSession(Private, frozen=True, kw_only=True, omit_defaults=True):
    """A charging session, as it stands right now (mod_sessions, Session object)."""

    country_code: CountryCode
    party_id: PartyId
    id: Id
    start_date_time: DateTime
    end_date_time: DateTime | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: Text
    authorization_reference: Id | None = None
    location_id: Id
    evse_uid: Id
    connector_id: Id
    meter_id: Text | None = None
    currency: Currency
    charging_periods: list[ChargingPeriod] | None = None
    total_cost: Price | None = None
    status: SessionStatus
    last_updated: DateTime


class CdrLocation(Private, frozen=True, kw_only=True):
    """Where the session took place. Its coordinates are left out: nothing here needs them, and peers swap them."""

    id: Id
    name: Text | None = None
    address: Street
    city: Street
    evse_uid: Id


class Cdr(Private, frozen=True, kw_only=True):
    """The final, sealed bill of a session (mod_cdrs, CDR object). `total_energy` in kWh, `total_time` in hours."""

    country_code: CountryCode
    party_id: PartyId
    id: CdrId
    start_date_time: DateTime
    end_date_time: DateTime
    session_id: Id | None = None
    cdr_token: CdrToken
    auth_method: Text
    cdr_location: CdrLocation
    currency: Currency
    charging_periods: Annotated[list[ChargingPeriod], msgspec.Meta(min_length=1)]
    total_cost: Price
    total_energy: Number
    total_time: Number
    total_parking_cost: Price | None = None
    home_charging_compensation: bool | None = None
    credit: bool | None = None
    credit_reference_id: CdrId | None = None
    last_updated: DateTime


T = TypeVar("T")


def read(body: bytes | Mapping[str, Any]) -> dict[str, Any]:
    """The members of a JSON object, unchecked; OcpiInvalid at the root where it is none.

    The standard decoder lets NaN, 1e999 and lone surrogates pass, so that `check` can name the member that holds them.
    """
    if isinstance(body, Mapping):
        return dict(body)
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise OcpiInvalid("", "the body is not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise OcpiInvalid("", "the body must be a JSON object")
    return value


def check(value: object, kind: type[T]) -> T:
    """The value as one of these types; OcpiInvalid names the first member that doesn't fit, never what it holds."""
    try:
        converted = msgspec.convert(value, kind, dec_hook=_timestamp)
        msgspec.json.encode(converted, enc_hook=str)  # raises for a lone surrogate, which no pattern checks
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except UnicodeEncodeError:  # msgspec raises this error without a path
        raise OcpiInvalid(_lone_surrogate(value), "the text has a lone surrogate, which is no character") from None
    return converted


def plain(value: object) -> Any:
    """A checked object as JSON types, timestamps in one form, what was ignored left out."""
    return msgspec.to_builtins(value, enc_hook=str)


def _timestamp(_kind: type, value: object) -> Timestamp:
    try:
        if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
            moment = Timestamp.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC)
            if is_showable(moment):
                return moment
    except ValueError:  # the shape is right, the day or the hour doesn't exist
        pass
    raise ValueError("expected a time in UTC, written as 2015-06-29T20:39:09Z")


def _lone_surrogate(value: object) -> str:
    """The pointer to the first text with a lone surrogate, or to the object that has one in a member's name."""
    places: list[tuple[str, object]] = [("", value)]
    while places:
        pointer, found = places.pop()
        texts = [found] if isinstance(found, str) else found if isinstance(found, dict) else []
        if any(_SURROGATE.search(text) for text in texts):
            return pointer
        members = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else []
        inside = [(f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}", member) for name, member in members]
        places.extend(reversed(inside))
    return ""


def _invalid(message: str) -> OcpiInvalid:
    match = _PLACE.fullmatch(message)
    detail, path = (match["detail"], match["path"] or "") if match else (message, "")
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(path))
    if missing := _MISSING.search(detail):
        return OcpiInvalid(f"{pointer}/{missing[1]}", "this member is required")
    if detail.startswith("Invalid enum value"):  # msgspec quotes the value
        return OcpiInvalid(pointer, "unknown value; OCPI 2.2.1 lists the allowed ones")
    if "matching regex" in detail:
        return OcpiInvalid(pointer, "the value has characters that are not allowed here")
    return OcpiInvalid(pointer, detail)
