"""`/c/{token}`: leads on at once, wherever a mail has led, and counts what people follow."""

import asyncio
from typing import Any

import pytest

from notifier.store.core.effects import click
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller
from tests.channels.inbox.app import App
from tests.samples import LINKS

TARGET = "https://app.example.com/offers/spring?a=1&b=%C3%A9"
WITHIN = 5.0
"""Seconds for what is written behind the answer."""


def path(delivery: str, target: str = TARGET) -> str:
    return LINKS.click_url(delivery, target).removeprefix("https://notify.example.com")


async def follow(api: Caller, at: str, method: str = "GET", **headers: str) -> Answer:
    """What a browser does."""
    return await api.call(method, at, Authorization="", **headers)


async def written(api: Caller) -> list[Any]:
    """The clicks, once there are some."""
    async with asyncio.timeout(WITHIN):
        while not (found := await api.rows(click)):  # noqa: ASYNC110 (a row has no event)
            await asyncio.sleep(0.01)
    return found


@pytest.fixture
async def delivery(api: Caller) -> str:
    """A message that was sent."""
    app = App(api)
    await api.call("PUT", "/v1/recipients/ada", b'{"tokens": ["AT-ADA"]}')
    await app.sign_in()
    await app.complete("7")
    (id_,) = await app.ids()
    return id_


@on_sqlite
async def test_a_link_leads_on_and_its_click_is_written_once(api: Caller, delivery: str) -> None:
    answers = [await follow(api, path(delivery)) for _ in range(3)]

    for answer in answers:
        assert (answer.status, answer.headers["Location"], answer.body) == (302, TARGET, "")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers
    (row,) = await written(api)
    assert (row.delivery_id, row.at) == (delivery, api.clock.now())


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"Sec_Purpose": "prefetch;prerender"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"X_Moz": "prefetch"}),
        ("GET", {"X_Purpose": "preview"}),
    ],
)
@on_sqlite
async def test_who_only_looks_is_led_on_and_not_counted(
    api: Caller, delivery: str, method: str, headers: dict[str, str]
) -> None:
    assert (await follow(api, path(delivery), method, **headers)).headers["Location"] == TARGET

    # Then only the click after it is written
    api.clock.advance(1)
    await follow(api, path(delivery, "https://app.example.com"))
    assert [row.at for row in await written(api)] == [api.clock.now()]


@on_sqlite
async def test_a_link_works_when_its_delivery_is_long_gone(api: Caller) -> None:
    assert (await follow(api, path("0" * 32))).headers["Location"] == TARGET


@on_sqlite
async def test_no_link_leads_where_we_did_not_sign(api: Caller, delivery: str) -> None:
    # Given a link of ours, another token for another thing, and what a stranger makes of them
    payload, _, signature = path(delivery).removeprefix("/c/").partition(".")
    other = path(delivery, "https://evil.example").removeprefix("/c/").partition(".")[0]
    unsubscribe = LINKS.preference_url("ada", api.clock.now()).rpartition("/")[2]

    for token in (f"{other}.{signature}", f"{payload}.{signature}x", payload, "https://evil.example", unsubscribe):
        answer = await follow(api, f"/c/{token}")
        assert answer.status == 404
        assert "Location" not in answer.headers
    assert (await follow(api, f"{path(delivery)}?target=https://evil.example")).headers["Location"] == TARGET


@on_sqlite
async def test_a_link_leads_on_while_the_database_is_away(api: Caller, delivery: str) -> None:
    await api.engine.database.close()

    assert (await follow(api, path(delivery))).headers["Location"] == TARGET
