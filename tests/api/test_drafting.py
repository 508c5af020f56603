"""Texts over HTTP: read, checked, drafted, and published by somebody else than who drafted them."""

import json
from typing import Any

import pytest

from notifier.domain.keys import Scope, make_key
from notifier.store.console import keys
from notifier.store.core.staff import audit
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller
from tests.samples import CATALOG, EVENT

TYPE = "payment-failed"
TEXTS = f"/v1/texts/{TYPE}"
SHORT = "Payment failed at {{ brand }}"

Json = dict[str, Any]


async def key_of(api: Caller, name: str, *scopes: Scope) -> str:
    """A new key of a name."""
    text, key = make_key(name, frozenset(scopes), 0)
    await keys.add(api.engine.database, key)
    return text


async def changed(api: Caller, title: str = SHORT) -> Json:
    """The live texts, with another title of the English push."""
    texts: Json = (await api.call("GET", TEXTS)).body["texts"]
    texts["en"]["push"]["title"] = title
    return texts


async def draft(api: Caller, texts: Json, revision: int = 0, **headers: str) -> Answer:
    return await api.call("PUT", f"{TEXTS}/draft", json.dumps({"texts": texts, "revision": revision}), **headers)


async def check(api: Caller, **body: Any) -> Answer:
    return await api.call("POST", f"{TEXTS}/check", json.dumps(body))


async def publish(api: Caller, revision: int, why: str = "", **headers: str) -> Answer:
    return await api.call("POST", f"{TEXTS}/publish", json.dumps({"revision": revision, "why": why}), **headers)


async def test_a_draft_is_saved_by_one_key_and_published_by_another(api: Caller) -> None:
    # Given a draft of a key that may write
    author = await key_of(api, "author", "texts:write")
    publisher = await key_of(api, "publisher", "texts:publish")
    saved = await draft(api, await changed(api), Authorization=f"Bearer {author}")
    assert saved.body == {"type": TYPE, "revision": 1, "based_on": 0}

    # When another key publishes it
    published = await publish(api, 1, "shorter", Authorization=f"Bearer {publisher}")

    # Then these texts are live, the draft is gone, and the audit has both
    assert published.status == 200, published.body
    assert published.body["version"] == 1
    now = (await api.call("GET", TEXTS)).body
    assert (now["version"], now["draft"], now["texts"]["en"]["push"]["title"]) == (1, None, SHORT)
    assert {(entry.actor, entry.action, entry.subject) for entry in await api.rows(audit)} >= {
        ("author", "text.draft", TYPE), ("publisher", "text.publish", TYPE)
    }  # fmt: skip
    (listed,) = [each for each in (await api.call("GET", "/v1/texts")).body["types"] if each["type"] == TYPE]
    assert (listed["version"], listed["drafted"]) == (1, False)


@on_sqlite
async def test_whoever_saved_a_draft_does_not_publish_it(api: Caller) -> None:
    # Given a key that may do everything, and a namesake of it
    await draft(api, await changed(api))
    namesake = await key_of(api, "test", "texts:publish")

    for key in (api.key, namesake):
        assert (await publish(api, 1, "shorter", Authorization=f"Bearer {key}")).problem == (40305, None)

    assert (await api.call("GET", TEXTS)).body["version"] == 0


async def test_two_who_draft_at_once_do_not_overwrite_each_other(api: Caller) -> None:
    texts = await changed(api)
    assert (await draft(api, texts)).status == 200

    assert (await draft(api, texts)).problem == (40902, "/revision")
    assert (await draft(api, texts, 1)).body["revision"] == 2
    other = await key_of(api, "publisher", "texts:publish")
    assert (await publish(api, 1, Authorization=f"Bearer {other}")).problem == (40902, "/revision")


@on_sqlite
async def test_a_check_says_what_is_wrong_and_what_changes_for_people(api: Caller) -> None:
    # Given a payment that has failed, and a title that names its amount
    await api.post(json.dumps(EVENT))
    texts = await changed(api, "Your {{ amount | money }} was not paid")

    told = (await check(api, texts=texts)).body

    # Then the change is shown, of samples and not of what was reported
    (change,) = told["changes"]
    assert (told["blocked"], change["locale"], change["channel"]) == (False, "en", "push")
    samples = {sample.name for sample in CATALOG.types[TYPE].samples}
    assert {each["sample"] for each in change["examples"]} <= samples
    assert change["examples"]
    # and what is checked without texts is the draft, or else what is live
    assert (await check(api)).body["changes"] == []
    await draft(api, texts)
    assert (await check(api)).body["changes"] == told["changes"]


@on_sqlite
async def test_texts_that_make_no_message_are_refused_with_their_place(api: Caller) -> None:
    refused = await draft(api, await changed(api, "{{ no_such_field }}"))
    checked = await check(api, texts=await changed(api, "{{ no_such_field }}"))
    missing = {locale: {"push": each["push"]} for locale, each in (await changed(api)).items()}

    assert refused.problem == (42207, "/texts/en/push/title")
    assert "no_such_field" in refused.body["detail"]
    assert checked.body["blocked"] is True
    assert (checked.body["findings"][0]["channel"], checked.body["findings"][0]["part"]) == ("push", "title")
    assert (await draft(api, missing)).problem[0] == 42207
    assert (await draft(api, await changed(api, "a\x00b"))).problem == (42207, "/texts/en/push/title")


@on_sqlite
async def test_a_warning_asks_for_a_reason(api: Caller) -> None:
    # Given a draft without a language that other types speak
    texts = await changed(api)
    del texts["fr"]
    await draft(api, texts)
    other = await key_of(api, "publisher", "texts:publish")

    refused = await publish(api, 1, Authorization=f"Bearer {other}")

    assert refused.problem == (42207, "/why")
    assert "fr.toml" in refused.body["detail"]
    assert (await publish(api, 1, "no speakers", Authorization=f"Bearer {other}")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "", None), ("PUT", "/draft", b'{"texts": {}, "revision": 0}'), ("POST", "/check", b"{}"),
     ("POST", "/publish", b'{"revision": 1}')],
)  # fmt: skip
@on_sqlite
async def test_a_type_that_there_is_not_is_not_found(api: Caller, method: str, path: str, body: bytes | None) -> None:
    assert (await api.call(method, f"/v1/texts/nix{path}", body)).problem == (40401, None)


@on_sqlite
async def test_a_locale_that_is_none_is_refused(api: Caller) -> None:
    texts = await changed(api)

    for name in ("english", "en\n", "../en", ""):
        assert (await draft(api, {name: texts["en"]})).problem[0] == 42205
    assert (await draft(api, {})).problem[0] == 42207
    assert (await publish(api, 1)).problem == (40401, None)
