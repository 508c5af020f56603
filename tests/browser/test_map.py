"""The map in a real browser: by keyboard and by eye, live, in every language and light, on a phone and within a page of
others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from aiohttp import web
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize, expect

from notifier.domain.clock import HOUR
from notifier.domain.recipients import RecipientDetails
from notifier.domain.stations import Connector, EvseStatus
from notifier.store.core.database import Database
from notifier.store.people import recipients
from notifier.store.stations import alerts, evses, locations
from notifier.store.stations.evses import StatusReport
from notifier.store.stations.locations import StoredLocation
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application
from tests.browser.test_pages import WCAG
from tests.places import place
from tests.samples import LINKS, NOW

LANGUAGES = ("en", "de", "fr", "es")
PHONE, SMALL, DESKTOP = (
    ViewportSize(width=360, height=740), ViewportSize(width=320, height=640), ViewportSize(width=1200, height=800)
)  # fmt: skip
GENT = "near=51.05,3.73&zoom=13"
SLOW, FAST = "NL-TNM-SLOW", "NL-TNM-FAST"
FASTEST = (Connector("1", "IEC_62196_T2_COMBO", 150_000),)


@dataclass
class Seen:
    """What a page asked for, and what went wrong on it."""

    hosts: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def with_plugs(stored: StoredLocation, connectors: tuple[Connector, ...]) -> StoredLocation:
    replace = msgspec.structs.replace
    ports = {id_: replace(each, evse=replace(each.evse, connectors=connectors)) for id_, each in stored.evses.items()}
    return replace(stored, evses=ports)


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Caller]:
    """The application with two places in Gent, of which the fast one is full, and Ada, who has a link."""
    slow = place(SLOW, name="Vrijdagmarkt", address="Vrijdagmarkt 1", operator="Stroom")
    fast = with_plugs(place(FAST, name="Dampoort", latitude=51.0561, longitude=3.7405), FASTEST)
    for each in (slow, fast):
        await locations.update(database, each.location.id, lambda _, each=each: each)  # type: ignore[misc]
    await recipients.put(database, {"ada": RecipientDetails(locale="en")}, NOW)
    async with application(database, valkey) as caller:
        await report(caller, f"{SLOW}-1", EvseStatus.AVAILABLE, NOW - HOUR)
        yield caller


async def report(api: Caller, id_: str, status: EvseStatus, at: int) -> None:
    await evses.report_statuses(api.engine.database, [StatusReport(id=id_, status=status, at=at, source="ocpp")], at)


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[tuple[Page, Seen]]:
    """A page in a window of its own: it asks nobody but us, sets no cookie, breaks no rule and has no fault."""
    context = await browser.new_context(
        **{"viewport": DESKTOP, "locale": "en-GB", "reduced_motion": "reduce", **options}
    )
    page, seen = await context.new_page(), Seen()
    page.on("request", lambda request: seen.hosts.add(request.url.split("/")[2]))
    page.on("console", lambda said: seen.faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.faults.append(str(error)))
    await page.goto(url)
    yield page, seen
    assert seen.hosts == {url.split("/")[2]}
    assert seen.faults == []
    assert await context.cookies() == []
    await context.close()


async def violations(page: Page) -> list[str]:
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    return [f"{each['id']}: {node['html'][:200]}" for each in found.response["violations"] for node in each["nodes"]]


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(30):
        await page.keyboard.press("Tab")
        if name in await page.evaluate("document.activeElement.textContent"):
            return
    raise AssertionError(f"nothing called {name} is reached by keyboard")


@on_sqlite
async def test_a_driver_finds_a_fast_place_by_keyboard_and_is_told_when_it_is_free(
    browser: Browser, api: Caller
) -> None:
    url = LINKS.map_url("ada", NOW).replace("https://notify.example.com", api.url)
    async with opened(browser, f"{url}?{GENT}") as (page, _):
        # Given both places in the list, what is free before what is near
        await expect(page.locator("#places a")).to_have_count(2)
        await expect(page.locator("#places .name")).to_have_text(["Vrijdagmarkt", "Dampoort"])
        await expect(page.locator("#live")).to_have_text("Live")

        # When she asks for 150 kW and opens what is left, with the keyboard alone
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.locator("[name=min_kw]").focus()
        await page.keyboard.press("1")  # goes to the option that begins so: 11
        await page.locator("[name=min_kw]").select_option("150")
        await expect(page.locator("#places a")).to_have_count(1)
        assert "min_kw=150" in page.url
        await tab_to(page, "Dampoort")
        await page.keyboard.press("Enter")

        # Then its heading has the focus, and it says of each port what it is
        await expect(page.locator("#place h2")).to_be_focused()
        await expect(page.locator("#place .standing")).to_have_text("None of 2 free")
        await expect(page.locator(".ports li").first).to_contain_text("CCS 2 150 kW")
        assert f"place={FAST}" in page.url

        # When she asks to be told
        await tab_to(page, "Tell me when a port is free")
        await page.keyboard.press("Enter")
        await expect(page.locator("#place .alert")).to_contain_text("You will be told once it is free, until")
        await expect(page.locator("#said")).to_have_text("You will be told when it is free.")
        assert [each.alert.location_id for each in await alerts.of_person(api.engine.database, "ada")] == [FAST]

        # And a port is free, then the open page says so without being loaded again, aloud too
        await page.evaluate("window.before = true")
        await report(api, f"{FAST}-1", EvseStatus.AVAILABLE, NOW)
        await expect(page.locator("#place .standing")).to_have_text("1 of 2 free")
        await expect(page.locator("#said")).to_have_text("Dampoort: 1 of 2 free")
        assert await page.evaluate("window.before")

        # And Escape leads back to where she was in the list
        await page.keyboard.press("Escape")
        await expect(page.locator("#place")).to_be_hidden()
        await expect(page.locator(f"#places [data-id={FAST}]")).to_be_focused()
        assert "place=" not in page.url


@on_sqlite
async def test_the_map_and_its_list_show_what_changes_and_keep_their_order(browser: Browser, api: Caller) -> None:
    async with opened(browser, f"{api.url}/map?{GENT}") as (page, _):
        names = page.locator("#places .name")
        await expect(names).to_have_text(["Vrijdagmarkt", "Dampoort"])
        await expect(page.locator(".sign")).to_have_count(2)
        await expect(page.locator(".sign .pin.free")).to_have_count(1)

        # When the one is taken and the other free
        await report(api, f"{FAST}-1", EvseStatus.AVAILABLE, NOW)
        await report(api, f"{SLOW}-1", EvseStatus.CHARGING, NOW)

        # Then both say so, and nothing has moved under the finger
        await expect(page.locator("#places .state")).to_have_text(["None of 2 free", "1 of 2 free"])
        await expect(names).to_have_text(["Vrijdagmarkt", "Dampoort"])
        await expect(page.locator(".sign .pin.free")).to_have_count(1)
        await expect(page.locator("#found")).to_have_text("2 places · 1 port free")

        # And a new place comes by itself
        korenmarkt = place("NL-TNM-NEW", name="Korenmarkt", latitude=51.0546, longitude=3.7219)
        await locations.update(api.engine.database, "NL-TNM-NEW", lambda _: korenmarkt)
        await expect(names).to_have_text(["Dampoort", "Vrijdagmarkt", "Korenmarkt"])


@on_sqlite
async def test_filters_stand_in_the_address_and_back_undoes_a_place(browser: Browser, api: Caller) -> None:
    async with opened(browser, f"{api.url}/map?{GENT}&free=true&connector=IEC_62196_T2&lang=en") as (page, _):
        await expect(page.locator("#places .name")).to_have_text(["Vrijdagmarkt"])
        assert await page.locator("[name=free]").is_checked()
        await expect(page.locator("#plug-label")).to_have_text("Type 2")

        await page.locator("#places a").click()
        await expect(page.locator("#place h2")).to_have_text("Vrijdagmarkt")
        await page.go_back()
        await expect(page.locator("#browse")).to_be_visible()

        # When nothing fits, a button takes the filters away
        await page.locator("[name=min_kw]").select_option("300")
        await expect(page.locator("#note")).to_contain_text("Nothing here fits these filters.")
        await page.get_by_role("button", name="Clear filters").click()
        await expect(page.locator("#places a")).to_have_count(2)
        assert "free" not in page.url
        assert "lang=en" in page.url


@on_sqlite
async def test_whoever_has_no_link_is_told_how_to_get_one(browser: Browser, api: Caller) -> None:
    async with opened(browser, f"{api.url}/map?{GENT}&place={FAST}") as (page, _):
        await page.get_by_role("button", name="Tell me when a port is free").click()
        await expect(page.locator("#place .alert .note")).to_contain_text("open this map from the app")
        assert await violations(page) == []


@on_sqlite
async def test_the_page_says_since_when_it_is_not_live_and_finds_back(browser: Browser, api: Caller) -> None:
    async with opened(browser, f"{api.url}/map?{GENT}") as (page, seen):
        await expect(page.locator("#live")).to_have_text("Live")

        await page.context.set_offline(True)
        await expect(page.locator("#live")).to_contain_text("Not live: as of")
        await expect(page.locator("#places a")).to_have_count(2)

        await report(api, f"{FAST}-1", EvseStatus.AVAILABLE, NOW)
        await page.context.set_offline(False)
        await expect(page.locator("#live")).to_have_text("Live")
        await expect(page.locator("#places .state")).to_have_text(["1 of 2 free", "1 of 2 free"])
        seen.faults.clear()  # what the browser says of a line that is cut


@pytest.mark.parametrize("scheme", ["light", "dark"])
@on_sqlite
async def test_the_map_meets_wcag_in_every_language_light_and_width(
    browser: Browser, api: Caller, screenshots: Path, scheme: Literal["light", "dark"]
) -> None:
    async with opened(browser, f"{api.url}/map", color_scheme=scheme) as (page, _):
        for lang, size in zip(LANGUAGES, (DESKTOP, PHONE, SMALL, DESKTOP), strict=True):
            await page.set_viewport_size(size)
            for step in ("", f"&place={FAST}"):
                await page.goto(f"{api.url}/map?{GENT}&lang={lang}{step}")
                await expect(page.locator("#place h2" if step else "#places a").first).not_to_be_empty()
                assert await violations(page) == []
                assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
                await page.screenshot(path=screenshots / f"map-{lang}-{scheme}{'-place' if step else ''}.png")


@on_sqlite
async def test_a_language_from_right_to_left_turns_the_map_page(
    browser: Browser, api: Caller, screenshots: Path
) -> None:
    where = "element => { const box = element.getBoundingClientRect(); return [box.left, box.right] }"
    async with opened(browser, f"{api.url}/map?{GENT}") as (page, _):
        await expect(page.locator("#places a")).to_have_count(2)
        await page.evaluate("document.documentElement.dir = 'rtl'")

        panel, chart = page.locator(".panel"), page.locator("#map")
        assert (await panel.evaluate(where))[0] >= (await chart.evaluate(where))[1]
        assert await page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]
        assert await violations(page) == []
        await page.screenshot(path=screenshots / "map-rtl.png")


@on_sqlite
async def test_one_tag_shows_the_map_in_a_page_of_others_and_never_a_persons(browser: Browser, api: Caller) -> None:
    # Given a page of another origin, with the tag
    tag = f'<script src="{api.url}/map/embed.js" data-near="51.05,3.73" data-zoom="13" data-min-kw="150"></script>'
    async with page_of_others(f"<!doctype html><h1>Ours</h1>{tag}") as url:
        page = await browser.new_page(viewport=DESKTOP, locale="en-GB")
        await page.goto(url)

        # Then it shows the map
        frame = page.frame_locator("iframe")
        await expect(frame.locator("#places .name")).to_have_text(["Dampoort"])
        await expect(frame.locator(".brand")).to_have_count(0)

        # When a person's page is framed, the browser shows nothing of it
        link = LINKS.map_url("ada", NOW).replace("https://notify.example.com", api.url)
        await page.evaluate("url => { document.querySelector('iframe').src = url }", link)
        await expect(frame.locator("#places")).to_have_count(0)
        await page.close()


@asynccontextmanager
async def page_of_others(html: str) -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@on_sqlite
async def test_without_a_script_the_places_can_be_read(browser: Browser, api: Caller) -> None:
    async with opened(browser, f"{api.url}/map?{GENT}", java_script_enabled=False) as (page, _):
        await expect(page.get_by_role("heading", name="Vrijdagmarkt")).to_be_visible()
        await page.get_by_label("Free now").check()
        await page.get_by_role("button", name="Show").click()
        assert "free=true" in page.url
