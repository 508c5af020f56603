"""The pump: subscribers are told everything at least once and in order, whatever they answer and whoever tells them."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from notifier.changes.pump import AGAIN, LEASE, Pump
from notifier.domain.changes import behind
from notifier.domain.clock import DAY, HOUR, MINUTE, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.keys import ApiKey, make_key, make_successor
from notifier.domain.subscriptions import BATCH, GIVE_UP, LONGEST_WAIT, MAX_BODY, Subscription
from notifier.store.console import keys, subscriptions
from notifier.store.core.database import Database
from notifier.store.core.staff import audit
from notifier.store.reading import changes as log
from tests import everywhere
from tests.api.test_openapi import DOCUMENT, fits
from tests.changes.conftest import Subscriber, happen

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def states(told: Sequence[Any]) -> dict[str, list[str]]:
    """What a subscriber was told of each person's delivery."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in told:
        found[each["recipient"]].append(each["state"])
    return dict(found)


async def now_of(database: Database) -> Subscription:
    held = await subscriptions.get(database, "csms")
    assert held is not None
    return held


async def test_a_subscriber_is_told_all_in_order_signed_and_once(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber
) -> None:
    # Given what became of people's deliveries, one after the other
    people = [f"p{number}" for number in range(6)]
    for state in (State.SENT, State.DELIVERED):
        await happen(database, *((person, state) for person in people))

    await pump.tell(["csms", "csms", "nobody"])

    # Then each is told once, of each delivery in its order
    assert states(subscriber.taken) == {person: ["sent", "delivered"] for person in people}
    told = subscriber.verified(subscription.secret)
    assert (told["type"], told["data"]["subscription"]) == ("changes", "csms")
    fits(told, DOCUMENT["webhooks"]["changes"]["post"]["requestBody"]["content"]["application/json"]["schema"])
    held = await now_of(database)
    assert (held.failures, held.answer, behind(held.place, await log.newest(database))) == (0, "204", 0)


async def test_what_an_endpoint_does_not_take_comes_again_as_the_same_batch(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, clock: ManualClock
) -> None:
    # Given an endpoint that is down
    subscriber.statuses = [503, 500]
    await happen(database, ("ada", State.SENT))
    await pump.tell(["csms"])
    failed = await now_of(database)

    # When more happens, and time goes by
    await happen(database, ("ada", State.DELIVERED))
    for _ in range(3):
        await pump.tell(["csms"])  # it isn't due
    clock.advance(LONGEST_WAIT)
    await pump.tell(["csms"])
    clock.advance(LONGEST_WAIT)
    await pump.tell(["csms"])
    clock.advance(LEASE)
    await pump.tell(["csms"])

    # Then the first batch comes as it was, and the rest after it
    assert (failed.failures, failed.answer, failed.place) == (1, "503", subscription.place)
    assert subscriber.ids[0] == subscriber.ids[1] == subscriber.ids[2] != subscriber.ids[3]
    assert len({body for _, body in subscriber.requests[:3]}) == 1
    assert states(subscriber.taken) == {"ada": ["sent", "delivered"]}
    assert (await now_of(database)).failing_since is None


@on_sqlite
async def test_an_endpoint_that_asks_to_wait_is_given_that_time_and_each_failure_a_longer_one(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, clock: ManualClock
) -> None:
    subscriber.statuses = [500] * 8
    await happen(database, ("ada", State.SENT))
    waits = []
    for _ in range(8):
        await pump.tell(["csms"])
        due_at = (await now_of(database)).due_at
        waits.append(due_at - clock.now())
        clock.advance(waits[-1])

    assert all(later > before for before, later in zip(waits, waits[2:], strict=False))
    assert waits[0] < MINUTE < waits[-1] <= LONGEST_WAIT


@on_sqlite
@pytest.mark.parametrize(
    ("status", "passed", "why"), [(410, 0, "gone"), (500, GIVE_UP, "failing"), (204, 0, None), (500, HOUR, None)]
)
async def test_what_is_gone_is_paused_at_once_and_what_fails_for_days_then(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, clock: ManualClock,
    status: int, passed: int, why: str | None,
) -> None:  # fmt: skip
    subscriber.statuses = [status, status]
    await happen(database, ("ada", State.SENT))
    await pump.tell(["csms"])
    clock.advance(passed)
    await pump.tell(["csms"])

    held = await now_of(database)
    assert held.paused == why
    paused = [entry.detail for entry in await everywhere.rows(database, audit) if entry.action == "subscription.paused"]
    assert paused == ([] if why is None else [why])
    if why is not None:
        before = len(subscriber.requests)
        clock.advance(HOUR)
        await pump.tell(["csms"])
        assert len(subscriber.requests) == before


@on_sqlite
async def test_a_subscription_ends_with_its_key(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, key: ApiKey, clock: ManualClock
) -> None:
    await happen(database, ("ada", State.SENT))
    await keys.revoke(database, key.id, clock.now(), "test")

    await pump.tell(["csms"])

    assert (await now_of(database)).paused == "key_lost"
    assert subscriber.requests == []


async def rotate(database: Database, key: ApiKey, now: int, overlap: int = DAY) -> ApiKey:
    """The key that takes another's place."""
    _, successor = make_successor(key, now)
    assert await keys.replace(database, key, successor, now + overlap, "test")
    return successor


async def test_a_subscription_goes_on_under_its_keys_successors_within_the_same_bounds(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, clock: ManualClock
) -> None:
    # Given a subscription of a key that is bound, and is rotated more often than a year has months
    _, key = make_key("csms", frozenset({"subscriptions:write"}), clock.now(), sources=("csms/*",))
    await keys.add(database, key)
    await subscriptions.change(database, "csms", lambda _held: {"key_id": key.id}, clock.now(), "test", "changed")
    for number in range(15):
        key = await rotate(database, key, clock.now())

        # When changes come while both keys are good, and once the first is not
        for part in ("both", "one"):
            for source in ("csms/gent", "billing"):
                await happen(database, ("ada", State.SENT), source=source, source_id=f"{source}-{number}-{part}")
            await pump.tell(["csms"])
            clock.advance(DAY)

    # Then it is told of each within the bounds, and of no other
    told = [each["event"]["source_id"] for each in subscriber.taken]
    assert told == [f"csms/gent-{number}-{part}" for number in range(15) for part in ("both", "one")]
    assert (await now_of(database)).paused is None


@on_sqlite
async def test_a_subscription_ends_where_all_keys_of_its_line_have(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, key: ApiKey, clock: ManualClock
) -> None:
    # Given a key that was revoked before its time, for it had come into wrong hands
    successor = await rotate(database, key, clock.now())
    await keys.revoke(database, key.id, clock.now(), "test")
    await happen(database, ("ada", State.SENT))
    await pump.tell(["csms"])
    assert (await now_of(database)).paused is None

    # When its successor is revoked as well
    await keys.revoke(database, successor.id, clock.now(), "test")
    clock.advance(AGAIN)
    await pump.tell(["csms"])

    assert (await now_of(database)).paused == "key_lost"
    assert len(subscriber.taken) == 1


async def test_of_two_pumps_one_tells(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, clock: ManualClock
) -> None:
    await happen(database, *((f"p{number}", State.SENT) for number in range(5)))

    await asyncio.gather(*(pump.tell(["csms"]) for _ in range(4)))

    assert len(subscriber.requests) == 1
    assert len(subscriber.taken) == 5


@on_sqlite
async def test_who_stood_still_past_the_lease_moves_nothing_on(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, clock: ManualClock
) -> None:
    # Given a worker that has claimed a subscription and stands still
    await happen(database, ("ada", State.SENT))
    await subscriptions.claim(database, "csms", "the first", clock.now(), clock.now() + LEASE)
    await pump.tell(["csms"])
    assert subscriber.requests == []

    # When another takes it after the lease
    clock.advance(LEASE)
    await pump.tell(["csms"])

    # Then the first one's word counts no more
    assert not await subscriptions.move_on(database, "csms", "the first", clock.now(), held=False, place=(99,))
    assert behind((await now_of(database)).place, await log.newest(database)) == 0


@on_sqlite
async def test_batches_are_bounded_in_number_and_in_bytes(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber
) -> None:
    long = "ü" * 900
    await happen(database, *((f"p{number}", State.SENT) for number in range(BATCH + 1)), source_id=long)

    await pump.tell(["csms"])

    sizes = [len(body) for _, body in subscriber.requests]
    assert len(subscriber.taken) == BATCH + 1
    assert max(sizes) <= MAX_BODY
    assert len(sizes) > 2
    assert all(len(json.loads(body)["data"]["changes"]) <= BATCH for _, body in subscriber.requests)


@on_sqlite
async def test_a_subscriber_hears_of_what_it_wants_within_its_keys_bounds_alone(
    database: Database, pump: Pump, subscription: Subscription, subscriber: Subscriber, clock: ManualClock
) -> None:
    changed = {"states": ("delivered", "failed"), "sources": ("csms/*",)}
    await subscriptions.change(database, "csms", lambda _held: changed, clock.now(), "test", "changed")
    for source, source_id in (("csms/gent", "a"), ("billing", "b")):
        for state in (State.SENT, State.DELIVERED):
            await happen(database, ("ada", state), source=source, source_id=source_id)

    await pump.tell(["csms"])

    assert [(each["state"], each["event"]["source"]) for each in subscriber.taken] == [("delivered", "csms/gent")]
    assert (await now_of(database)).due_at == clock.now() + AGAIN


@on_sqlite
async def test_no_request_goes_where_a_stranger_may_not_lead_it(
    database: Database, pump: Pump, subscription: Subscription, clock: ManualClock
) -> None:
    await subscriptions.change(
        database, "csms", lambda _held: {"url": "https://169.254.169.254/hook"}, clock.now(), "test", "changed"
    )
    await happen(database, ("ada", State.SENT))

    await pump.tell(["csms"])

    assert ((await now_of(database)).answer, (await now_of(database)).failures) == ("metadata", 1)
