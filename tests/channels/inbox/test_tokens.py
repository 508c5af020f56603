"""Tokens of the inbox: made for a person who is there, good for an hour, and for nobody else's messages."""

import base64

import msgspec

from notifier.domain.clock import HOUR, to_datetime
from notifier.domain.links import AppVisit
from notifier.domain.recipients import RecipientDetails
from notifier.store.people import erasures
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.channels.inbox.app import App, app_of
from tests.samples import NOW


@on_sqlite
async def test_a_token_is_good_for_an_hour(app: App, api: Caller) -> None:
    made = await api.call("POST", "/v1/recipients/ada/inbox-token")
    assert msgspec.convert(made.body["expires_at"], type=type(to_datetime(0))) == to_datetime(NOW + HOUR)
    assert made.headers["Cache-Control"] == "no-store"

    api.clock.advance(HOUR - 1)
    assert (await app.call("GET")).status == 200
    api.clock.advance(1)
    assert (await app.call("GET")).problem == (40103, None)
    assert (await app.call("GET", "/stream")).problem == (40103, None)


@on_sqlite
async def test_a_token_that_was_tampered_with_opens_nothing(app: App) -> None:
    # Given Ada's token, and one that says "bob" under Ada's signature
    payload, _, signature = app.token.rpartition(".")
    forged = base64.urlsafe_b64encode(msgspec.json.encode(AppVisit("bob", NOW + HOUR))).rstrip(b"=").decode()

    for token in (f"{forged}.{signature}", f"{payload}.{signature[:-2]}", payload, "", "x" * 5000, f"{app.token}="):
        app.token = token
        assert (await app.call("GET")).problem == (40103, None)


@on_sqlite
async def test_nobody_touches_anothers_message(app: App, api: Caller) -> None:
    # Given a message of Bob's
    bob = await app_of(api, "bob", RecipientDetails(name="Bob"))
    await bob.complete("8")
    (id_,) = await bob.ids()

    # When Ada's app names it, then there is no such message, and Bob's stays unread
    for deed in ("seen", "read", "archived"):
        assert (await app.call("POST", f"/{id_}/{deed}")).problem == (40401, None)
        assert (await app.call("POST", f"/{deed}", {"up_to": id_})).problem == (40401, None)
    assert await bob.unread() == (1, 1, False)


@on_sqlite
async def test_a_token_is_made_by_a_key_that_may_change_people_and_for_who_is_there(api: Caller) -> None:
    assert (await api.call("POST", "/v1/recipients/nobody/inbox-token")).problem == (40401, None)
    # What only reads makes none: whoever has a token calls messages read, and texts that wait for that stay away
    key = await add_key(api.engine.database, "events:write", "recipients:read")
    refused = await api.call("POST", "/v1/recipients/nobody/inbox-token", Authorization=f"Bearer {key}")
    assert refused.problem == (40301, None)


async def test_the_token_of_who_is_erased_opens_nothing_more(app: App) -> None:
    # Given somebody who has read a message
    await app.complete("7")
    (id_,) = await app.ids()
    assert (await app.call("POST", f"/{id_}/read")).status == 204

    # When they are erased
    await erasures.begin(app.engine.database, ["ada"], "test", app.api.clock.now())

    # Then their token opens nothing, and what they did is noted no more
    assert (await app.call("GET")).problem == (40103, None)
    assert (await app.call("POST", f"/{id_}/archived")).problem == (40103, None)
