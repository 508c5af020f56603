"""Deliveries for pages to show, and those that a page shows."""

import re

import sqlalchemy as sa

from notifier.domain.clock import HOUR, SECOND
from notifier.domain.deliveries import make_id
from notifier.store.core.schema import delivery, event
from tests.console.conftest import Visitor
from tests.samples import NOW


async def fill(visitor: Visitor, number: int, **given: object) -> list[str]:
    """The ids of so many texts, newest first, each of an event of its own a second after the other."""
    happened = {"source": "csms/berlin", "type": "charging.complete", "digest": "", "data": "{}", "deliveries": 1}
    text = {"type": "charging-complete", "channel": "sms", "target": "", "lane": "urgent", "about": make_id("101")}
    kept = {"recipient_id": "ada", "state": "sent", "reason": None, "attempts": 1, **given}
    times = [NOW + each * SECOND for each in range(number)]
    of = [
        {**happened, "id": make_id("event", "csms/berlin", str(at)), "source_id": str(at), "subject": f"S-{at}"}
        | {"occurred_at": at, "accepted_at": at, "decided_at": at}
        for at in times
    ]
    made = [
        {**text, **kept, "id": make_id("delivery", str(at)), "event_id": make_id("event", "csms/berlin", str(at))}
        | {"created_at": at, "updated_at": at, "due_at": at, "expires_at": at + HOUR}
        for at in times
    ]
    async with visitor.engine.database.engine.begin() as connection:
        await connection.execute(sa.insert(event), of)
        await connection.execute(sa.insert(delivery), made)
    return [make_id("delivery", str(at)) for at in reversed(times)]


def listed(body: str) -> list[str]:
    """The deliveries that a page's table leads to."""
    return re.findall(r'<a class="id" href="/console/(?:deliveries|events)/([0-9a-f]{32})">', body)
