"""What a newer release has written, which has a channel that this one doesn't know: met while one is rolled out."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import HOUR, MINUTE
from notifier.domain.events import undated_id
from notifier.domain.ids import dated, make_id
from notifier.domain.recipients import RecipientDetails
from notifier.store.core import buckets
from notifier.store.core.database import Database
from notifier.store.core.schema import consent, decision, preference_change, recipient, tenant
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests import everywhere
from tests.pipeline.samples import COMPLETE
from tests.samples import NOW
from tests.states import put
from tests.written import write_events

PIGEON: Final = "carrier-pigeon"
LOFT: Final = {"loft": "roof-4", "ring": "a secret that nobody here knows to be one"}
CHOSEN: Final = {"channels": {PIGEON: False}, "switches": {"charging": {PIGEON: True}}}
PRESET: Final = {"switches": {"charging": {PIGEON: False}}, "locked": {"charging": [PIGEON]}}
AGREED: Final = {"offers": {PIGEON: True}}

EVENT: Final = dated(undated_id("csms", "17"), NOW - MINUTE)
STATES: Final = (
    "pending",
    "sending",
    "unknown",
    "sent",
    "delivered",
    "failed",
    "undelivered",
    "suppressed",
    "collected",
)
IDS: Final = {state: make_id("pigeon", state) for state in STATES}


async def write(database: Database) -> None:
    """Ada, what she and her network chose of the channel, and a delivery by it in each state, all of them due."""
    await recipients.put(database, {"ada": RecipientDetails(phone="+4915123456789")}, NOW - HOUR)
    statements: list[tuple[Any, dict[str, Any]]] = [
        (sa.update(recipient), {
            "addresses": _json({PIGEON: LOFT}), "preferences": _json(CHOSEN), "consents": _json(AGREED),
        }),
        (sa.insert(tenant), {"name": "network", "defaults": _json(PRESET), "updated_at": 1}),
        (sa.insert(preference_change), {
            "id": make_id("1"), "recipient_id": "ada", "at": 1, "actor": "app", "preferences": _json(CHOSEN),
        }),
        (sa.insert(consent), {
            "id": make_id("1"), "recipient_id": "ada", "at": 1, "category": "offers", "channel": PIGEON, "granted": 1,
            "wording": "v1", "source": "app", "actor": "app",
        }),
        (sa.insert(decision), {
            "event_id": EVENT, "type": "charging-complete", "recipient_id": "ada", "decided_at": NOW - MINUTE,
            "answers": _json([_answer(state) for state in STATES]), "standing": _json(_standing()),
        }),
    ]  # fmt: skip
    told = {
        "id": EVENT, "source": "csms", "source_id": "17", "type": "charging.complete", "occurred_at": NOW - MINUTE,
        "accepted_at": NOW - MINUTE, "digest": "", "data": _json(COMPLETE), "decided_at": NOW - MINUTE,
        "deliveries": len(STATES),
    }  # fmt: skip

    async def work(connection: AsyncConnection) -> None:
        await write_events(connection, [told])
        for statement, values in statements:
            await connection.execute(statement.values(values))
        await put(connection, *map(_delivery, STATES))

    await buckets.of(database, "ada").write(work)


async def rows(database: Database) -> dict[str, Any]:
    """The deliveries by that channel, by their ids."""
    query = sa.select(delivery).where(delivery.c.channel == PIGEON)
    return {row.id: row for row in await everywhere.read(database, query, delivery)}


async def held(database: Database, column: str) -> Any:
    """A document of Ada's row."""
    ((document,),) = await everywhere.read(database, sa.select(recipient.c[column]), recipient)
    return msgspec.json.decode(document or "{}")


def _delivery(state: str) -> dict[str, Any]:
    ended = {"reason": "refused", "code": "hawk"} if state in ("failed", "undelivered") else {}
    tried = {"started_at": NOW - MINUTE, "provider": "loft", "answer": "refused"} if state == "failed" else {}
    sent = {"locale": "en", "content_hash": "0" * 32, "version": 1, "provider": "loft", "provider_reference": "feather"}
    digest = {"digest_id": IDS["pending"]} if state == "collected" else {}
    return {
        "id": IDS[state], "event_id": EVENT, "recipient_id": "ada", "type": "charging-complete", "channel": PIGEON,
        "target": "", "lane": "urgent", "subject_key": make_id("about", state), "state": state,
        "created_at": NOW - MINUTE, "updated_at": NOW - MINUTE, "due_at": NOW - MINUTE, "expires_at": NOW + HOUR,
        "attempts": 1,
        "next_check_at": NOW - MINUTE if state in ("pending", "sending", "unknown") else None,
        **(sent if state in ("sent", "delivered") else {}), **ended, **tried, **digest,
    }  # fmt: skip


def _answer(state: str) -> list[Any]:
    return [PIGEON, IDS[state], "pending", "type", None, MINUTE]


def _standing() -> list[Any]:
    named = {
        "preferences": CHOSEN, "defaults": [["network", PRESET]], "consents": AGREED, "suppressed": {PIGEON: "bounced"},
    }  # fmt: skip
    return ["en", "UTC", [PIGEON, "sms"], named]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
