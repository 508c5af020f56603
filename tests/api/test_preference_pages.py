"""`/p/{token}`: the preference centre as its server answers it; `tests/browser` looks at it."""

import html
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from notifier.api.page import VERSION
from notifier.domain.catalog import Catalog, Digest
from notifier.domain.clock import DAY, SECOND, to_datetime
from notifier.domain.messages import Device
from notifier.domain.preferences import Defaults, Preferences, QuietHours
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.database import Database
from notifier.store.core.effects import effect
from notifier.store.core.schema import consent, preference_change
from notifier.store.people import preferences, recipients
from tests.api.conftest import on_sqlite
from tests.api.links import Person, hidden
from tests.api.server import application
from tests.policy.samples import kind_of
from tests.samples import CATALOG, NOW

OFFER = kind_of(
    id="offer", event="offer.made", category="offers", class_="marketing", audience="segment", clicks=True
)  # fmt: skip
TYPES = CATALOG.types | {
    "offer": OFFER,
    "station-offline": msgspec.structs.replace(
        CATALOG.types["station-offline"], digest=Digest(key=("site_id",), window="1 h", link="{{ app_url }}")
    ),
}
ADA = RecipientDetails(
    email="ada@example.com", phone="+4915123456789", locale="fr", time_zone="Europe/Paris",
    devices=[Device(value="t")], sites=["s"], tenants=["host:mall-7"],
)  # fmt: skip
ON = [
    "charging.push", "charging.sms", "idle-fees.push", "idle-fees.sms", "billing.push", "billing.sms", "billing.email",
    "receipts.push", "charging.inbox", "idle-fees.inbox", "billing.inbox", "receipts.inbox",
    "operations.email", "operations.webhook", "availability.push", "availability.sms", "availability.inbox",
    "waitlist.push", "waitlist.sms",
]  # fmt: skip
"""The boxes with a tick where nobody chose anything; that of the receipts by mail is locked, and so not sent along."""


@pytest.fixture
async def ada(database: Database, valkey: str) -> AsyncIterator[Person]:
    """Ada, who charges and looks after a site."""
    await recipients.put(database, {"ada": ADA}, NOW)
    async with application(database, valkey, catalog=Catalog(TYPES.values())) as api:
        yield Person(api)


def filled(on: list[str] | None = None, **fields: str) -> list[tuple[str, str]]:
    """The form as a browser sends it, with these fields changed."""
    shown = {
        "quiet_from": "", "quiet_until": "", "locale": "fr", "time_zone": "Europe/Paris", "pace.operations": "at_once",
    }  # fmt: skip
    return [*(("on", each) for each in (ON if on is None else on)), *(shown | fields).items()]


async def test_an_app_gets_a_link_that_is_good_for_a_day(ada: Person) -> None:
    answer = await ada.api.call("POST", "/v1/recipients/ada/preference-link")

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["expires_at"] == to_datetime(NOW + DAY).isoformat().replace("+00:00", "Z")
    path = answer.body["url"].removeprefix("https://notify.example.com")
    assert (await ada.open(path)).status == 200
    ada.api.clock.advance(DAY - SECOND)
    assert (await ada.open(path)).status == 200
    ada.api.clock.advance(SECOND)
    assert (await ada.open(path)).status == 404
    assert (await ada.submit(path, *filled([]))).status == 404


async def test_nobody_who_is_not_there_gets_one(ada: Person) -> None:
    assert (await ada.api.call("POST", "/v1/recipients/nobody/preference-link")).problem == (40401, None)


async def test_the_form_as_it_is_shown_changes_nothing(ada: Person) -> None:
    before = await ada.kept()

    answer = await ada.submit(ada.centre_path(), *filled())

    assert answer.status == 303
    assert await ada.kept() == before


async def test_everything_on_the_form_can_be_chosen(ada: Person) -> None:
    on = [each for each in ON if each not in ("charging.sms", "receipts.push")]
    fields = filled(
        on, quiet_from="22:00", quiet_until="7:30", locale="de", time_zone="Europe/Berlin", everything_off="yes",
        **{"pace.operations": "daily"},
    )  # fmt: skip

    answer = await ada.submit(ada.centre_path(), *fields)

    assert (answer.status, answer.headers["Location"]) == (303, "?saved=1")
    assert await ada.chosen() == Preferences(
        everything=False, switches={"charging": {"sms": False}, "receipts": {"push": False}},
        quiet_hours=QuietHours("22:00", "07:30"), locale="de", time_zone="Europe/Berlin",
        digests={"operations": "daily"},
    )  # fmt: skip
    (change,) = await ada.api.rows(preference_change)
    assert change.actor == "person"
    page = (await ada.open(ada.centre_path() + "?saved=1")).body
    assert 'lang="de"' in page
    assert "Gespeichert." in page
    assert 'value="07:30"' in page


async def test_what_is_switched_off_on_the_page_is_counted_by_category_and_channel(ada: Person) -> None:
    # When Ada unticks a box and everything, and saves the form again
    on = [each for each in ON if each != "charging.sms"]
    for _ in range(2):
        await ada.submit(ada.centre_path(), *filled(on, everything_off="yes"))

    # Then each is counted once
    counted = await ada.api.rows(effect)
    assert sorted((each.type, each.variant, each.channel, each.what, each.number) for each in counted) == [
        ("", "", "", "switched_off", 1), ("", "charging", "sms", "switched_off", 1),
    ]  # fmt: skip


async def test_a_category_whose_links_count_says_so_in_the_persons_language(ada: Person) -> None:
    page = (await ada.open(ada.centre_path())).body

    assert page.count("Nous enregistrons si les liens de ces messages sont ouverts.") == 1


async def test_what_one_chose_before_and_did_not_touch_stays(ada: Person) -> None:
    before = Preferences(switches={"fleet": {"sms": False}}, channels={"push": True}, categories={"charging": True})
    await preferences.change(ada.api.engine.database, "ada", lambda _: before, "test", NOW, {})

    await ada.submit(ada.centre_path(), *filled(quiet_from="22:00", quiet_until="06:00"))

    assert await ada.chosen() == msgspec.structs.replace(before, quiet_hours=QuietHours("22:00", "06:00"))


async def test_ticking_an_offer_is_consent_and_unticking_it_takes_it_back(ada: Person) -> None:
    for on in ([*ON, "offers.email"], ON):
        assert (await ada.submit(ada.centre_path(), *filled(on))).status == 303
        ada.api.clock.advance(SECOND)

    entries = sorted(await ada.api.rows(consent), key=lambda row: row.id)
    assert [(row.category, row.channel, row.granted, row.source) for row in entries] == [
        ("offers", "email", 1, "preference-page"), ("offers", "email", 0, "preference-page"),
    ]  # fmt: skip
    assert entries[0].wording.startswith("fr-")


async def test_only_what_was_changed_on_a_page_counts_however_old_the_page_is(ada: Person) -> None:
    """Given a page that was opened when Ada heard offers by mail and had no quiet hours
    And that she has since unsubscribed by the mail, switched everything off and chosen another pace elsewhere
    When she changes her time zone on the old page and saves it
    Then her time zone is changed, nothing else, and the ledger has no word of hers."""
    await ada.submit(ada.centre_path(), *filled([*ON, "offers.email"]))
    old = html.unescape(hidden((await ada.open(ada.centre_path())).body, "shown"))
    await ada.submit(ada.unsubscribe_path("offers"))
    since = msgspec.structs.replace(
        await ada.chosen(), everything=False, digests={"operations": "daily"}, quiet_hours=QuietHours("22:00", "06:00")
    )
    await preferences.change(ada.api.engine.database, "ada", lambda _: since, "test", NOW, {})
    said = await ada.api.rows(consent)

    answer = await ada.submit(
        ada.centre_path(), *filled([*ON, "offers.email"], time_zone="Europe/Berlin", shown=old)
    )  # fmt: skip

    assert answer.status == 303
    assert await ada.chosen() == msgspec.structs.replace(since, time_zone="Europe/Berlin")
    assert since.switches["offers"] == {"email": False}
    assert await ada.api.rows(consent) == said


@on_sqlite
async def test_a_form_that_was_filled_in_wrongly_still_knows_what_it_showed(ada: Person) -> None:
    """Given an old page, sent with a mistake after an unsubscription
    When the mistake is mended and the form sent again
    Then the unsubscription stands."""
    await ada.submit(ada.centre_path(), *filled([*ON, "offers.email"]))
    old = html.unescape(hidden((await ada.open(ada.centre_path())).body, "shown"))
    await ada.submit(ada.unsubscribe_path("offers"))

    wrong = await ada.submit(ada.centre_path(), *filled([*ON, "offers.email"], quiet_from="25:00", shown=old))
    again = html.unescape(hidden(wrong.body, "shown"))
    await ada.submit(
        ada.centre_path(), *filled([*ON, "offers.email"], quiet_from="22:00", quiet_until="06:00", shown=again)
    )  # fmt: skip

    assert (await ada.chosen()).switches == {"offers": {"email": False}}
    assert (await ada.chosen()).quiet_hours == QuietHours("22:00", "06:00")


@on_sqlite
async def test_a_box_that_was_locked_when_the_page_was_shown_is_nobodys_change(ada: Person) -> None:
    """Given a page on which a host had locked a box
    When the lock is gone and the page is sent
    Then the box, which a browser doesn't send while it is locked, is not switched off."""
    locked = Defaults(locked={"charging": ["sms"]})
    await preferences.put_defaults(ada.api.engine.database, "host:mall-7", locked, "test", NOW)
    old = html.unescape(hidden((await ada.open(ada.centre_path())).body, "shown"))
    await preferences.put_defaults(ada.api.engine.database, "host:mall-7", Defaults(), "test", NOW)

    await ada.submit(ada.centre_path(), *filled([each for each in ON if each != "charging.sms"], shown=old))

    assert (await ada.chosen()).switches == {}


@pytest.mark.parametrize("shown", ["", "{", "[]", '{"on": 3}', '{"on": [], "paces": {"<b>": "hourly"}}'])
@on_sqlite
async def test_a_page_that_does_not_say_what_it_showed_is_taken_for_a_new_one(ada: Person, shown: str) -> None:
    await ada.submit(ada.centre_path(), *filled([each for each in ON if each != "charging.sms"], shown=shown))

    assert await ada.chosen() == Preferences(switches={"charging": {"sms": False}})


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"quiet_from": "25:00", "quiet_until": "07:00"}, "quiet_from", "Indiquez une heure"),
        ({"quiet_from": "22:00", "quiet_until": "7"}, "quiet_until", "Indiquez une heure"),
        ({"quiet_from": "22:00", "quiet_until": ""}, "quiet_until", "Remplissez les deux"),
        ({"quiet_from": "", "quiet_until": "07:00"}, "quiet_from", "Remplissez les deux"),
        ({"quiet_from": "07:00", "quiet_until": "7:00"}, "quiet_until", "identiques"),
        ({"locale": "tlh"}, "locale", "de la liste"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "de la liste"),
        ({"pace.operations": "never"}, "pace.operations", "de la liste"),
        ({"quiet_from": "<b>\0'\"", "quiet_until": "07:00"}, "quiet_from", "Indiquez une heure"),
    ],
)
@on_sqlite
async def test_what_does_not_fit_comes_back_as_it_was_written_with_what_is_wrong_beside_it(
    ada: Person, fields: dict[str, str], field: str, said: str
) -> None:
    before = await ada.kept()
    on = [each for each in ON if each != "charging.sms"]

    answer = await ada.submit(ada.centre_path(), *filled(on, **fields))

    # Then nothing is saved, the mistake stands at its field, and every other field as it was filled in
    assert answer.status == 422
    assert await ada.kept() == before
    assert f'aria-describedby="{field}-mistake"' in answer.body
    assert answer.body.count('class="mistake"') == 1
    assert said in answer.body.partition(f'id="{field}-mistake"')[2].partition("</p>")[0]
    assert 'value="charging.sms" checked' not in answer.body
    assert 'value="charging.push" checked' in answer.body
    for value in fields.values():
        assert f'value="{value}"' in answer.body or "<b>" in value
    assert "<b>" not in answer.body


@on_sqlite
async def test_quiet_hours_that_a_tenant_presets_are_shown_and_can_be_none(ada: Person) -> None:
    preset = Defaults(quiet_hours=QuietHours("23:00", "06:00"))
    await preferences.put_defaults(ada.api.engine.database, "host:mall-7", preset, "test", NOW)
    page = (await ada.open(ada.centre_path())).body
    assert 'value="23:00"' in page

    # When they are left, they stay the tenant's; when they are emptied, there are none
    await ada.submit(ada.centre_path(), *filled(quiet_from="23:00", quiet_until="06:00"))
    assert (await ada.chosen()).quiet_hours is None
    await ada.submit(ada.centre_path(), *filled(quiet_from="", quiet_until=""))
    assert (await ada.chosen()).quiet_hours == QuietHours("00:00", "00:00")
    assert 'value="23:00"' not in (await ada.open(ada.centre_path())).body


@on_sqlite
async def test_what_is_locked_is_shown_with_who_locked_it_and_no_form_switches_it(ada: Person) -> None:
    locked = Defaults(switches={"charging": {"sms": False}}, locked={"charging": ["sms"], "idle-fees": []})
    await preferences.put_defaults(ada.api.engine.database, "host:mall-7", locked, "test", NOW)

    page = (await ada.open(ada.centre_path())).body
    await ada.submit(ada.centre_path(), *filled([*ON, "receipts.email", "charging.sms"]))
    await ada.submit(ada.centre_path(), *filled([each for each in ON if not each.startswith("idle-fees")]))

    assert page.count(" disabled ") == 5  # receipts by mail, charging by text, all three of the idle fees
    assert "Toujours envoyé" in page
    assert page.count("Fixé par le site, mall-7") == 4
    assert (await ada.chosen()).switches == {}


HOSTILE: list[Any] = [
    b"", b"{", b"\xff\xfe", b"on=%FF%00&quiet_from=%C3%28", b"&".join([b"on=x"] * 2000), b"=&=&=", b"on=charging.sms;x",
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:12]))
@on_sqlite
async def test_no_body_breaks_the_page(ada: Person, body: bytes) -> None:
    for path in (ada.centre_path(), ada.unsubscribe_path()):
        answer = await ada.api.call("POST", path, body, Authorization="")
        assert answer.status < 500


@on_sqlite
async def test_a_body_that_is_too_large_is_a_problem(ada: Person) -> None:
    answer = await ada.api.call("POST", ada.centre_path(), b"x" * 70_000, Authorization="")

    assert answer.problem == (41301, None)


# What every page has in common


@on_sqlite
async def test_no_page_runs_a_script_sets_a_cookie_or_asks_elsewhere(ada: Person) -> None:
    for path in (ada.centre_path(), ada.unsubscribe_path(), "/p/none", "/u/none"):
        for answer in (await ada.open(path), await ada.submit(path, ("quiet_from", "x"))):
            assert "Set-Cookie" not in answer.headers
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "script" not in policy + answer.body
            assert "style=" not in answer.body
            assert answer.body.count("://") == answer.body.count("https://app.example.com")


@on_sqlite
async def test_the_style_sheet_may_be_kept_for_ever(ada: Person) -> None:
    page = (await ada.open(ada.centre_path())).body

    answer = await ada.open("/pages/style.css")

    assert f'href="../pages/style.css?v={VERSION}"' in page
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Type"].startswith("text/css")
    assert "url(" not in answer.body
    assert "@import" not in answer.body


@pytest.mark.parametrize(
    ("query", "accepts", "lang"),
    [
        ("", "", "fr"), ("", "es", "fr"), ("?lang=es", "", "es"), ("?lang=xx", "", "fr"), ("?lang=", "", "fr"),
        ("?lang=..%2f", "de", "fr"),
    ],
)  # fmt: skip
@on_sqlite
async def test_a_page_speaks_the_language_that_is_asked_for_or_the_persons(
    ada: Person, query: str, accepts: str, lang: str
) -> None:
    page = (await ada.open(ada.centre_path() + query, Accept_Language=accepts)).body

    assert f'<html lang="{lang}" dir="ltr">' in page


@pytest.mark.parametrize(
    ("accepts", "lang"), [("", "en"), ("es-MX,es;q=0.9,en;q=0.8", "es"), ("nl, de-CH;q=0.5", "de"), ("*;q=\0", "en")]
)
@on_sqlite
async def test_whoever_is_nobody_to_us_is_told_in_their_browsers_language(ada: Person, accepts: str, lang: str) -> None:
    page = (await ada.open("/u/none", Accept_Language=accepts.replace("\0", "x"))).body

    assert f'<html lang="{lang}"' in page


@on_sqlite
async def test_the_language_that_was_asked_for_stays_after_saving(ada: Person) -> None:
    answer = await ada.submit(ada.centre_path() + "?lang=es", *filled())

    assert answer.headers["Location"] == "?lang=es&saved=1"
