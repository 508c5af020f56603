"""Health and live pages: what they tell, and that nobody waits for what takes long."""

import asyncio
import html
import json
import math
import re
from collections import Counter

import pytest
import sqlalchemy as sa

from notifier.console import watch
from notifier.console.pages import duration
from notifier.console.watch import MetricsSample, Remembered, quantile
from notifier.domain.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from notifier.store.core.books import tally
from notifier.store.reading import failing
from notifier.why.telling import meaning
from tests import everywhere
from tests.api.conftest import in_one_piece, on_sqlite
from tests.console.conftest import Enter, Visitor, signed_in
from tests.console.rows import fill, listed
from tests.named import SMS
from tests.samples import NOW
from tests.states import become_there


async def test_health_tells_what_waits_and_whether_the_sum_is_whole(enter: Enter) -> None:
    # Given a delivery that nobody planned, and one that fell due a minute ago
    visitor = await signed_in(enter, "viewer")
    ids = await fill(visitor, 2, recipient_id="ada")
    planned = sa.and_(tally.c.state == "planned", tally.c.number == 2)
    await everywhere.write(visitor.engine.database, sa.update(tally).where(planned).values(number=1), tally)
    await become_there(visitor.engine.database, ids[-1:], state="pending", next_check_at=NOW - MINUTE)
    await visitor.engine.signals.ask(["0" * 32])

    async with asyncio.timeout(10):
        body = ""
        while "unaccounted for" not in body or "Loading" in body:  # a page waits for neither for long
            body = (await visitor.get("/health")).body

    assert "1 unaccounted for" in body
    assert '<dt>ask</dt><dd class="number">1</dd>' in body
    assert "1 min overdue" in body
    assert re.search(r"0 days are sealed, \d+ (is|are) open \(since 2\d\d\d-\d\d-\d\d\)\.", body)


@pytest.mark.parametrize(
    ("failed", "tone", "told"),
    [(0, "good", "Few or none"), (1, "good", "Few or none"), (2, "warn", "3 % fail"), (6, "bad", "10 % fail"),
     (60, "bad", "100 % fail")],
)  # fmt: skip
async def test_health_tells_what_fails_by_channel_and_type_and_what_waits_for_a_person(
    enter: Enter, failed: int, tone: str, told: str
) -> None:
    # Given sixty texts of the last minutes, some of which the carrier refused
    visitor = await signed_in(enter, "viewer")
    ids = await fill(visitor, 60)
    visitor.clock.advance(2 * MINUTE)
    died = {"state": "undelivered", "code": "30003", "updated_at": visitor.clock.now()}
    await become_there(visitor.engine.database, ids[:failed], **died)

    body = await counted(visitor, told)

    # Then the tiles say so, with the code in words, and count those that nobody has handled
    assert (tile(body, "Failures")[0], told in tile(body, "Failures")[1]) == (tone, True)
    waiting = ("warn", f"{failed} waiting") if failed else ("good", "0 waiting")
    assert tile(body, "Dead letters") == waiting
    assert (f"30003, {meaning(SMS, '30003')}" in html.unescape(body)) == (tone != "good")

    # And when it is long ago, nothing fails any more, and the letters wait still
    visitor.clock.advance(HOUR - MINUTE)
    body = await counted(visitor, "Nothing sent")
    assert tile(body, "Dead letters") == waiting


@in_one_piece
async def test_the_share_that_fails_is_of_all_that_ended_lately_and_waiting_is_no_failure(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given forty texts of half an hour ago, all of which ended just now, one of them badly; and ten asked to come later
    visitor = await signed_in(enter, "viewer")
    ids = await fill(visitor, 50)
    visitor.clock.advance(HOUR // 2)
    now = visitor.clock.now()

    database = visitor.engine.database
    await become_there(database, ids[:39], state="sent", updated_at=now)
    await become_there(database, ids[39:40], state="undelivered", code="30003", updated_at=now)
    await become_there(database, ids[40:], state="pending", reason="throttled", updated_at=now)

    # Then one of forty is few
    assert tile(await counted(visitor, "40 attempted"), "Failures") == ("good", "Few or none")

    # When one that is older than all that is looked at is given up, then it stands in no share, and is told
    visitor.clock.advance(MINUTE)
    monkeypatch.setattr(failing, "MOST", 30)
    body = await counted(visitor, "given up")
    assert tile(body, "Failures") == ("warn", "1 given up")


def tile(body: str, name: str) -> tuple[str, str]:
    """How a tile looks, and what it says."""
    found = re.search(rf'<li class="(\w+)">\s*<h2>{name}</h2>\s*<strong>([^<]*)</strong>', body)
    assert found, name
    return found[1], found[2]


async def counted(visitor: Visitor, told: str) -> str:
    """The page once everything was looked at anew, and it says this."""
    async with asyncio.timeout(30):
        while True:
            body = str((await visitor.get("/health")).body)
            if "Counting" not in body and told in body:
                return body


@on_sqlite
async def test_a_live_page_sends_what_has_changed(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    async with visitor.session.get(f"{visitor.url}/console/activity/live?channel=sms") as stream:
        assert stream.content_type == "text/event-stream"
        assert "Nothing has been sent" not in await drawn(stream)

        (id_,) = await fill(visitor, 1)

        assert listed(await drawn(stream)) == [id_]


async def drawn(stream: object) -> str:
    async for line in stream.content:  # type: ignore[attr-defined]
        if line.startswith(b"data: "):
            return str(json.loads(line[6:]))
    raise AssertionError("the stream ended")


async def test_what_takes_long_is_told_as_it_was_last_seen() -> None:
    # Given something that takes as long as we say
    clock, gate, found = ManualClock(NOW), asyncio.Event(), iter([1, 2])

    async def find() -> int:
        await gate.wait()
        return next(found)

    remembered = Remembered(find, clock)

    # Then nobody waits for it, all ask once, and what was found stands while it is looked for again
    assert await asyncio.gather(remembered.latest(), remembered.latest()) == [None, None]  # type: ignore[comparison-overlap]
    gate.set()
    assert await remembered.latest() == 1
    gate.clear()
    clock.advance(watch.LOOK_EVERY)
    assert await remembered.latest() == 1
    gate.set()
    assert await remembered.latest() == 2
    assert await remembered.latest() == 2
    await remembered.close()


async def test_where_nobody_looked_for_a_while_what_is_now_is_waited_for() -> None:
    # Given what was seen a minute ago, and takes longer to see again than a page usually waits
    clock, found = ManualClock(NOW), iter([1, 2])

    async def find() -> int:
        await asyncio.sleep(2 * watch.PATIENCE)
        return next(found)

    remembered = Remembered(find, clock)
    assert await remembered.latest() is None
    async with asyncio.timeout(30):
        while await remembered.latest() is None:
            pass
    clock.advance(MINUTE)

    # When somebody looks, then what is now is told, and not what was then
    assert await remembered.latest() == 2
    await remembered.close()


def test_speeds_and_answers_are_those_between_two_readings() -> None:
    def sample(at: int, *counts: int) -> MetricsSample:
        bounds = (0.1, 0.25, math.inf)
        answers = Counter({("sms", bound): count for bound, count in zip(bounds, counts, strict=True)})
        return MetricsSample(
            at, Counter({("twilio", "sent"): counts[-1], ("twilio", "throttled"): 5}), answers, {"twilio": 2}, 0
        )

    earlier, later = sample(0, 100, 100, 100), sample(MINUTE, 150, 200, 200)

    (speed,) = watch.speeds(earlier, later)
    assert (speed.channel, speed.answered, speed.p50) == ("sms", 100, 100)
    assert speed.p95 == pytest.approx(235)
    (provider,) = watch.providers(earlier, later)
    assert (provider.name, provider.breaker, provider.said) == ("twilio", "open", [("sent", 100)])


@pytest.mark.parametrize(
    ("buckets", "told"),
    [({}, None), ({0.1: 0, math.inf: 0}, None), ({0.1: 0, math.inf: 4}, 100), ({0.1: 4, 1.0: 4, math.inf: 4}, 95)],
)
def test_a_quantile_lies_within_its_bucket(buckets: dict[float, int], told: float | None) -> None:
    assert quantile(buckets, 0.95) == pytest.approx(told) if told else quantile(buckets, 0.95) is None


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (0, "0 ms"),
        (850, "850 ms"),
        (2_340, "2.3 s"),
        (12 * SECOND, "12 s"),
        (MINUTE, "1 min"),
        (3 * MINUTE + 5 * SECOND, "3 min 5 s"),
        (HOUR + 59 * SECOND, "1 h"),
        (2 * DAY + 4 * HOUR, "2 d 4 h"),
    ],
)
def test_spans_are_told_in_their_two_largest_units(span: int, told: str) -> None:
    assert duration(span) == told
