"""Views of events and attempts, shared by dead letters and explanations."""

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from notifier.domain.clock import to_datetime
from notifier.domain.deliveries import HeldChannel, channel_of
from notifier.providers.spec import codes
from notifier.store.reading.tries import AttemptRecord


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt at the provider: the provider's own code, and its meaning."""

    number: int
    started_at: datetime
    ended_at: datetime
    provider: str
    outcome: str
    code: str | None
    meaning: str | None


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """The event behind a delivery, as its source named it; `test` where a test key reported it."""

    id: str
    type: str
    test: bool
    source: str
    source_id: str
    subject: str | None
    occurred_at: datetime
    accepted_at: datetime


def meaning(channel: HeldChannel | None, code: str | None) -> str | None:
    """The meaning of a provider's code, from its channel's `codes.toml`; None where the code isn't listed."""
    known = None if channel is None else channel_of(channel)
    table = None if known is None else codes(known)
    if table is None or code is None:
        return None
    listed = table.codes
    row = listed.get(code) or listed.get(re.sub(r"(?<!\S)(\d)\d\d$", r"\1xx", code))
    return None if row is None else row.meaning


def attempts(channel: HeldChannel | None, tried: Iterable[AttemptRecord]) -> list[AttemptView]:
    """Attempts at a channel's providers, with their codes' meaning."""
    return [
        AttemptView(
            number=each.number, started_at=to_datetime(each.started_at), ended_at=to_datetime(each.ended_at),
            provider=each.provider, outcome=each.outcome, code=each.code, meaning=meaning(channel, each.code),
        )
        for each in tried
    ]  # fmt: skip
