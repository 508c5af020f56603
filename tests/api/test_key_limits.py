"""Keys with limits: by the second and by the day, over all processes, told in headers, and refused without a query."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from random import Random

import pytest
import sqlalchemy as sa

from notifier import metrics
from notifier.api.key_limits import KeyLimits
from notifier.domain.clock import DAY, HOUR, SECOND, ManualClock
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey, split_key
from notifier.store.console import keys
from notifier.store.core.database import Database
from notifier.store.core.schema import event
from notifier.store.core.staff import key_usage
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.samples import NOW, encoded

BATCH = "application/cloudevents-batch+json"
MIDNIGHT = NOW - NOW % DAY + DAY


def batch_of(count: int, name: str = "e") -> bytes:
    return b"[" + b",".join(encoded(id=f"{name}-{number}") for number in range(count)) + b"]"


async def limited(database: Database, **limits: float) -> str:
    return f"Bearer {await add_key(database, **limits)}"


async def test_a_key_over_its_rate_is_sent_away_and_others_are_not(api: Caller) -> None:
    # Given a key for ten events a second, of which a batch of a hundred is ten seconds' worth
    slow = await limited(api.engine.database, rate=10.0)
    taken = await api.post(batch_of(100), BATCH, Authorization=slow)
    assert taken.status == 202
    assert taken.headers["RateLimit-Policy"] == '"second";q=10;w=1'
    assert taken.headers["RateLimit"] == '"second";r=0;t=10'

    # When it comes again at once
    refused = await api.post(encoded(id="x"), Authorization=slow)

    # Then it is told when to come back and which limit it was, nothing is written, and nobody else notices
    assert refused.problem == (42901, None)
    assert refused.headers["Retry-After"] == "9"
    assert refused.headers["RateLimit"] == '"second";r=0;t=10'
    assert refused.body["violated-policies"] == ["second"]
    assert "10 events a second" in refused.body["detail"]
    other = await api.post(encoded(id="y"))
    assert other.status == 202
    assert "RateLimit" not in other.headers
    assert len(await api.rows(event)) == 101

    # And after that time it is taken
    api.clock.advance(9 * SECOND)
    assert (await api.post(encoded(id="x"), Authorization=slow)).status == 202


async def test_a_key_over_its_day_is_sent_away_until_midnight_utc(api: Caller) -> None:
    daily = await limited(api.engine.database, daily=25)
    api.clock.advance(MIDNIGHT - HOUR - NOW)
    assert (await api.post(batch_of(20), BATCH, Authorization=daily)).status == 202

    # A batch that would exceed it is refused whole and counts nothing
    refused = await api.post(batch_of(10, "more"), BATCH, Authorization=daily)
    assert refused.problem == (42902, None)
    assert refused.body["violated-policies"] == ["day"]
    assert refused.headers["Retry-After"] == "3600"
    assert refused.headers["RateLimit"] == '"day";r=5;t=3600'

    # Repeats count, and events that don't fit
    assert (await api.post(batch_of(4), BATCH, Authorization=daily)).status == 202
    wrong = await api.post(encoded(id="z", type="no.such"), Authorization=daily)
    assert wrong.problem == (42201, "/type")
    assert wrong.headers["RateLimit"] == '"day";r=0;t=3600'
    assert (await api.post(encoded(id="z"), Authorization=daily)).problem == (42902, None)

    api.clock.advance(HOUR)
    taken = await api.post(batch_of(25, "next"), BATCH, Authorization=daily)
    assert taken.status == 202
    assert taken.headers["RateLimit"] == '"day";r=0;t=86400'


async def test_what_is_no_event_counts_nothing_and_tells_the_limits_too(api: Caller) -> None:
    key = await limited(api.engine.database, rate=5.0, daily=7)

    for body, media in ((b"{}", BATCH), (b"[]", BATCH), (b"<a/>", "text/xml")):
        told = await api.post(body, media, Authorization=key)
        assert told.headers["RateLimit-Policy"] == '"second";q=5;w=1, "day";q=7;w=86400', body
        assert told.headers["RateLimit"].startswith('"second";r=5;t=1, "day";r=7;'), body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/ocpi/2.2.1/sessions/BE/BEC/101"),
        ("PATCH", "/ocpi/2.2.1/sessions/BE/BEC/101"),
        ("POST", "/ocpi/2.2.1/cdrs"),
    ],
)
@on_sqlite
async def test_an_ocpi_peer_that_sends_more_than_its_keys_limits_is_sent_away(
    api: Caller, method: str, path: str
) -> None:
    for limits, number in (({"rate": 0.01}, 42901), ({"daily": 1}, 42902)):
        # Given a key for one object, and one that was looked at
        slow = await limited(api.engine.database, **limits)
        assert (await api.call(method, path, "{}", Authorization=slow)).status in (404, 422)

        # When the peer goes on at once
        refused = await api.call(method, path, "{}", Authorization=slow)

        # Then it is told when to come back
        assert refused.problem == (number, None)
        assert int(refused.headers["Retry-After"]) > 1
        assert "RateLimit" in refused.headers


async def test_several_processes_together_take_exactly_what_a_key_may_report(database: Database) -> None:
    # Given three processes, each with its own memory, and a key that all of them are asked by at once
    key = await key_of(database, rate=200.0, daily=1500)
    clock = ManualClock(NOW)
    processes = [KeyLimits(database, clock) for _ in range(3)]

    async def report(limits: KeyLimits, events: int) -> int:
        try:
            await limits.admit(key, events)
        except Problem:
            return 0
        return events

    # When they ask for far more than it may, over three seconds and until the day's limit
    taken = []
    for _ in range(12):
        asked = [report(limits, events) for limits in processes for events in (1, 2, 3, 4, 5) * 12]
        taken.append(sum(await asyncio.gather(*asked)))
        clock.advance(250)

    # Then each moment's are the rate's, but for the request that exceeded it, and all are the day's
    assert taken[0] in range(200, 206)
    assert all(sum(taken[: n + 1]) in range(200 + 50 * n, 200 + 50 * n + 6) for n in range(12))
    clock.advance(MIDNIGHT - clock.now() - HOUR)
    for limits in processes * 20:
        await report(limits, 100)
        clock.advance(5 * SECOND)
    left = 1500 - sum(taken)
    assert await used(database, key) == 1500 - left % 100


@pytest.mark.parametrize("foremost_asked", ["throughout", "at first"])
async def test_processes_whose_clocks_differ_give_a_key_its_rate_and_no_more(
    database: Database, foremost_asked: str
) -> None:
    # Given two processes, the second one's clock five seconds behind, and a key that has used up its rate at the first
    key = await key_of(database, rate=23.0)
    clocks = [ManualClock(NOW), ManualClock(NOW - 5 * SECOND)]
    first, second = (KeyLimits(database, clock) for clock in clocks)
    taken = Counter[KeyLimits]()

    async def report(limits: KeyLimits) -> None:
        with suppress(Problem):
            await limits.admit(key, 1)
            taken[limits] += 1

    for _ in range(30):
        await report(first)
    at_first = taken[first]

    # When it is used in a loop for five seconds more, now at one and now at the other, or at the second only
    any_of = Random(1)  # noqa: S311 (the same each run)
    for _ in range(200):
        for clock in clocks:
            clock.advance(25)
        await report(any_of.choice([first, second]) if foremost_asked == "throughout" else second)

    # Then all of its rate is used, and no more, and both have some of it
    assert at_first in range(23, 26)
    assert taken.total() in range(at_first + 110, at_first + 118)
    assert taken[second] >= 20


async def test_a_key_that_is_known_to_be_over_is_refused_without_a_query_and_before_its_body(api: Caller) -> None:
    # Given a key that has used up its day
    key = await limited(api.engine.database, daily=1)
    assert (await api.post(encoded(id="a"), Authorization=key)).status == 202
    before = metrics.requests_limited.labels("day")._value.get()
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    # When it begins to send a body that never ends
    sa.event.listen(api.engine.database.engine.sync_engine, "before_cursor_execute", note)
    async with AsyncExitStack() as stack:
        end = asyncio.Event()
        stack.callback(end.set)

        async def endless() -> AsyncIterator[bytes]:
            yield b"["
            await end.wait()

        headers = {"Authorization": key, "Content-Type": BATCH}
        answered = await stack.enter_async_context(
            api.session.post(f"{api.url}/v1/events", data=endless(), headers=headers)
        )
        # Then it is answered all the same, nobody is asked, and it is counted
        assert answered.status == 429
        end.set()
    sa.event.remove(api.engine.database.engine.sync_engine, "before_cursor_execute", note)
    assert asked == []
    assert metrics.requests_limited.labels("day")._value.get() == before + 1


async def test_a_raised_limit_holds_at_once(database: Database) -> None:
    key = await key_of(database, daily=1)
    limits = KeyLimits(database, ManualClock(NOW))
    await limits.admit(key, 1)
    with pytest.raises(Problem):
        limits.check(key)

    await limits.admit(ApiKey(**{name: getattr(key, name) for name in key.__struct_fields__} | {"daily": 2}), 1)


@on_sqlite
async def test_a_key_without_limits_is_not_counted(api: Caller) -> None:
    assert (await api.post(encoded(id="a"))).status == 202

    key = await keys.find(api.engine.database, (split_key(api.key) or ("", ""))[0])
    assert key is not None
    assert await used(api.engine.database, key) is None


async def key_of(database: Database, **limits: float) -> ApiKey:
    id_, _ = split_key(await add_key(database, **limits)) or ("", "")
    found = await keys.find(database, id_)
    assert found is not None
    return found


async def used(database: Database, key: ApiKey) -> int | None:
    """The events that a key has in the database."""
    async with database.engine.connect() as connection:
        return (await connection.execute(sa.select(key_usage.c.events).where(key_usage.c.id == key.id))).scalar()
