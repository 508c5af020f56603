"""Export: all data about one person as one JSON document, streamed in pieces, so that a long history needs time but no
memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from notifier.domain.addresses import shown
from notifier.domain.clock import to_datetime
from notifier.domain.recipients import RecipientDetails
from notifier.domain.trace_context import parted
from notifier.store.core.buckets import of_person
from notifier.store.core.database import Database
from notifier.store.delivery.decisions import answers_told, facts_told
from notifier.store.people import consents, preferences, recipients
from notifier.store.reading import export
from notifier.store.reading.tries import ATTEMPT
from notifier.store.stations import alerts

ALL = 1_000_000  # entries of one person's preferences or consents: the most that can exist


class PreferenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """A person's preferences from `at` on, and who chose them."""

    at: datetime
    actor: str
    preferences: dict[str, Any]


class ConsentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the consent ledger: what was said and where (`source`), and who recorded it."""

    id: str
    at: datetime
    category: str
    channel: str
    granted: bool
    wording: str
    source: str
    actor: str


class Suppressed(msgspec.Struct, frozen=True, kw_only=True):
    """Why and since when the person's number (`sms`) or mailbox (`email`) is suppressed."""

    channel: str
    reason: str
    since: datetime


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt at a provider."""

    number: int
    started_at: datetime
    ended_at: datetime
    provider: str
    outcome: str
    code: str | None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The event behind a delivery."""

    id: str
    type: str
    source: str
    source_id: str
    subject: str | None
    occurred_at: datetime
    accepted_at: datetime
    data: dict[str, Any]


class ExportedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with its attempts and its event; and when the person saw, read and dismissed it, where an app reported
    that."""

    id: str
    type: str
    channel: str
    state: str
    reason: str | None
    code: str | None
    created_at: datetime
    updated_at: datetime
    due_at: datetime
    expires_at: datetime
    provider: str | None
    provider_reference: str | None
    locale: str | None
    time_zone: str | None
    content_hash: str | None
    seen_at: datetime | None
    read_at: datetime | None
    archived_at: datetime | None
    clicked_at: datetime | None
    attempts: list[Try]
    event: Cause


class ExportedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision for the person about an event (by its id), and the person's facts at the time."""

    event: str
    type: str
    decided_at: datetime
    answers: list[dict[str, Any]]
    standing: dict[str, Any] | None


class ExportedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """Where the person waited for a free port (`station`), which was offered (`port`), and how it ended."""

    station: str
    connector: str | None
    asked_at: datetime
    state: str
    until: datetime
    ended: str | None
    port: str | None


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """All data about one person; of their addresses without the secrets that prove to an endpoint who we are."""

    id: str
    recipient: RecipientDetails
    preference_history: list[PreferenceChange]
    consents: dict[str, dict[str, bool]]
    consent_ledger: list[ConsentRecord]
    suppressions: list[Suppressed]
    availability_alerts: list[ExportedAlert]
    deliveries: list[ExportedDelivery]
    decisions: list[ExportedDecision]


@of_person
async def export_recipient(database: Database, recipient_id: str) -> AsyncIterator[bytes] | None:
    """The pieces of an `Export` as JSON; None where there is no such recipient."""
    profile = await recipients.get(database, recipient_id)
    held = await consents.get(database, recipient_id, ALL)
    if profile is None or held is None:
        return None
    profile.pop("id", None)
    profile["addresses"] = shown(profile["addresses"])
    agreed, ledger = held
    changes = await preferences.history(database, recipient_id, ALL)
    suppressed = await export.suppressions(database, recipient_id)
    waits = [each.alert for each in await alerts.of_person(database, recipient_id)]
    head = {
        "id": recipient_id,
        "recipient": profile,
        "preference_history": [_told(msgspec.structs.asdict(each)) for each in changes],
        "consents": agreed,
        "consent_ledger": [_told(msgspec.structs.asdict(each)) for each in ledger],
        "suppressions": [_told(dict(row._mapping)) for row in suppressed],  # noqa: SLF001 (a public name)
        "availability_alerts": [
            ExportedAlert(
                station=each.location_id,
                connector=each.connector,
                asked_at=to_datetime(each.asked_at),
                state=each.state,
                until=to_datetime(each.until),
                ended=each.ended,
                port=each.evse_id,
            )
            for each in waits
        ],
    }
    return _pieces(database, recipient_id, head)


async def _pieces(database: Database, recipient_id: str, head: dict[str, Any]) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(head)[:-1]
    for name, page in (("deliveries", _sent), ("decisions", _decided)):
        yield b',"%b":[' % name.encode()
        async for piece in _listed(page, database, recipient_id):
            yield piece
        yield b"]"
    yield b"}"


Page = Callable[[Database, str, Any], Awaitable[tuple[Sequence[Any], list[dict[str, Any]]]]]


async def _listed(page: Page, database: Database, recipient_id: str) -> AsyncIterator[bytes]:
    last, comma = None, b""
    while True:
        found, told = await page(database, recipient_id, last)
        if not found:
            return
        yield comma + b",".join(map(msgspec.json.encode, told))
        last, comma = found[-1], b","


async def _sent(database: Database, recipient_id: str, after: Any) -> tuple[Sequence[Any], list[dict[str, Any]]]:
    found, tried = await export.deliveries(database, recipient_id, after)
    return found, [
        {
            **_told({name: getattr(row, name) for name in (*export.DELIVERY, *export.NOTE)}),
            "attempts": [_told({name: getattr(each, name) for name in ATTEMPT}) for each in tried[row.id]],
            "event": {
                "id": row.event_id,
                "type": row.event_type,
                **_told({name: getattr(row, name) for name in export.EVENT}),
                "data": msgspec.Raw(parted(row.data)[0].encode()),
            },
        }
        for row in found
    ]


async def _decided(database: Database, recipient_id: str, after: Any) -> tuple[Sequence[Any], list[dict[str, Any]]]:
    found = await export.decisions(database, recipient_id, after)
    return found, [
        {
            "event": row.event_id,
            "type": row.type,
            "decided_at": to_datetime(row.decided_at),
            "answers": answers_told(row),
            "standing": facts_told(row),
        }
        for row in found
    ]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its instants in RFC 3339."""
    return {
        name: to_datetime(value) if name in ("at", "since") or (name.endswith("_at") and value is not None) else value
        for name, value in row.items()
    }
