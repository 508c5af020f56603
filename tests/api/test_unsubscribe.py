"""`/u/{token}`: looking changes nothing, one click is enough, and it reaches no further than it says."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from notifier.domain.catalog import Catalog
from notifier.domain.clock import DAY, HOUR, SECOND
from notifier.domain.consent import Consent
from notifier.domain.deliveries import Channel
from notifier.domain.effects import hour_of
from notifier.domain.ids import make_id
from notifier.domain.preferences import Defaults
from notifier.domain.recipients import RecipientDetails
from notifier.policy import make_grid
from notifier.store.core.database import Database
from notifier.store.core.effects import effect
from notifier.store.core.schema import consent, preference_change
from notifier.store.people import consents, preferences, recipients
from tests.api.conftest import on_sqlite
from tests.api.links import Person, hidden
from tests.api.server import application
from tests.named import EMAIL, PUSH, SMS
from tests.policy.samples import kind_of
from tests.samples import CATALOG, LINKS, NOW

ONE_CLICK = ("List-Unsubscribe", "One-Click")
OFFER = kind_of(id="offer", event="offer.made", category="offers", class_="marketing", audience="segment")
ADA = RecipientDetails(email="ada@example.com", phone="+4915123456789", locale="de-AT")


@pytest.fixture
async def ada(database: Database, valkey: str) -> AsyncIterator[Person]:
    """Ada, who opens links; there are offers, too."""
    await recipients.put(database, {"ada": ADA, "bob": ADA}, NOW)
    async with application(database, valkey, catalog=Catalog([*CATALOG.types.values(), OFFER])) as api:
        yield Person(api)


async def is_on(person: Person, category: str = "billing", channel: Channel = EMAIL) -> bool:
    """Whether the person's grid shows it as on."""
    found = await recipients.find(person.api.engine.database, person.id)
    assert found is not None
    rows = make_grid(person.api.engine.catalog, found[1], found[0].facts)
    (on,) = [
        cell.on for row in rows for cell in row.cells if (row.category, cell.channel) == (category, channel)
    ]  # fmt: skip
    return on


async def test_a_thousand_looks_change_nothing(ada: Person) -> None:
    # Given a scanner that follows every link of a mail again and again, by GET and by HEAD
    before = await ada.kept()
    path = ada.unsubscribe_path()

    async def look(number: int) -> int:
        return (await ada.open(path, "GET" if number % 2 else "HEAD")).status

    # When it has done so a thousand times
    for start in range(0, 1000, 20):
        assert set(await asyncio.gather(*(look(start + number) for number in range(20)))) == {200}

    # Then nothing is switched off
    assert await ada.kept() == before


async def test_the_page_says_what_would_be_switched_off_and_asks(ada: Person) -> None:
    page = (await ada.open(ada.unsubscribe_path())).body

    assert "„Zahlungen“ per E‑Mail abbestellen?" in page
    assert page.count("<button") == 1
    assert "ada" not in page
    assert "example.com</" not in page


@pytest.mark.parametrize(
    "body",
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"", "application/x-www-form-urlencoded"),
    ],
    ids=["one-click", "one-click as multipart", "the page's form"],
)
async def test_one_post_is_enough_without_a_login(ada: Person, body: tuple[bytes, str]) -> None:
    answer = await ada.api.call("POST", ada.unsubscribe_path(), body[0], Content_Type=body[1], Authorization="")

    # RFC 8058 §3.1: no redirect, which a mail program would not follow
    assert answer.status == 200
    assert "ist abbestellt" in answer.body
    assert not await is_on(ada)


async def test_it_reaches_no_further_than_it_says(ada: Person) -> None:
    await ada.submit(ada.unsubscribe_path(), ONE_CLICK)

    assert (await ada.chosen()).switches == {"billing": {"email": False}}
    assert await is_on(ada, "billing", SMS)
    assert await is_on(Person(ada.api, "bob"))


async def test_a_second_click_changes_nothing_more(ada: Person) -> None:
    first = await ada.submit(ada.unsubscribe_path(), ONE_CLICK)
    once = await ada.kept()

    # When mail programs repeat it, also at the same time
    again = await asyncio.gather(*(ada.submit(ada.unsubscribe_path(), ONE_CLICK) for _ in range(8)))

    # Then each is answered as the first, and the history has one change, the person's own
    assert {answer.status for answer in again} == {first.status}
    assert await ada.kept() == once
    (change,) = await ada.api.rows(preference_change)
    assert (change.recipient_id, change.actor) == ("ada", "person")


async def test_an_unsubscription_is_counted_once_and_none_of_what_is_off(ada: Person) -> None:
    # Given Ada, who has never agreed to offers
    assert not await is_on(ada, "offers")

    # When both links are used, one of them again and again
    for path in (ada.unsubscribe_path(), ada.unsubscribe_path("offers"), ada.unsubscribe_path()):
        await ada.submit(path, ONE_CLICK)

    # Then one is counted, by its category and channel, since no link says which mail it was in
    (counted,) = await ada.api.rows(effect)
    assert (counted.hour, counted.type, counted.channel) == (hour_of(NOW), "", "email")
    assert (counted.variant, counted.what, counted.number) == ("billing", "unsubscribed", 1)


async def test_the_link_in_a_mails_header_does_the_same_and_can_be_undone(ada: Person) -> None:
    path = "/u/" + LINKS.unsubscribe_url("ada", "billing", EMAIL, make_id("a mail")).rpartition("/")[2]

    page = (await ada.submit(path, ONE_CLICK)).body
    assert not await is_on(ada)

    await ada.submit(path, ("undo", hidden(page, "undo")))
    assert await is_on(ada)


async def test_whoever_looks_later_is_told_that_it_is_off(ada: Person) -> None:
    await ada.submit(ada.unsubscribe_path())

    page = (await ada.open(ada.unsubscribe_path())).body

    assert "schon abbestellt" in page
    assert "<button" not in page


# Taking it back


async def test_the_page_that_answers_takes_it_back(ada: Person) -> None:
    page = (await ada.submit(ada.unsubscribe_path())).body

    answer = await ada.submit(ada.unsubscribe_path(), ("undo", hidden(page, "undo")))

    assert answer.status == 200
    assert "wieder eingeschaltet" in answer.body
    assert await is_on(ada)


async def test_taking_back_works_for_an_hour_and_for_nothing_else(ada: Person) -> None:
    page = (await ada.submit(ada.unsubscribe_path())).body
    undo = hidden(page, "undo")
    await ada.submit(ada.unsubscribe_path("receipts", PUSH))
    before = await ada.kept()

    # For another category, another person, or by what only looks like it
    others = (ada.unsubscribe_path("receipts", PUSH), Person(ada.api, "bob").unsubscribe_path())
    for path in others:
        assert (await ada.submit(path, ("undo", undo))).status == 404
    for forged in ("", "1", undo[:-1], ada.unsubscribe_path()[3:]):
        assert (await ada.submit(ada.unsubscribe_path(), ("undo", forged))).status == 404
    # Or an hour later
    ada.api.clock.advance(HOUR)
    assert (await ada.submit(ada.unsubscribe_path(), ("undo", undo))).status == 404

    assert await ada.kept() == before


async def test_the_link_itself_is_good_for_years(ada: Person) -> None:
    ada.api.clock.advance(3 * 365 * DAY)

    assert (await ada.submit(ada.unsubscribe_path(), ONE_CLICK)).status == 200
    assert not await is_on(ada)


# Marketing


async def test_unsubscribing_from_marketing_takes_the_consent_back(ada: Person) -> None:
    # Given somebody who agreed to offers by mail and by text
    for channel in ("email", "sms"):
        word = Consent(category="offers", channel=channel, granted=True, wording="v1", source="app")
        await consents.add(ada.api.engine.database, "ada", word, "test", NOW)

    # When they unsubscribe by a mail's link, twice
    ada.api.clock.advance(SECOND)
    for _ in range(2):
        assert (await ada.submit(ada.unsubscribe_path("offers"), ONE_CLICK)).status == 200

    # Then the ledger has one more word, with where it was said and to which words
    words = await ada.api.rows(consent)
    assert len(words) == 3
    last = max(words, key=lambda row: row.at)
    assert (last.category, last.channel, last.granted, last.actor) == ("offers", "email", 0, "person")
    assert last.source == "unsubscribe-page"
    assert last.wording.startswith("de-")
    assert not await is_on(ada, "offers")
    assert await is_on(ada, "offers", SMS)


async def test_taking_that_back_is_a_word_too(ada: Person) -> None:
    word = Consent(category="offers", channel="email", granted=True, wording="v1", source="app")
    await consents.add(ada.api.engine.database, "ada", word, "test", NOW)
    ada.api.clock.advance(SECOND)
    page = (await ada.submit(ada.unsubscribe_path("offers"))).body
    ada.api.clock.advance(SECOND)

    await ada.submit(ada.unsubscribe_path("offers"), ("undo", hidden(page, "undo")))

    assert sorted(row.granted for row in await ada.api.rows(consent)) == [0, 1, 1]
    assert await is_on(ada, "offers")


# What can't be helped


@on_sqlite
async def test_what_a_tenant_locked_since_is_told_and_the_choice_kept(ada: Person) -> None:
    defaults = Defaults(locked={"billing": ["email"]})
    await preferences.put_defaults(ada.api.engine.database, "network", defaults, "test", NOW)

    page = (await ada.submit(ada.unsubscribe_path())).body

    assert "Das legt Voltline fest" in page
    assert (await ada.chosen()).switches == {"billing": {"email": False}}


@on_sqlite
async def test_a_category_that_is_no_more_is_switched_off_under_its_id(ada: Person) -> None:
    answer = await ada.submit(ada.unsubscribe_path("old-news"), ONE_CLICK)

    assert (answer.status, "old-news" in answer.body) == (200, True)
    assert (await ada.chosen()).switches == {"old-news": {"email": False}}


async def test_somebody_who_is_gone_has_no_page_and_comes_not_back(ada: Person) -> None:
    gone = Person(ada.api, "gone")
    before = await ada.kept()

    for answer in (await gone.open(gone.unsubscribe_path()), await gone.submit(gone.unsubscribe_path(), ONE_CLICK)):
        assert answer.status == 404
    assert await ada.kept() == before


@on_sqlite
async def test_a_fault_of_ours_leaves_no_link_in_the_log(ada: Person) -> None:
    path = ada.unsubscribe_path()
    async with ada.api.engine.database.engine.begin() as connection:
        await connection.run_sync(preference_change.drop)

    with capture_logs() as logged:
        answer = await ada.submit(path, ONE_CLICK)

    assert answer.status >= 500
    assert logged
    assert path[3:] not in str(logged)
