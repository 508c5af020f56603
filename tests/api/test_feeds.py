"""Feeds: one look a second for everybody, how things stand sent when it changes, and nothing kept for who is away."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pytest

from notifier.api import feeds
from notifier.api.feeds import Feed, Feeds
from notifier.domain.errors import StoreUnavailable


class World:
    """What a look finds, and how often somebody looked for whom."""

    def __init__(self) -> None:
        self.stands: dict[str, int] = {}
        self.looks: list[list[str]] = []
        self.away = False
        self.looked = asyncio.Event()

    async def once_more(self, times: int) -> None:
        """Wait until somebody has looked so often."""
        for _ in range(times):
            self.looked.clear()
            await asyncio.wait_for(self.looked.wait(), 5)

    async def look(self, people: Collection[str]) -> Mapping[str, Any]:
        self.looks.append(list(people))
        self.looked.set()
        if self.away:
            raise StoreUnavailable("away")
        return {who: {"unread": self.stands.get(who, 0)} for who in people}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ending() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def feed(world: World, ending: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Feed]:
    monkeypatch.setattr(feeds, "EVERY", 0.01)
    opened = Feed(world.look, ending)
    yield opened
    await opened.close()


def events(feed: Feed, who: str, last: str | None = None, seconds: float = 60) -> AsyncIterator[bytes]:
    return aiter(feed.follow(who, last, seconds).body_iterator)  # type: ignore[attr-defined]


async def read(stream: AsyncIterator[bytes]) -> tuple[str, bytes]:
    """The next event's id and data."""
    while not (sent := await asyncio.wait_for(anext(stream), 5)).startswith(b"id:"):
        pass
    id_, data, *_ = sent.split(b"\n")
    return id_.removeprefix(b"id: ").decode(), data.removeprefix(b"data: ")


async def test_whoever_is_connected_is_told_how_things_stand_and_of_each_change(feed: Feed, world: World) -> None:
    stream = events(feed, "ada")
    first, data = await read(stream)
    assert data == b'{"unread":0}'

    world.stands["ada"] = 2
    second, data = await read(stream)

    assert data == b'{"unread":2}'
    assert second != first


async def test_one_look_serves_everybody(feed: Feed, world: World) -> None:
    # Given three people, one of them connected twice
    streams = [events(feed, who) for who in ("ada", "ada", "bob", "cem")]
    await asyncio.gather(*map(read, streams))

    # Then each look that finds them all asks for each of them once
    assert feed.connected == 4
    world.stands |= {"ada": 1, "bob": 1, "cem": 1}
    await asyncio.gather(*map(read, streams))
    assert world.looks[-1] == ["ada", "bob", "cem"]


async def test_who_comes_back_is_told_at_once_of_what_changed_and_nothing_where_nothing_did(
    feed: Feed, world: World
) -> None:
    # Given somebody who was cut off
    last, _ = await read(events(feed, "ada"))

    # When they come back, then they hear nothing as long as all is as it was
    stream = events(feed, "ada", last)
    assert (await anext(stream)).startswith(b"retry:")
    waiting = asyncio.ensure_future(read(stream))
    await world.once_more(3)
    assert not waiting.done()

    # And of what changed
    world.stands["ada"] = 1
    assert (await waiting)[1] == b'{"unread":1}'
    assert (await read(events(feed, "ada", last)))[1] == b'{"unread":1}'


async def test_a_store_that_is_away_ends_no_stream(feed: Feed, world: World) -> None:
    stream = events(feed, "ada")
    await read(stream)
    world.away = True
    await world.once_more(2)
    world.away, world.stands["ada"] = False, 3

    assert (await read(stream))[1] == b'{"unread":3}'


async def test_a_stream_ends_with_its_time_and_with_the_process(
    feed: Feed, ending: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given one whose token ends at once, and one whose doesn't
    assert [sent async for sent in events(feed, "ada", seconds=0)] == [b"retry: 2000\n\n"]
    stream = events(feed, "bob")
    await read(stream)

    # When the process ends, then the other does too, and nobody else comes in
    ending.set()
    assert [sent async for sent in stream] == []
    assert feed.follow("cem", None, 60).status_code == 204
    assert feed.connected == 0


async def test_a_silent_stream_has_a_heartbeat(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "HEARTBEAT", 0.01)
    stream = events(feed, "ada")
    await read(stream)

    assert await anext(stream) == b":\n\n"


async def test_past_so_many_nobody_comes_in(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST", 1)
    stream = events(feed, "ada")
    await read(stream)

    assert feed.follow("bob", None, 60).status_code == 204


async def test_one_person_does_not_take_the_places_of_others(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST_OF_ONE", 1, raising=False)
    await read(events(feed, "ada"))

    assert feed.follow("ada", None, 60).status_code == 204
    assert feed.follow("bob", None, 60).status_code == 200


async def test_nobody_looks_once_all_have_gone(feed: Feed, world: World) -> None:
    stream = events(feed, "ada")
    await read(stream)
    await stream.aclose()  # type: ignore[attr-defined]

    assert feed.connected == 0
    looking = [task for task in asyncio.all_tasks() if task.get_name() == "api.feed"]
    await asyncio.wait_for(asyncio.gather(*looking), 5)

    # And somebody who comes later finds it begun again
    assert (await read(events(feed, "bob")))[1] == b'{"unread":0}'


async def test_each_look_has_one_feed_of_a_process(ending: asyncio.Event) -> None:
    async def look(on: object, people: Collection[str]) -> Mapping[str, Any]:
        return dict.fromkeys(people, on)

    opened = Feeds(ending)

    assert opened.feed(look, "a") is opened.feed(look, "a")
    await opened.close()


async def test_a_look_under_way_ends_before_its_feed_is_closed(ending: asyncio.Event) -> None:
    # Given a look that takes its time
    began, goes_on, ended = asyncio.Event(), asyncio.Event(), []

    async def look(people: Collection[str]) -> Mapping[str, Any]:
        began.set()
        await goes_on.wait()
        ended.append(people)
        return {}

    feed = Feed(look, ending)
    stream = events(feed, "ada")
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await began.wait()

    # When the feed is closed meanwhile, then the look ends by itself
    closing = asyncio.ensure_future(feed.close())
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.wait_for(closing, 5)
    assert ended == [["ada"]]
    waiting.cancel()
