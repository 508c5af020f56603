"""CloudEvents 1.0 over HTTP: structured, binary and batch, decoded straight into what the store takes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec

from notifier.domain.catalog import Catalog, EventType
from notifier.domain.clock import to_instant
from notifier.domain.errors import Problem
from notifier.domain.events import undated_id
from notifier.domain.headers import attributes
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.domain.sayable import make_check
from notifier.domain.text import LINE
from notifier.domain.trace_context import TraceContext, read_context
from notifier.domain.twins import twin

MAX_BATCH = 1000  # events in one call: the transaction that writes them stays under 50 ms
MAX_EVENT = 64 * 1024  # bytes: CloudEvents 1.0 §5 asks every intermediary to take this much
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=LINE)]
Attribute = Annotated[str, msgspec.Meta(min_length=1)]
Extension = Annotated[Any, msgspec.Meta(extra_json_schema={"type": "string"})]
"""An attribute that never makes an event one that can't be taken, whatever it is."""
TypeName = EventType

check_time = make_check({"time": "time"})
"""Checks an event's `time`; raises a ValueError that names the field."""


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope (CloudEvents 1.0 §3): other attributes are let through and dropped. Data is JSON, as it is or
    in Base64, as SDKs send bytes. `traceparent` and `tracestate` are the extension for distributed tracing."""

    specversion: Literal["1.0"]
    id: Line
    source: Line
    type: TypeName
    subject: Line | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    datacontenttype: Attribute | None = None
    dataschema: Attribute | None = None
    traceparent: Extension = None
    tracestate: Extension = None
    data_base64: bytes | None = None
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b""))

    def __post_init__(self) -> None:
        check_time(self)


class CheckedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that fits: known type, data as the type's schema has it and nothing besides.

    `digest` tells it from another event that claims the same source and id. `trace` is the context that it came with
    itself, or that it is accepted under.
    """

    id: str
    source: str
    source_id: str
    type: str
    subject: str | None
    occurred_at: int
    digest: str
    data: msgspec.Raw
    trace: TraceContext | None = None

    def as_test(self) -> "CheckedEvent":
        """The event of the type's twin: what a test key reports."""
        id_ = undated_id(self.source, self.source_id, test=True)
        return msgspec.structs.replace(self, id=id_, type=twin(self.type))


class EventReader:
    """Decodes events for one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._envelope = msgspec.json.Decoder(CloudEvent)
        self._parts = msgspec.json.Decoder(list[msgspec.Raw])
        self._whom = {name: catalog.whom(name) for name in catalog.event_types}
        self._data = {name: msgspec.json.Decoder(model) for name, model in catalog.models.items()}

    def structured(self, body: bytes, now: int) -> CheckedEvent | Problem:
        """Read one event from structured-mode JSON."""
        if len(body) > MAX_EVENT:
            return problem(41301, f"the event has {len(body)} bytes; the limit is {MAX_EVENT}")
        try:
            return self._check(self._envelope.decode(body), now)
        except UNDECODABLE as error:
            return from_decoding(40002, error)

    def batch(self, body: bytes, now: int) -> list[CheckedEvent | Problem]:
        """Read each event of a JSON array on its own; raises Problem if the array itself is invalid."""
        try:
            parts = self._parts.decode(body)
        except UNDECODABLE as error:
            raise from_decoding(40002, error) from None
        if len(parts) > MAX_BATCH:
            raise problem(41301, f"the batch has {len(parts)} events; the limit is {MAX_BATCH}")
        return [self.structured(bytes(part), now) for part in parts]

    def binary(self, headers: Iterable[tuple[bytes, bytes]], body: bytes, now: int) -> CheckedEvent | Problem:
        """One event whose attributes are `ce-` headers, their names in small letters, and whose data is the body."""
        if len(body) > MAX_EVENT:
            return problem(41301, f"the event has {len(body)} bytes; the limit is {MAX_EVENT}")
        try:
            envelope = msgspec.convert({**attributes(headers), "data": msgspec.Raw(body)}, CloudEvent)
            return self._check(envelope, now)
        except Problem as error:
            return error
        except UNDECODABLE as error:
            return from_decoding(40002, error)

    def made(
        self, type_: str, source: str, source_id: str, subject: str, at: int, data: Mapping[str, Any]
    ) -> CheckedEvent:
        """An event that this process makes itself, such as one inferred from OCPI; raises Problem where it doesn't
        fit.
        """
        envelope = CloudEvent(specversion="1.0", id=source_id, source=source, type=type_, subject=subject)
        return self._checked(envelope, at, msgspec.json.encode(data))

    def _check(self, envelope: CloudEvent, now: int) -> CheckedEvent | Problem:
        at = now if envelope.time is None else to_instant(envelope.time)
        data = bytes(envelope.data)
        if envelope.data_base64 is not None:
            if data:
                return problem(40002, "the event has both data and data_base64; give one of them", "/data_base64")
            data = envelope.data_base64
        try:
            return self._checked(envelope, at, data or b"{}")
        except Problem as error:
            return error

    def _checked(self, envelope: CloudEvent, at: int, data: bytes) -> CheckedEvent:
        decoder = self._data.get(envelope.type)
        if decoder is None:
            known = ", ".join(self._catalog.event_types)
            raise problem(42201, f"{envelope.type!r} is not known; known are {known}", "/type")
        try:
            decoded = decoder.decode(data)
        except UNDECODABLE as error:
            raise from_decoding(42202, error, "/data") from None
        whom = self._whom[envelope.type]
        if whom and all(getattr(decoded, name) is None for name in whom):
            raise problem(42202, f"the data names no audience; give {' or '.join(whom)}", "/data")
        fitting = msgspec.json.encode(decoded)
        told = (envelope.type, envelope.subject or "", str(at) if envelope.time else "")
        return CheckedEvent(
            id=undated_id(envelope.source, envelope.id),
            source=envelope.source,
            source_id=envelope.id,
            type=envelope.type,
            subject=envelope.subject,
            occurred_at=at,
            digest=blake2b("\x1f".join(told).encode() + b"\x1f" + fitting, digest_size=16).hexdigest(),
            data=msgspec.Raw(fitting),
            trace=None if envelope.traceparent is None else read_context(envelope.traceparent, envelope.tracestate),
        )
