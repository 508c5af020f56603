"""Frames of OCPP-J, and the reading of those that matter here: strict about what we use, blind to the rest.

OCPP 1.6 (edition 2) and 2.0.1, Part 4: `[2, id, action, payload]` is a call, `[3, id, payload]` its result. Of which
of the two versions a frame is its payload's members tell, so nobody has to say it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from notifier.domain.messages import Private
from notifier.domain.text import LINE

CALL, RESULT, ERROR = 2, 3, 4
MAX_PORT: Final = 10_000
"""Connectors of a station at most: the largest sites have some hundred."""

MessageId = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=LINE)]
Port = Annotated[int, msgspec.Meta(ge=0, le=MAX_PORT)]
Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(max_length=255, pattern=LINE)]
IdTag = Annotated[str, msgspec.Meta(max_length=36, pattern=LINE)]
"""A token: up to 20 characters in 1.6, up to 36 in 2.0.1."""


class OcppInvalid(ValueError):
    """A frame that is not what OCPP says; `pointer` (RFC 6901) is the member at fault."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or '/'}: {detail}")
        self.pointer = pointer
        self.detail = detail


class SampledValue(msgspec.Struct, frozen=True, gc=False):
    """One reading: text in 1.6, a number in 2.0.1; without a measurand it is the meter's total."""

    value: str | float
    measurand: Text = "Energy.Active.Import.Register"
    phase: Text | None = None
    unit: Text | None = None
    unit_of_measure: Mapping[str, Any] | None = msgspec.field(default=None, name="unitOfMeasure")


class MeterValue(msgspec.Struct, frozen=True, gc=False):
    """Readings of one instant."""

    timestamp: datetime
    sampled: list[SampledValue] = msgspec.field(name="sampledValue")


class Status16(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """StatusNotification of 1.6; connector 0 is the whole station."""

    connector_id: Port
    error_code: Text
    status: Literal[
        "Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing", "Reserved", "Unavailable",
        "Faulted",
    ]  # fmt: skip
    timestamp: datetime | None = None


class Start16(Private, frozen=True, kw_only=True, rename="camel"):
    """StartTransaction of 1.6; `meter_start` in Wh."""

    connector_id: Port
    id_tag: IdTag
    meter_start: Number
    timestamp: datetime


class Stop16(Private, frozen=True, kw_only=True, rename="camel"):
    """StopTransaction of 1.6; `meter_stop` in Wh."""

    transaction_id: Number
    meter_stop: Number
    timestamp: datetime
    reason: Text = "Local"
    transaction_data: list[MeterValue] = []


class Meter16(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """MeterValues of 1.6."""

    connector_id: Port
    transaction_id: Number | None = None
    meter_value: list[MeterValue]


class Status201(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """StatusNotification of 2.0.1."""

    timestamp: datetime
    connector_status: Literal["Available", "Occupied", "Reserved", "Unavailable", "Faulted"]
    evse_id: Port
    connector_id: Port


class Transaction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The transaction of an event of 2.0.1."""

    transaction_id: Annotated[str, msgspec.Meta(min_length=1, max_length=36, pattern=LINE)]
    charging_state: Literal["Charging", "EVConnected", "SuspendedEV", "SuspendedEVSE", "Idle"] | None = None
    stopped_reason: Text | None = None


class IdToken(Private, frozen=True, kw_only=True, rename="camel"):
    """A token of 2.0.1."""

    id_token: IdTag
    type: Text


class Evse201(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The port of an event of 2.0.1."""

    id: Port
    connector_id: Port | None = None


class Event201(Private, frozen=True, kw_only=True, rename="camel"):
    """TransactionEvent of 2.0.1."""

    event_type: Literal["Started", "Updated", "Ended"]
    timestamp: datetime
    trigger_reason: Text
    seq_no: Number
    transaction_info: Transaction
    evse: Evse201 | None = None
    id_token: IdToken | None = None
    meter_value: list[MeterValue] = []


class Result16(msgspec.Struct, frozen=True, rename="camel"):
    """What a StartTransaction of 1.6 was answered: the number by which its transaction goes on."""

    transaction_id: Number


class Alive(msgspec.Struct, frozen=True):
    """Any other call: a sign of life."""


Payload = Status16 | Start16 | Stop16 | Meter16 | Status201 | Event201 | Result16 | Alive


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of a station that matters: its message id and what it says."""

    id: str
    payload: Payload


_KINDS: Final[Mapping[str, tuple[tuple[str, type[Payload]], ...]]] = {
    "StatusNotification": (("connectorStatus", Status201), ("", Status16)),
    "StartTransaction": (("", Start16),),
    "StopTransaction": (("", Stop16),),
    "MeterValues": (("evseId", Alive), ("", Meter16)),
    "TransactionEvent": (("", Event201),),
}
"""The payload's kind by the action, and by the member that only one version has. Readings of 2.0.1 that are of no
transaction say nothing of a session."""

_AT = re.compile(r"(?P<detail>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def read(frame: object) -> Frame | None:
    """The frame of decoded JSON; None for one that says nothing to us: an error, or a result of anything else.

    Raises OcppInvalid, which names the member at fault and never what it holds.
    """
    match frame:
        case [2, id_, str(action), dict(payload)]:
            kinds = _KINDS.get(action, (("", Alive),))
            kind = next(kind for member, kind in kinds if not member or member in payload)
            return Frame(id=_checked(id_, MessageId, "/1"), payload=_checked(payload, kind, "/3"))
        case [3, id_, dict(payload)]:
            if not isinstance(payload.get("transactionId"), int):
                return None
            return Frame(id=_checked(id_, MessageId, "/1"), payload=_checked(payload, Result16, "/2"))
        case [4, *_]:
            return None
    raise OcppInvalid("", "a frame is [2, id, action, payload] or [3, id, payload] (OCPP-J)")


def instant(moment: datetime) -> int:
    """Epoch milliseconds of a timestamp; one without a zone is UTC, as stations of 1.6 often write it."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _checked(value: object, kind: Any, root: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        told = _AT.fullmatch(str(error))
        path = (told and told["path"]) or ""
        steps = "".join(f"/{name or number}" for name, number in _STEP.findall(path))
        raise OcppInvalid(root + steps, told["detail"] if told else str(error)) from None
