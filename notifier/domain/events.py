"""An event: what an upstream service says has happened."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from notifier.domain.ids import make_id
from notifier.domain.trace_context import TraceContext

BLANK: Final = "{}"
"""The data of an event, as JSON, that are no longer kept: every type's data have a required member, so that no event is
accepted with as little."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted event; `source` and `source_id` are CloudEvents' `source` and `id`.

    `occurred_at` is the producer's time and `accepted_at` ours, both epoch milliseconds. `data` fits the schema of the
    notification types that listen to `type`. `cursor` is the last recipient that was looked at, where it speaks to a
    segment that is decided in part. `first_seen` is when the first event with the same collapse key was accepted, by
    notification type. `audiences` are the audience keys that a copy of it is decided for, None where it is no copy.
    `ahead` is, by audience key, how many people in other buckets have their turn before each one here, in their order.
    `trace` is the context of its acceptance, where that is traced.
    """

    id: str
    source: str
    source_id: str
    type: str
    subject: str | None
    occurred_at: int
    accepted_at: int
    digest: str
    data: dict[str, Any]
    cursor: str | None = None
    first_seen: Mapping[str, int] = {}
    audiences: Collection[str] | None = None
    ahead: Mapping[str, Sequence[int]] = {}
    trace: TraceContext | None = None

    @property
    def is_blank(self) -> bool:
        """Whether its data are no longer kept."""
        return not self.data

    @property
    def starts_at(self) -> int:
        """From when the time to live counts: a producer's clock that runs fast doesn't lengthen it."""
        return min(self.occurred_at, self.accepted_at)


def undated_id(source: str, source_id: str, *, test: bool = False) -> str:
    """An event's id before it is dated: the same `source` and `id` are the same event (CloudEvents 1.0 §3.1). A test is
    another event than the one that it tests."""
    return make_id("test-event" if test else "event", source, source_id)
