"""The team that owns a subscription hears that it was paused by itself, as anybody hears of anything."""

import dataclasses
import json
from typing import Any

import msgspec
import pytest
import structlog

from notifier.changes import handling
from notifier.changes.owners import PAUSED, Owners
from notifier.changes.pump import Pump
from notifier.channels.email.sandbox.message import ReceivedMail
from notifier.domain.catalog import Catalog
from notifier.domain.clock import HOUR, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.keys import ApiKey, make_key
from notifier.domain.recipients import RecipientDetails
from notifier.domain.subscriptions import GIVE_UP, Paused, Subscription, make_secret
from notifier.domain.twins import twin
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.store.console import keys, subscriptions
from notifier.store.core.database import Database
from notifier.store.core.schema import event, open_event
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from notifier.store.reading import changes as log
from tests import everywhere
from tests.changes.conftest import Subscriber, happen
from tests.named import EMAIL
from tests.samples import CATALOG, NOW

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TEAM = "csms-team"


@pytest.fixture
async def owned(database: Database, subscription: Subscription, clock: ManualClock) -> None:
    """The subscription has an owner, of whom two have a mailbox."""
    await subscriptions.change(database, "csms", lambda _held: {"owner": TEAM}, clock.now(), "test", "changed")
    team = {
        id_: RecipientDetails(email=f"{id_}@example.com", teams=[TEAM, "other"], time_zone="Europe/Berlin")
        for id_ in ("ada", "bea")
    }
    stranger = {"cleo": RecipientDetails(email="cleo@example.com", teams=["csms"])}
    await recipients.put(database, team | stranger, NOW)


async def told(database: Database) -> list[dict[str, Any]]:
    """The data of what was reported of paused subscriptions."""
    found = {row.id: row.data for row in await everywhere.rows(database, event) if row.type == PAUSED}
    return [json.loads(data) for data in found.values()]


async def send(engine: WorkerEngine) -> None:
    """Decide what waits, and send the mails that come of it."""
    await everywhere.decide(engine, [row.id for row in await everywhere.rows(engine.database, open_event)])
    for each in engine.buckets:
        mails = await everywhere.rows(each.database, delivery)
        await deliver(each, EMAIL, [row.id for row in mails if (row.channel, row.state) == (EMAIL, State.PENDING)])


def mails(sandbox: Sandbox) -> dict[str, str]:
    """The text of each mail by whom it is for."""
    found = [(each.to, each.content) for each in sandbox.ledger.entries if isinstance(each.content, ReceivedMail)]
    told = {to: str(content.parsed().get_body(("plain",)).get_content()) for to, content in found}  # type: ignore[union-attr]
    assert len(told) == len(found)
    return told


@pytest.mark.usefixtures("owned")
async def test_the_team_that_owns_a_subscription_hears_once_that_it_was_paused(
    database: Database, engine: WorkerEngine, sandbox: Sandbox, pump: Pump, subscriber: Subscriber, clock: ManualClock
) -> None:
    # Given an endpoint that fails until nobody asks it any more
    subscriber.statuses = [503, 503]
    await happen(database, ("p1", State.SENT))
    for pause in (GIVE_UP, HOUR, HOUR):
        await pump.tell(["csms"])
        clock.advance(pause)

    # When what was reported is decided and sent
    await send(engine)

    # Then everybody of the team has one mail, which says which and why, and nobody else has
    sent = mails(sandbox)
    assert set(sent) == {"ada@example.com", "bea@example.com"}
    for text in sent.values():
        assert "Subscription csms is paused" in text
        assert "127.0.0.1 hasn’t accepted anything for three days." in text
        assert "Last answer: 503" in text
    (data,) = await told(database)
    assert (data["team"], data["reason"]) == (TEAM, "failing")


@pytest.mark.usefixtures("owned")
@on_sqlite
@pytest.mark.parametrize("why", ["gone", "key_lost", "past_retention"])
async def test_it_is_told_why(
    database: Database, pump: Pump, subscriber: Subscriber, clock: ManualClock, key: ApiKey, why: Paused
) -> None:
    await happen(database, ("p1", State.SENT))
    subscriber.statuses = [410]
    if why == "key_lost":
        await keys.revoke(database, key.id, clock.now(), "test")
    if why == "past_retention":
        beyond = tuple(each + 9 for each in await log.newest(database))
        await subscriptions.change(database, "csms", lambda _held: {"place": beyond}, clock.now(), "test", "replayed")

    await pump.tell(["csms"])

    (data,) = await told(database)
    assert (data["reason"], data.get("answer")) == (why, "410" if why == "gone" else None)


@pytest.mark.usefixtures("owned")
@on_sqlite
async def test_a_test_keys_subscription_reaches_nobody(
    database: Database, engine: WorkerEngine, sandbox: Sandbox, pump: Pump, subscriber: Subscriber, clock: ManualClock
) -> None:
    _, key = make_key("csms", frozenset({"subscriptions:write"}), clock.now(), test=True)
    await keys.add(database, key)
    await subscriptions.change(database, "csms", lambda _held: {"key_id": key.id}, clock.now(), "test", "changed")
    subscriber.statuses = [410]
    await happen(database, ("p1", State.SENT), type_=twin("charging.complete"))

    await pump.tell(["csms"])
    await send(engine)

    assert len(subscriber.requests) == 1
    assert await told(database) == []
    assert mails(sandbox) == {}
    decided = [row.type for row in await everywhere.rows(database, delivery) if row.recipient_id == "ada"]
    assert set(decided) == {twin("subscription-paused")}


@pytest.mark.usefixtures("owned")
@on_sqlite
async def test_it_is_told_of_each_time_and_not_of_what_somebody_did(
    database: Database, engine: WorkerEngine, pump: Pump, subscriber: Subscriber, clock: ManualClock
) -> None:
    await happen(database, ("p1", State.SENT))
    await handling.pause(engine, "csms", "test")
    assert await told(database) == []

    for number in (1, 2):
        subscriber.statuses = [410]
        clock.advance(HOUR)
        await handling.resume(engine, "csms", "test")
        await pump.tell(["csms"])
        await pump.tell(["csms"])
        assert len(await told(database)) == number


@pytest.mark.usefixtures("owned")
@on_sqlite
async def test_what_is_told_of_one_subscription_pauses_no_other_for_ever(
    database: Database, engine: WorkerEngine, pump: Pump, subscription: Subscription, subscriber: Subscriber,
    clock: ManualClock,
) -> None:  # fmt: skip
    # Given two whose endpoints are gone, of which one hears of what the other's owner is told
    details = msgspec.structs.replace(subscription.details, owner=TEAM)
    other = msgspec.structs.replace(subscription, id="other", details=details, secret=make_secret())
    await subscriptions.add(database, other, "test")
    subscriber.statuses = [410] * 10
    await happen(database, ("p1", State.SENT))
    await pump.tell(["csms"])

    # When all that comes of it is sent and told, again and again
    for _ in range(4):
        await send(engine)
        clock.advance(HOUR)
        await pump.tell(["csms", "other"])

    # Then each was told of once
    assert sorted(each["subscription"] for each in await told(database)) == ["csms", "other"]
    assert len(subscriber.requests) == 2


@on_sqlite
@pytest.mark.parametrize("owner", ["", "call Ada", "  "])
async def test_an_owner_that_nobody_is_called_is_told_nothing(
    database: Database, engine: WorkerEngine, sandbox: Sandbox, pump: Pump, subscription: Subscription,
    subscriber: Subscriber, clock: ManualClock, owner: str,
) -> None:  # fmt: skip
    await subscriptions.change(database, "csms", lambda _held: {"owner": owner}, clock.now(), "test", "changed")
    subscriber.statuses = [410]
    await happen(database, ("p1", State.SENT))

    await pump.tell(["csms"])
    await send(engine)

    # Then it is paused all the same, and where there was anything to tell it is known why nobody heard of it
    held = await subscriptions.get(database, "csms")
    assert held is not None
    assert held.paused == "gone"
    assert mails(sandbox) == {}
    reasons = [row.reason for row in await everywhere.rows(database, delivery) if row.type == "subscription-paused"]
    assert reasons == (["unknown_recipient"] if owner.strip() else [])


@pytest.mark.usefixtures("owned")
@on_sqlite
async def test_a_network_without_the_notification_type_tells_nobody(
    database: Database, engine: WorkerEngine, subscription: Subscription
) -> None:
    others = [kind for kind in CATALOG.types.values() if kind.event != PAUSED]
    details = msgspec.structs.replace(subscription.details, owner=TEAM)
    owners = Owners(dataclasses.replace(engine, catalog=Catalog(others, CATALOG.regulation)))

    await owners.tell(msgspec.structs.replace(subscription, details=details, paused="gone", paused_at=NOW))

    assert await told(database) == []


@on_sqlite
async def test_a_store_that_is_away_is_said_and_keeps_nobody_up(
    engine: WorkerEngine, subscription: Subscription
) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing", connections=1)
    details = msgspec.structs.replace(subscription.details, owner=TEAM)

    with structlog.testing.capture_logs() as said:
        await Owners(dataclasses.replace(engine, database=away)).tell(
            msgspec.structs.replace(subscription, details=details, paused="gone", paused_at=NOW)
        )

    assert [(each["event"], each["subscription"]) for each in said] == [("changes.owner_not_told", "csms")]
    await away.close()
