"""Trace contexts (W3C Trace Context 1): which trace a request or an event belongs to, and whether it is recorded."""

import re
from typing import Any, Final

import msgspec

_PARENT: Final = re.compile(r"(?P<version>[0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?P<more>-.*)?")
_STATE: Final = re.compile(r"[ !#-\[\]-~\t]{0,512}")
"""512 characters is what the standard asks everybody to pass on. Without quotes and backslashes, it stands in JSON as
it is."""
_NONE: Final = ("0" * 32, "0" * 16)
_SAMPLED: Final = 1
_MEMBER: Final = ',"~trace":"'
"""How a context begins that is kept with an event's data: no member of theirs has such a name, and within a string of
JSON its quotes would be escaped."""


class TraceContext(msgspec.Struct, frozen=True):
    """A span's place: the ids of its trace and of itself in hex digits, whether it is recorded, and what vendors add
    (`tracestate`)."""

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""

    @property
    def parent(self) -> str:
        """The context as a header `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def read_context(traceparent: Any, tracestate: Any = None) -> TraceContext | None:
    """Return the context that a `traceparent` gives; None where it is none: the standard then has a new trace begin. A
    `tracestate` that can't be read is left out."""
    found = _PARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace_id, span_id, flags = found.group(2, 3, 4)
    if trace_id == _NONE[0] or span_id == _NONE[1]:
        return None
    state = tracestate if isinstance(tracestate, str) and _STATE.fullmatch(tracestate) else ""
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), state)


def with_context(data: msgspec.Raw, context: TraceContext | None) -> msgspec.Raw:
    """Return an event's data, as JSON with a member at least, with the context under which the event was accepted."""
    if context is None:
        return data
    kept = f"{context.parent} {context.state}".rstrip()
    return msgspec.Raw(bytes(data)[:-1] + f'{_MEMBER}{kept}"}}'.encode())


def parted(document: str) -> tuple[str, TraceContext | None]:
    """Return what `with_context` has put together: an event's data, and the context, None where there is none."""
    if "~" not in document:  # which most documents are told by, at a tenth of the cost
        return document, None
    data, found, kept = document.rpartition(_MEMBER)
    if not found:
        return document, None
    return data + "}", read_context(*kept.removesuffix('"}').partition(" ")[::2])
