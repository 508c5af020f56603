"""Subscriptions over HTTP: written, read, paused, resumed, replayed and rotated, each within the bounds of its key."""

import json
from typing import Any

import pytest

from notifier.domain.changes import Change
from notifier.domain.clock import DAY, to_datetime
from notifier.domain.deliveries import State
from notifier.domain.ids import make_id
from notifier.domain.keys import make_key, make_successor
from notifier.domain.standard_webhooks import secret_key
from notifier.store.console import keys, subscriptions
from notifier.store.core.change_log import subscription
from notifier.store.core.staff import audit
from notifier.store.delivery import changes
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, add_key
from tests.samples import NOW

URL = "https://csms.example/changes"


async def put(api: Caller, id_: str = "csms", **given: Any) -> Answer:
    return await api.call("PUT", f"/v1/subscriptions/{id_}", json.dumps({"url": URL} | given))


async def act(api: Caller, action: str, body: Any = None) -> Answer:
    return await api.call("POST", f"/v1/subscriptions/csms/{action}", None if body is None else json.dumps(body))


async def happen(api: Caller, number: int, at: int = NOW) -> None:
    change = Change(delivery_id=make_id(str(number)), state=State.SENT, at=at)
    await api.engine.database.buckets[0].write(lambda connection: changes.add(connection, [change]))


async def test_a_subscription_is_written_and_its_secret_is_shown_once(api: Caller) -> None:
    await happen(api, 1)

    made = await put(api, owner="csms team", states=["delivered", "failed"], types=["charging.complete"])
    read = await api.call("GET", "/v1/subscriptions/csms")
    changed = await put(api, sources=["csms/*"])
    listed = await api.call("GET", "/v1/subscriptions")

    # Then it begins with what comes from now on, and nobody reads the secret again
    assert (made.status, read.status, changed.status) == (201, 200, 200)
    assert secret_key(made.body.pop("secret"))
    assert made.body == read.body
    assert (read.body["behind"], read.body["paused"], read.body["owner"]) == (0, None, "csms team")
    assert (read.body["states"], read.body["types"]) == (["delivered", "failed"], ["charging.complete"])
    assert (changed.body["states"], changed.body["sources"]) == ([], ["csms/*"])
    assert listed.body == {"subscriptions": [changed.body]}
    assert "whsec_" not in repr(await subscriptions.every(api.engine.database))

    for _ in range(2):
        assert (await api.call("DELETE", "/v1/subscriptions/csms")).status == 204
    assert await api.rows(subscription) == []
    told = [entry.action for entry in sorted(await api.rows(audit), key=lambda entry: entry.at)]
    assert sorted(told) == ["subscription.changed", "subscription.created", "subscription.deleted"]


async def test_a_subscription_is_paused_resumed_and_told_again(api: Caller) -> None:
    begin = (await put(api)).body["cursor"]
    for number in range(3):
        await happen(api, number, NOW + number * DAY)

    assert (await act(api, "pause")).body["paused"] == "by_hand"
    assert (await act(api, "pause")).body["paused"] == "by_hand"
    assert (await act(api, "resume")).body["paused"] is None
    behind = [
        (await act(api, "replay", {"after": after})).body["behind"]
        for after in ("now", begin, to_datetime(NOW + DAY).isoformat(), to_datetime(NOW + 9 * DAY).isoformat())
        if after != "now"
    ]
    assert behind == [3, 2, 0]


@on_sqlite
async def test_a_new_secret_signs_beside_the_old_one_for_a_day(api: Caller) -> None:
    old = (await put(api)).body["secret"]

    new = (await act(api, "rotate")).body["secret"]

    (held,) = await subscriptions.every(api.engine.database)
    now = api.clock.now()
    assert held.keys(now) == [secret_key(new), secret_key(old)]
    assert held.keys(now + DAY) == [secret_key(new)]


@on_sqlite
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"url": "http://csms.example/"}, (42205, "/url")), ({"url": "https://127.0.0.1/"}, (42205, "/url")),
        ({"url": "https://169.254.169.254/"}, (42205, "/url")), ({"states": ["sending"]}, (42205, "/states/0")),
        ({"types": ["idle.warning"]}, (40303, "/types/0")), ({"sources": ["csms", "billing"]}, (40303, "/sources/1")),
        ({"sources": ["*"]}, (40303, "/sources/0")), ({"sources": ["csms*"]}, (40303, "/sources/0")),
        ({"colour": "red"}, (42205, "/colour")),
    ],
)  # fmt: skip
async def test_what_a_key_is_not_bound_to_or_does_not_fit_is_named(
    api: Caller, given: dict[str, Any], problem: tuple[int, str]
) -> None:
    api.key = await add_key(
        api.engine.database, "subscriptions:write", sources=("csms", "csms/*"), types=("charging.complete",)
    )

    assert (await put(api, **given)).problem == problem
    assert (await put(api, sources=["csms/gent*"], types=["charging.complete"])).status == 201


@on_sqlite
async def test_a_bound_key_sees_and_changes_its_own_alone(api: Caller) -> None:
    await put(api)
    everything = api.key
    api.key = await add_key(api.engine.database, "subscriptions:write", sources=("billing",))
    await put(api, "billing")

    for method, path in (("GET", ""), ("POST", "/pause"), ("POST", "/rotate"), ("POST", "/resume")):
        assert (await api.call(method, f"/v1/subscriptions/csms{path}")).problem[0] == 40303
    assert (await put(api)).problem[0] == 40303
    assert (await api.call("DELETE", "/v1/subscriptions/csms")).status == 204
    listed = (await api.call("GET", "/v1/subscriptions")).body["subscriptions"]
    assert [each["id"] for each in listed] == ["billing"]

    api.key = everything
    listed = (await api.call("GET", "/v1/subscriptions")).body["subscriptions"]
    assert [each["id"] for each in listed] == ["billing", "csms"]


async def test_keys_that_took_each_others_place_see_and_change_the_same(api: Caller) -> None:
    # Given a bound key that was rotated twice and is still good, as its successors are
    database, now = api.engine.database, api.clock.now()
    first, key = make_key("csms", frozenset({"subscriptions:write"}), now, sources=("csms",))
    await keys.add(database, key)
    texts = [first]
    for _ in range(2):
        text, successor = make_successor(key, now)
        assert await keys.replace(database, key, successor, now + DAY, "test")
        texts, key = [*texts, text], successor
    api.key = first
    assert (await put(api)).status == 201

    # When each of the three asks and changes, whichever wrote it last
    for api.key in texts:
        assert (await put(api, owner="csms team")).status == 200
        for api.key in texts:
            assert (await act(api, "resume")).body["owner"] == "csms team"
            assert len((await api.call("GET", "/v1/subscriptions")).body["subscriptions"]) == 1

    # Then another with the same bounds doesn't
    api.key = await add_key(database, "subscriptions:write", sources=("csms",))
    assert (await act(api, "resume")).problem[0] == 40303
    assert (await api.call("GET", "/v1/subscriptions")).body["subscriptions"] == []
    api.key = texts[-1]
    assert (await api.call("DELETE", "/v1/subscriptions/csms")).status == 204
    assert await api.rows(subscription) == []


@on_sqlite
async def test_a_replay_from_nowhere_is_refused(api: Caller) -> None:
    await put(api)

    assert (await act(api, "replay", {"after": "yesterday"})).problem == (42205, "/after")
    assert (await act(api, "replay", {})).problem == (42205, "/after")
