"""The inbox live: how it stands is sent when it changes, and who comes back hears what they missed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from notifier.api import feeds
from notifier.domain.clock import MINUTE
from tests.api.conftest import on_sqlite
from tests.channels.inbox.app import App, app_of


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "EVERY", 0.02)


class Stream:
    """A stream of the inbox's that an app is connected to."""

    def __init__(self, answered: aiohttp.ClientResponse) -> None:
        self.answered = answered
        self.last = ""

    async def heard(self) -> dict[str, Any]:
        """The next event's data."""
        async with asyncio.timeout(10):
            async for line in self.answered.content:
                if line.startswith(b"id: "):
                    self.last = line[4:].decode().strip()
                if line.startswith(b"data: "):
                    told: dict[str, Any] = json.loads(line[6:])
                    return told
        raise AssertionError("the stream ended")


@asynccontextmanager
async def stream(app: App, last: str | None = None) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {app.token}"} | ({"Last-Event-ID": last} if last else {})
    async with app.api.session.get(f"{app.api.url}/v1/inbox/stream", headers=headers) as answered:
        assert (answered.status, answered.content_type) == (200, "text/event-stream")
        yield Stream(answered)


async def test_an_app_hears_of_every_change(app: App) -> None:
    async with stream(app) as connected:
        assert (await connected.heard())["unread"] == 0

        await app.complete("7")
        assert (await connected.heard())["unread"] == 1

        # Of what another tab does
        (id_,) = await app.ids()
        await app.call("POST", "/seen", {"up_to": id_})
        told = await connected.heard()
        assert (told["unread"], told["unseen"]) == (1, 0)
        await app.call("POST", f"/{id_}/read")
        assert (await connected.heard())["unread"] == 0

        # And of what isn't true any more
        await app.complete("8")
        assert (await connected.heard())["unread"] == 1
        await app.tell("session.ended", session_id="8")
        assert (await connected.heard())["unread"] == 0


async def test_an_app_hears_of_what_expires(app: App) -> None:
    await app.complete("7")
    async with stream(app) as connected:
        assert (await connected.heard())["unread"] == 1
        app.api.clock.advance(30 * MINUTE)
        assert (await connected.heard())["unread"] == 0


async def test_who_comes_back_hears_what_they_missed_and_nothing_else(app: App) -> None:
    # Given an app that was cut off
    async with stream(app) as connected:
        await connected.heard()
        last = connected.last
    # When a message comes meanwhile, then it hears of that as soon as it is back
    await app.complete("7")
    async with stream(app, last) as connected:
        assert (await connected.heard())["unread"] == 1
        last = connected.last

    # And where nothing came, of the next thing that does
    async with stream(app, last) as connected:
        await app.complete("8")
        assert (await connected.heard())["unread"] == 2


@on_sqlite
async def test_each_hears_of_their_own(app: App) -> None:
    bob = await app_of(app.api, "bob")
    async with stream(app) as hers, stream(bob) as his:
        await asyncio.gather(hers.heard(), his.heard())
        await bob.complete("8")
        assert (await his.heard())["unread"] == 1
        await app.complete("7")
        assert (await hers.heard())["unread"] == 1
