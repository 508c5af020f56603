"""Deliveries for pages to show, and those that a page shows."""

import re
from itertools import cycle
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import HOUR, SECOND
from notifier.domain.events import undated_id
from notifier.domain.ids import dated, make_id
from notifier.store.core import buckets
from tests.console.conftest import Visitor
from tests.samples import NOW
from tests.states import put
from tests.written import write_events

PEOPLE = ("ada", "cem", "dana", "eva", "finn", "gil", "hana", "ida", "jo", "kim", "lea")
"""Those whom the texts go to, one after the other: they live in several buckets, where there are any."""


async def fill(visitor: Visitor, number: int, **given: Any) -> list[str]:
    """The ids of so many texts, newest first, each of an event of its own a second after the other."""
    happened = {"source": "csms/berlin", "type": "charging.complete", "digest": "", "deliveries": 1}
    happened["data"] = '{"session_id":"101"}'
    text = {
        "type": "charging-complete",
        "channel": "sms",
        "target": "",
        "lane": "urgent",
        "subject_key": make_id("101"),
    }
    kept = {"state": "sent", "reason": None, "attempts": 1, **given}
    times = [NOW + each * SECOND for each in range(number)]
    of = [
        {**happened, "id": event_of(at), "source_id": str(at), "subject": f"S-{at}"}
        | {"occurred_at": at, "accepted_at": at, "decided_at": at}
        for at in times
    ]
    made = [
        {**text, **kept, "id": make_id("delivery", str(at)), "event_id": event_of(at)}
        | {"created_at": at, "updated_at": at, "due_at": at, "expires_at": at + HOUR}
        for at in times
    ]
    whose = [given.get("recipient_id", name) for name, _ in zip(cycle(PEOPLE), times, strict=False)]
    database = visitor.engine.database
    for there in database.buckets:
        mine = [place for place, name in enumerate(whose) if buckets.of(database, name) is there]

        async def write(connection: AsyncConnection, mine: list[int] = mine) -> None:
            await write_events(connection, [of[place] for place in mine])
            await put(connection, *({"recipient_id": whose[place], **made[place]} for place in mine))

        if mine:
            await there.write(write)
    return [make_id("delivery", str(at)) for at in reversed(times)]


def event_of(at: int) -> str:
    """The id of the event that happened at an instant."""
    return dated(undated_id("csms/berlin", str(at)), at)


def listed(body: str) -> list[str]:
    """The deliveries that a page's table leads to."""
    return re.findall(r'<a class="id" href="/console/(?:deliveries|events)/([0-9a-f]{32})">', body)
