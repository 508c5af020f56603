"""The pages of what messages achieved: of all types, and of one over time."""

import csv
import io
import re

import msgspec
import pytest

from notifier.domain.clock import DAY
from notifier.domain.effects import hour_of
from notifier.domain.twins import twin
from notifier.store.console import versions
from notifier.store.console.versions import Version
from tests.api.conftest import on_sqlite
from tests.console.conftest import Enter, Visitor, signed_in
from tests.console.words import says
from tests.pipeline.test_figures import of, put
from tests.samples import NOW

HERE = hour_of(NOW)
EFFECTS = [
    of("sent", 1_234), of("delivered", 600), of("opened", 50), of("clicked", 4), of("unsubscribed", 2),
    of("failed", 2), of("undelivered", 3),
    of("exposed", 400, channel=""), of("answered", 300, channel="", after=5), of("exposed", 400),
    of("answered", 300, after=5), of("answered", 7, channel="", hour=HERE), of("superseded", 8, locale=""),
    of("sent", 77, channel="sms", locale="fr", hour=HERE - 24 * 10), of("sent", 9, type=twin("idle-warning")),
    of("stopped", 6, type="", channel="sms"), of("switched_off", 4, type="", variant="charging"),
]  # fmt: skip


async def filled(enter: Enter) -> Visitor:
    visitor = await signed_in(enter, "viewer")
    await put(visitor.engine.database, *EFFECTS)
    return visitor


def row(body: str, heading: str) -> str:
    """What the first row with this heading says."""
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    found = next(each for each in rows if heading in each.partition("</th>")[0])
    return " ".join(re.sub("<[^>]+>", " ", found).split())


async def test_all_types_are_shown_with_their_share_and_no_test_among_them(enter: Enter) -> None:
    visitor = await filled(enter)

    body = (await visitor.get("/outcomes")).body

    assert row(body, "Idle fee ahead").endswith("The car left, within 30 min 75.0% of 400 1,311 600 50 4 5 2")
    assert row(body, "Payment failed").endswith("It was paid, within 72 h – 0 0 0 0 0 0")
    assert row(body, "All categories") == "All categories 0 6 0"
    assert row(body, 'row">Charging') == "Charging 0 0 4"


@on_sqlite
async def test_a_type_is_shown_over_time_by_channel_and_by_language(enter: Enter) -> None:
    visitor = await filled(enter)

    answer = await visitor.get("/outcomes/idle-warning")

    body, said = answer.body, says(answer)
    assert "75.0% of 400 people, within 30 min; 7 more so far" in said
    assert "6 min" in said
    assert body.count('role="img"') == 2
    assert "9 Mar: 1,234 sent" in body
    assert "27 Feb: 77 sent" in body
    assert row(body, "9 Mar") == "9 Mar 1,234 600 50 4 5 2 0 8 0 0 0"
    assert row(body, "1 Mar") == "1 Mar 0 0 0 0 0 0 0 0 0 0 0"
    assert row(body, "push") == "push 75.0% of 400 1,234 600 50 4 5 2"
    assert row(body, "French") == "French – 77 0 0 0 0 0"

    # And the same by the hour
    body = (await visitor.get("/outcomes/idle-warning?period=hours")).body
    assert row(body, "9 Mar, 15:00") == "9 Mar, 15:00 1,234 600 50 4 5 2 0 8 0 0 0"


@on_sqlite
async def test_versions_are_marked_where_they_were_published(enter: Enter) -> None:
    visitor = await filled(enter)
    for number, ago in ((4, 40), (5, 2)):
        await versions.publish(visitor.engine.database, _version(number, NOW - ago * DAY), None)

    body = (await visitor.get("/outcomes/idle-warning")).body

    assert body.count(">v5</text>") == 2
    assert ">v4</text>" not in body
    assert row(body, "version 5").endswith("ada shorter")


def _version(number: int, at: int) -> Version:
    return Version(
        type="idle-warning", number=number, wording=msgspec.Raw(b"{}"), origin="console", published_at=at,
        actor="console:ada", why="shorter",
    )  # fmt: skip


@on_sqlite
async def test_a_type_without_an_outcome_or_without_messages_has_its_page(enter: Enter) -> None:
    visitor = await filled(enter)

    assert "No outcome declared" in says(await visitor.get("/outcomes/session-started"))
    assert "None is final yet" in (await visitor.get("/outcomes/payment-failed?period=hours")).body


@on_sqlite
async def test_the_same_is_there_as_a_table_to_take_along(enter: Enter) -> None:
    visitor = await filled(enter)

    answer = await visitor.get("/outcomes/csv?period=30&type=idle-warning")

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert [line["sent"] for line in csv.DictReader(io.StringIO(answer.body))] == ["77", "1234"]
    every = csv.DictReader(io.StringIO((await visitor.get("/outcomes/csv")).body))
    assert {line["type"] for line in every} == {"", "idle-warning"}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/outcomes?period=31", 400), ("/outcomes/nothing", 404), ("/outcomes/csv?type=nothing", 404)],
)
@on_sqlite
async def test_what_there_is_not_is_told(enter: Enter, path: str, status: int) -> None:
    visitor = await signed_in(enter, "viewer")

    assert (await visitor.get(path)).status == status
