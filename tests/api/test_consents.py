"""The consent ledger over HTTP: words are only added, and the latest counts."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from notifier.domain.channels import channels
from notifier.store.core.schema import consent, recipient
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller
from tests.named import EMAIL

WORD = {"category": "offers", "channel": "email", "granted": True, "wording": "2026-03", "source": "signup-form"}


async def say(api: Caller, id_: str = "ada", **word: Any) -> Answer:
    return await api.call("POST", f"/v1/recipients/{quote(id_, safe='')}/consents", json.dumps(WORD | word))


async def held(api: Caller, id_: str = "ada", more: str = "") -> Any:
    answer = await api.call("GET", f"/v1/recipients/{quote(id_, safe='')}/consents{more}")
    assert answer.status == 200
    return answer.body


@pytest.fixture
async def ada(api: Caller) -> None:
    await api.call("PUT", "/v1/recipients/ada", b"{}")
    await api.call("PUT", "/v1/recipients/bob", b"{}")


async def test_each_word_is_appended_and_what_they_amount_to_is_told(api: Caller, ada: None) -> None:
    # Given nobody's consent
    assert await held(api) == {"consents": {}, "ledger": []}

    # When one is given, given on all channels, and taken back on one
    first = await say(api)
    api.clock.advance(1000)
    await say(api, channel="all", wording="2026-04")
    api.clock.advance(1000)
    await say(api, granted=False, source="app")

    # Then each stands in the ledger, newest first, and the latest counts
    body = await held(api)
    assert body["consents"] == {"offers": {channel.value: channel != EMAIL for channel in channels()}}
    assert [(each["channel"], each["granted"], each["wording"], each["actor"]) for each in body["ledger"]] == [
        ("email", False, "2026-03", "test"),
        ("all", True, "2026-04", "test"),
        ("email", True, "2026-03", "test"),
    ]
    assert (first.status, first.body) == (201, body["ledger"][2])
    assert (await held(api, more="?limit=1"))["ledger"] == body["ledger"][:1]


async def test_everything_is_taken_back_at_once_and_nobody_elses(api: Caller, ada: None) -> None:
    for id_ in ("ada", "bob"):
        await say(api, id_)
        await say(api, id_, category="news", channel="push")

    await say(api, category="all", channel="all", granted=False)

    cells = (await held(api))["consents"]
    assert not any(granted for channels in cells.values() for granted in channels.values())
    assert (await held(api, "bob"))["consents"] == {"offers": {"email": True}, "news": {"push": True}}


async def test_consent_outlives_a_put_of_the_recipient(api: Caller, ada: None) -> None:
    await say(api)

    await api.call("PUT", "/v1/recipients/ada", b'{"name": "Ada"}')

    assert (await held(api))["consents"] == {"offers": {"email": True}}


@pytest.mark.parametrize(
    ("word", "pointer"),
    [
        ({"channel": "fax"}, "/channel"),
        ({"category": ""}, "/category"),
        ({"category": "all"}, "/category"),
        ({"granted": "yes"}, "/granted"),
        ({"wording": ""}, "/wording"),
        ({"source": "a\nb"}, "/source"),
        ({"at": 1}, "/at"),
    ],
)
@on_sqlite
async def test_a_word_that_does_not_fit_is_told_with_its_place(
    api: Caller, ada: None, word: dict[str, Any], pointer: str
) -> None:
    assert (await say(api, **word)).problem == (42203, pointer)
    assert await api.rows(consent) == []


@on_sqlite
async def test_nobody_consents_who_was_never_put(api: Caller) -> None:
    assert (await say(api)).problem == (40401, None)
    assert (await api.rows(consent), await api.rows(recipient)) == ([], [])
