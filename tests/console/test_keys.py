"""The page of API keys: what it tells of each, and how an administrator creates, rotates and revokes one."""

import re
from typing import Any

import pytest

from notifier.domain.clock import DAY, HOUR
from notifier.domain.keys import ApiKey, make_key, split_key
from notifier.store.console import keys
from notifier.store.core.staff import api_key, audit
from tests.api.conftest import on_sqlite
from tests.api.server import Answer
from tests.console.conftest import Enter, Visitor, signed_in
from tests.console.words import says, told
from tests.samples import NOW


async def kept(visitor: Visitor, name: str = "csms", **bounds: Any) -> ApiKey:
    """A key that there is already."""
    _, key = make_key(name, frozenset({"events:write"}), NOW, **bounds)
    await keys.add(visitor.engine.database, key)
    return key


async def names(visitor: Visitor) -> list[str]:
    """The names of all keys; `test` is the server's own."""
    return [row.name for row in await visitor.rows(api_key)]


def shown(answer: Answer) -> str:
    """The key that a page shows to be handed over."""
    found = re.search(r'class="secret"[^>]*>([^<]+)<', answer.body)
    assert found
    return found[1]


async def admitted(visitor: Visitor, text: str) -> ApiKey | None:
    """The key with this text where it is good now."""
    id_, secret = split_key(text) or ("", "")
    key = await keys.find(visitor.engine.database, id_)
    return key if key is not None and key.admits(secret, visitor.clock.now()) else None


async def test_an_administrator_creates_a_key_whose_text_is_shown_once(enter: Enter) -> None:
    # Given the form, filled in as people do
    admin = await signed_in(enter, "admin")
    form = {
        "name": " csms ", "scopes": "events:write", "sources": "csms/berlin\n\n  hub/Zürich/* \n",
        "types": "payment.failed", "rate": "0.5", "daily": "2000000", "lifetime": "365 d",
    }  # fmt: skip

    # When it is sent
    made = await admin.post("/keys", **form)

    # Then the key is good, and has the bounds that the form says
    text = shown(made)
    key = await admitted(admin, text)
    assert key is not None
    assert (key.name, key.scopes, key.sources) == ("csms", frozenset({"events:write"}), ("csms/berlin", "hub/Zürich/*"))
    assert (key.types, key.rate, key.daily, key.parties) == (("payment.failed",), 0.5, 2_000_000, ())
    assert key.expires_at == key.created_at + 365 * DAY

    # And the list tells all of it but the secret, which nothing keeps
    page = await admin.get("/keys")
    for word in (key.id, "csms/berlin, hub/Zürich/*", "0.5 a second, 2,000,000 a day", "Last used never"):
        assert word in says(page)
    assert text not in page.body + str(await admin.rows(audit)) + str(await admin.rows(api_key))
    assert await told(admin, "key.create") == [("console:admin", "key.create", key.id, "events:write")]


async def test_a_key_is_rotated_with_an_overlap_and_once(enter: Enter) -> None:
    # Given a key that was opened on two pages
    admin = await signed_in(enter, "admin")
    key = await kept(admin, sources=("csms/*",), rate=5.0)
    await admin.get("/keys")

    # When both rotate it
    first = await admin.post("/keys/rotate", id=key.id, overlap="1 d")
    second = await admin.post("/keys/rotate", id=key.id, overlap="30 d")

    # Then the first has made a successor with the same bounds, and the second is told
    successor = await admitted(admin, shown(first))
    assert successor is not None
    assert (successor.name, successor.sources, successor.rate) == ("csms", ("csms/*",), 5.0)
    assert second.status == 409
    assert f"Not rotated: csms ({key.id}) is replaced, revoked or expired." in says(second)
    assert f"Replaced by {successor.id}" in says(second)

    # And the old key is good for the overlap, no longer
    now = admin.clock.now()
    old = await keys.find(admin.engine.database, key.id)
    assert old is not None
    assert (old.good_at(now + DAY - 1), old.good_at(now + DAY)) == (True, False)
    did = await told(admin, "key.rotate", "key.create")
    assert did == [("console:admin", "key.rotate", key.id, f"replaced by {successor.id}")]


async def test_a_key_is_revoked_for_good_and_can_be_neither_rotated_nor_revoked_again(enter: Enter) -> None:
    admin = await signed_in(enter, "admin")
    key = await kept(admin)
    await admin.get("/keys")

    first = await admin.post("/keys/revoke", id=key.id)
    again = await admin.post("/keys/revoke", id=key.id)
    rotated = await admin.post("/keys/rotate", id=key.id, overlap="7 d")

    assert (first.status, again.status, rotated.status) == (303, 303, 409)
    assert "1 no longer valid" in says(rotated)
    assert f'value="{key.id}"' not in rotated.body
    assert await told(admin, "key.revoke", "key.rotate") == [("console:admin", "key.revoke", key.id, "")]


@on_sqlite
async def test_the_page_tells_how_each_key_stands(enter: Enter) -> None:
    admin = await signed_in(enter, "admin")
    await kept(admin, "eternal", used_at=NOW - HOUR)
    await kept(admin, "until", expires_at=NOW + HOUR)
    await kept(admin, "over", expires_at=NOW - HOUR)
    await kept(admin, "gone", revoked_at=NOW - HOUR)
    await kept(admin, "<b>")

    page = await admin.get("/keys")

    words = says(page)
    assert "until valid until 2026-" in words
    assert "over expired since 2026-" in words
    assert "gone revoked since 2026-" in words
    assert "2 no longer valid" in words
    assert "<b>" not in page.body


@pytest.mark.parametrize(
    ("field", "given", "why"),
    [
        ("name", {"name": ""}, "one line of 1 to 100 characters"),
        ("name", {"name": "x" * 101}, "one line of 1 to 100 characters"),
        ("name", {"name": "two\nlines"}, "one line of 1 to 100 characters"),
        ("scopes", {"scopes": ""}, "name one scope at least"),
        ("scopes", {"scopes": "ocpi", "parties": "any", "sources": "csms"}, "sources and types don't apply to OCPI"),
        ("sources", {"sources": "a*b"}, "so it is the last character"),
        ("sources", {"sources": "\n".join(map(str, range(101)))}, "a key may have 100 of them"),
        ("types", {"types": "no.such"}, "there is no event type no.such"),
        ("rate", {"rate": "many"}, "a number of events a second, such as 200 or 0.5"),
        ("rate", {"rate": "nan"}, "above 0 and at most 1,000,000"),
        ("daily", {"daily": "0.5"}, "a whole number of events a day, such as 2000000"),
        ("daily", {"daily": "9" * 5000}, "a whole number of events a day, such as 2000000"),
        ("daily", {"daily": "-1"}, "above 0 and at most"),
        ("lifetime", {"lifetime": "a year"}, "write a number and s, min, h or d"),
        ("parties", {"scopes": "ocpi", "parties": ""}, "the scope ocpi needs a party"),
        ("parties", {"scopes": "ocpi", "parties": "Berlin"}, "a party is a country code of two letters"),
    ],
)
@on_sqlite
async def test_a_bound_that_makes_no_sense_is_told_beside_its_field(
    enter: Enter, field: str, given: dict[str, str], why: str
) -> None:
    admin = await signed_in(enter, "admin")
    form = {"name": "csms", "scopes": "events:write", "lifetime": "90 d"} | given

    answer = await admin.post("/keys", **{name: value for name, value in form.items() if value})

    assert answer.status == 422
    at = re.search(rf'id="{field}-fault">([^<]+)<', answer.body)
    assert at
    assert why in says(Answer(200, {}, at[1]))
    assert await names(admin) == ["test"]
    if field != "lifetime":
        assert 'name="lifetime" type="text" value="90 d"' in answer.body


async def test_a_key_for_tests_is_ticked_and_shown_as_one(enter: Enter) -> None:
    admin = await signed_in(enter, "admin")

    # When a box is ticked, then the key is for tests, and the list says so of it alone
    text = shown(await admin.post("/keys", name="staging", scopes="events:write", test="yes"))
    await kept(admin, "live")
    key = await admitted(admin, text)
    assert key is not None
    assert (key.test, text[:9]) == (True, "ntf_test_")
    assert says(await admin.get("/keys")).count(" for tests ") == 1
    assert await told(admin, "key.create") == [("console:admin", "key.create", key.id, "events:write for tests")]

    # And a scope that is about real people is told beside its field, with the box still ticked
    refused = await admin.post("/keys", name="staging", scopes="recipients:write", test="yes")
    assert refused.status == 422
    assert "not recipients:write: that is about real people" in says(refused)
    assert re.search(r'name="test"[^>]* checked', refused.body)


@on_sqlite
async def test_a_hub_speaks_for_every_party(enter: Enter) -> None:
    admin = await signed_in(enter, "admin")

    hub = await admitted(admin, shown(await admin.post("/keys", name="hub", scopes="ocpi", parties="any")))
    peer = await admitted(admin, shown(await admin.post("/keys", name="peer", scopes="ocpi", parties="nl-xyz de*abc")))

    assert (hub and hub.parties, peer and peer.parties) == ((), ("DE*ABC", "NL*XYZ"))


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/keys", {"name": "csms", "scopes": "everything"}, 400),
        ("/keys/rotate", {"id": "", "overlap": "99 d"}, 400),
        ("/keys/rotate", {"id": "nobody", "overlap": "7 d"}, 404),
        ("/keys/revoke", {"id": "nobody"}, 404),
    ],
)
@on_sqlite
async def test_what_no_form_of_ours_asks_for_is_refused(
    enter: Enter, path: str, fields: dict[str, str], status: int
) -> None:
    admin = await signed_in(enter, "admin")

    assert (await admin.post(path, **fields)).status == status
    assert await names(admin) == ["test"]
