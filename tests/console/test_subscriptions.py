"""The page of subscriptions: how each stands, and what an operator does about it."""

from typing import Any

import pytest

from notifier.domain.changes import Change, behind
from notifier.domain.clock import HOUR
from notifier.domain.deliveries import State
from notifier.domain.ids import make_id
from notifier.domain.subscriptions import Subscription, SubscriptionDetails, make_secret
from notifier.store.console import subscriptions
from notifier.store.core.database import Database
from notifier.store.core.staff import audit
from notifier.store.delivery import changes
from notifier.store.reading import changes as log
from tests.console.conftest import Enter, signed_in
from tests.samples import NOW


async def subscribe(database: Database, id_: str, **stands: Any) -> Subscription:
    """A subscription, and a delivery that was sent since."""
    made = Subscription(
        id=id_, key_id=make_id("key"), details=SubscriptionDetails(url=f"https://{id_}.example/changes", owner="Ada"),
        secret=make_secret(), created_at=NOW, due_at=NOW, place=await log.newest(database), **stands,
    )  # fmt: skip
    await subscriptions.add(database, made, "test")
    change = Change(delivery_id=make_id(id_), state=State.SENT, at=NOW, attempts=1)
    await database.buckets[0].write(lambda connection: changes.add(connection, [change]))
    return made


async def test_the_page_tells_how_each_subscription_stands(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    database = visitor.engine.database
    await subscribe(database, "csms", answer="204", answered_at=NOW)
    await subscribe(database, "billing", failures=7, failing_since=NOW - HOUR, answer="503", answered_at=NOW)
    gone = await subscribe(database, "roaming", paused="gone", paused_at=NOW - HOUR, answer="410", answered_at=NOW)

    page = (await visitor.get("/subscriptions")).body

    for told in ("being told", "failing, 7 tries", "Its endpoint answered 410, gone.", "https://csms.example/changes"):
        assert told in page
    assert "Resume" not in page
    assert gone.secret not in page


async def test_an_operator_pauses_resumes_and_replays_and_the_audit_says_so(enter: Enter) -> None:
    visitor = await signed_in(enter, "operator")
    database = visitor.engine.database
    made = await subscribe(database, "csms")
    end = await log.newest(database)
    await subscriptions.change(database, "csms", lambda _held: {"place": end}, NOW, "test", "changed")
    await visitor.get("/subscriptions")

    found = []
    for action, fields in (("pause", {}), ("resume", {}), ("replay", {"hours": "6"})):
        answer = await visitor.post(f"/subscriptions/{action}", id="csms", **fields)
        held = await subscriptions.get(database, "csms")
        assert (answer.status, held is not None) == (303, True)
        found.append((held.paused, behind(held.place, await log.newest(database))) if held else None)

    assert found == [("by_hand", 0), (None, 0), (None, behind(made.place, end))]
    by_hand = {entry.action for entry in await visitor.rows(audit) if entry.actor == "console:operator"}
    assert by_hand >= {"subscription.paused", "subscription.resumed", "subscription.replayed"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_there_is_not_is_not_found(enter: Enter) -> None:
    visitor = await signed_in(enter, "operator")
    await visitor.get("/subscriptions")

    assert (await visitor.post("/subscriptions/pause", id="nobody")).status == 404
    assert (await visitor.post("/subscriptions/replay", id="nobody", hours="5000")).status == 400
