"""The inbox's list: what was told is what is shown, newest first; what isn't true any more leaves it by itself."""

import asyncio

import pytest

from notifier.channels.inbox import items
from notifier.domain.clock import DAY, MINUTE
from notifier.domain.deliveries import State
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.retention import sweep
from notifier.store.people import recipients
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.channels.inbox.app import INBOX, App, app_of, completed
from tests.samples import NOW


async def test_what_was_told_is_what_is_shown(app: App) -> None:
    # When a session of Ada's is complete
    await app.complete("7")

    # Then her app shows it in her language, and the row is the delivery: nothing else was asked for
    (item,) = await app.items()
    assert (item["title"], item["action"]) == ("Dein Auto ist voll geladen", "Ladevorgang ansehen")
    assert item["body"].startswith("Station 7: 41,1")
    assert item["link"] == "https://app.example.com/sessions/7"
    assert (item["locale"], item["type"], item["read_at"]) == ("de", "charging-complete", None)
    (row,) = await app.rows(channel="inbox")
    assert (row.state, row.provider, row.provider_reference) == ("sent", "inbox", row.id)
    assert item["id"] == row.id
    assert await app.unread() == (1, 1, False)

    # And in those words, whatever she speaks by now
    spoken = RecipientDetails(name="Ada", locale="fr", time_zone="Europe/Paris", tokens=["AT-ADA"])
    await recipients.put(app.engine.database, {"ada": spoken}, NOW)
    page = (await app.call("GET")).body
    assert page["items"] == [item]
    assert page["locale"] == "fr"


async def test_pages_have_each_message_once_while_others_come_in(app: App) -> None:
    # Given five messages, and an app that has the first two
    await app.complete("1", "2", "3", "4", "5")
    everything = await app.ids()
    first = (await app.call("GET", "?limit=2")).body

    # When more come in between the pages
    await app.complete("6", "7")
    second = (await app.call("GET", f"?limit=2&cursor={first['next']}")).body
    await app.complete("8")
    last = (await app.call("GET", f"?limit=2&cursor={second['next']}")).body

    # Then the pages are the list as it was, and the new ones stand on top of it
    pages = [each["id"] for page in (first, second, last) for each in page["items"]]
    assert pages == everything
    assert last["next"] is None
    assert (await app.ids())[3:] == everything


async def test_messages_of_one_moment_are_all_listed(app: App) -> None:
    # Given four messages that were decided in the same millisecond
    await decide(app.engine, [await app.report("charging.complete", **completed(each)) for each in "1234"])
    await app.send()

    # When they are read one a page, then each is there once
    page = (await app.call("GET", "?limit=1")).body
    seen = [each["id"] for each in page["items"]]
    while page["next"]:
        page = (await app.call("GET", f"?limit=1&cursor={page['next']}")).body
        seen += [each["id"] for each in page["items"]]
    assert sorted(seen) == sorted(row.id for row in await app.rows(channel="inbox"))
    assert len(seen) == 4


async def test_what_is_superseded_leaves_the_list_by_itself(app: App) -> None:
    # Given a session that has begun
    await app.tell("session.started", session_id="7", station="Gent", started_at="2026-03-09T17:38:00Z")
    assert [each["type"] for each in await app.items()] == ["session-started"]

    # When it is complete, then that stands alone, in the archive too
    await app.complete("7")
    assert [each["type"] for each in await app.items()] == ["charging-complete"]
    assert await app.items("?view=archived") == []
    assert (await app.unread())[0] == 1


async def test_what_is_cancelled_leaves_the_list_by_itself(app: App) -> None:
    await app.complete("7", "8")

    await app.tell("session.ended", session_id="7")

    assert [each["link"] for each in await app.items()] == ["https://app.example.com/sessions/8"]
    assert (await app.unread())[0] == 1


async def test_what_is_expired_goes_to_the_archive_by_itself(app: App) -> None:
    await app.complete("7")

    app.api.clock.advance(30 * MINUTE)

    assert await app.items() == []
    assert await app.unread() == (0, 0, False)
    (item,) = await app.items("?view=archived")
    assert item["archived_at"] is None


async def test_what_is_kept_no_longer_leaves_the_archive_by_itself(app: App) -> None:
    # Given two messages in the archive, a month apart
    await app.complete("7")
    app.api.clock.advance(31 * DAY)
    await app.complete("8")
    app.api.clock.advance(30 * MINUTE)
    await app.sign_in()
    assert len(await app.items("?view=archived")) == 2

    # When the data of the first go, as its period is over
    await sweep(app.engine, asyncio.Event())

    # Then it can't be shown any more
    assert [each["link"] for each in await app.items("?view=archived")] == ["https://app.example.com/sessions/8"]


async def test_what_is_not_sent_is_not_shown(app: App) -> None:
    await decide(app.engine, [await app.report("charging.complete", **completed("7"))])

    assert [row.state for row in await app.rows(channel=INBOX)] == [State.PENDING]
    assert await app.items() == []
    assert (await app.unread())[0] == 0


@on_sqlite
async def test_somebody_elses_messages_are_not_shown(app: App, api: Caller) -> None:
    bob = await app_of(api, "bob", RecipientDetails(name="Bob"))
    await app.complete("7")
    await bob.complete("8")

    assert [each["link"][-1] for each in await app.items()] == ["7"]
    assert [each["link"][-1] for each in await bob.items()] == ["8"]


@on_sqlite
async def test_who_has_no_address_at_all_has_an_inbox(app: App) -> None:
    await app.complete("7")

    told = {row.channel: (row.state, row.reason) for row in await app.rows()}
    assert told == {"inbox": ("sent", None), "push": ("suppressed", "no_address"), "sms": ("suppressed", "no_address")}


@on_sqlite
async def test_unread_messages_are_counted_up_to_99_and_more_is_said_so(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "COUNTED", 2)
    await app.complete("1", "2")
    assert await app.unread() == (2, 2, False)
    await app.complete("3")
    assert await app.unread() == (2, 2, True)


@on_sqlite
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("?limit=0", "/limit"), ("?limit=101", "/limit"), ("?view=all", "/view"), ("?cursor=x", "/cursor"),
        ("?cursor=1/2", "/cursor"), ("?nothing=1", "/nothing"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_told_by_its_parameter(app: App, query: str, pointer: str) -> None:
    assert (await app.call("GET", query)).problem == (42205, pointer)


@on_sqlite
async def test_an_inbox_tells_no_cache_anything(app: App) -> None:
    for path in ("", "/unread"):
        assert (await app.call("GET", path)).headers["Cache-Control"] == "no-store"
