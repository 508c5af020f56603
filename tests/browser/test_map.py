"""The map in a real browser: found by keyboard, live, readable by everybody."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect
from yarl import URL

from notifier.api.map.assets import ASSETS
from notifier.domain.stations import Connector, EvseStatus
from notifier.store.stations import evses, locations
from notifier.store.stations.evses import StatusReport
from notifier.store.stations.locations import StoredEvse, StoredLocation
from tests.api.server import Caller
from tests.places import NOON, place

FIRST_VIEW = 200_000
"""Bytes at most that a first view takes, compressed, without tiles."""
DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=360, height=740)


@pytest.fixture
async def shown(api: Caller) -> Caller:
    """Two places in Gent: one with a fast port that is taken, one with slow ones."""
    database = api.engine.database
    await locations.update(database, "BE-BEC-FAST", lambda _: fast())
    await locations.update(database, "BE-BEC-SLOW", lambda _: place("BE-BEC-SLOW", "12", name="Sint-Pieters"))
    return api


def fast() -> StoredLocation:
    """A place with one port of 150 kW."""
    stored = place("BE-BEC-FAST", "1", name="Gent Zuid", latitude=51.05)
    ((id_, port),) = stored.evses.items()
    evse = msgspec.structs.replace(port.evse, connectors=(Connector("1", "IEC_62196_T2_COMBO", 150_000),))
    return msgspec.structs.replace(stored, evses={id_: StoredEvse(evse, port.document)})


@pytest.fixture(params=["light", "dark"])
async def context(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context(
        viewport=DESKTOP, color_scheme=request.param, locale="en-GB", reduced_motion="reduce"
    )
    yield made
    await made.close()


async def opened(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """The page, once its list is there, and what the browser complains of."""
    page = await context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await page.goto(url)
    await expect(page.locator("#places a").first).to_be_visible()
    return page, wrong


async def test_a_fast_port_is_found_by_keyboard_and_changes_before_ones_eyes(
    shown: Caller, context: BrowserContext, screenshots: Path
) -> None:
    # Given
    page, wrong = await opened(context, f"{shown.url}/map")
    await expect(page.locator("#places a")).to_have_count(2)
    # When somebody asks for 150 kW, and opens the only place that has them
    await page.locator("select[name=min_kw]").focus()
    await page.keyboard.press("End")
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("#places a")).to_have_count(1)
    await page.locator("#places a").focus()
    await page.keyboard.press("Enter")
    # Then its name has the focus
    heading = page.locator("#place-name")
    await expect(heading).to_have_text("Gent Zuid")
    await expect(heading).to_be_focused()
    await expect(page.locator(".standing")).to_have_text("In use")
    # When the port gets free, then that is seen without a reload
    report = StatusReport(id="BE-BEC-FAST-1", status=EvseStatus.AVAILABLE, at=NOON + 60_000, source="ocpi")
    await evses.report_statuses(shown.engine.database, [report], shown.clock.now())
    await expect(page.locator(".standing")).to_have_text("1 of 1 free", timeout=10_000)
    await expect(page.locator("#said")).to_contain_text("Gent Zuid")
    # When somebody goes back, then the list has the focus where it was
    await page.keyboard.press("Escape")
    await expect(page.locator("#places a")).to_be_focused()
    assert "min_kw=150" in page.url
    await page.screenshot(path=screenshots / "map.png")
    assert wrong == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_axe_finds_nothing(shown: Caller, context: BrowserContext, size: ViewportSize, screenshots: Path) -> None:
    # Given
    page, wrong = await opened(context, f"{shown.url}/map?lang=de")
    await page.set_viewport_size(size)
    # When
    of_list = await Axe().run(page)
    await page.locator("#places a").first.click()
    await expect(page.locator("#place-name")).to_be_visible()
    of_place = await Axe().run(page)
    await page.screenshot(path=screenshots / f"place.{size['width']}.png")
    # Then
    for found in (of_list, of_place):
        assert found.violations_count == 0, found.generate_report()
    assert wrong == []


async def test_on_a_phone_the_map_and_the_list_are_both_seen(shown: Caller, context: BrowserContext) -> None:
    # Given
    page, _ = await opened(context, f"{shown.url}/map")
    await page.set_viewport_size(PHONE)
    # Then
    box = await page.locator("#map").bounding_box()
    assert box is not None
    assert box["height"] > PHONE["height"] / 3
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE["width"]


async def test_by_a_link_of_ones_own_one_asks_to_be_told(shown: Caller, context: BrowserContext) -> None:
    # Given
    link = await shown.call("POST", "/v1/recipients/ada/map-link")
    path = URL(link.body["url"]).path
    page, wrong = await opened(context, f"{shown.url}{path}?lang=en")
    # When
    await page.locator("#places").get_by_text("Gent Zuid").click()
    await page.get_by_role("button", name="Tell me when a port is free").click()
    # Then
    await expect(page.get_by_text("You will be told once it is free")).to_be_visible()
    await page.get_by_role("button", name="Don’t tell me").click()
    await expect(page.get_by_role("button", name="Tell me when a port is free")).to_be_visible()
    assert wrong == []
    answer = await shown.call("GET", path, Authorization="")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_without_script_places_are_listed(shown: Caller, browser: Browser) -> None:
    # Given
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    # When
    await page.goto(f"{shown.url}/map?lang=en")
    await page.get_by_role("link", name="Near Gent").click()
    # Then
    await expect(page.get_by_role("heading", name="Gent Zuid")).to_be_visible()
    await context.close()


def test_a_first_view_is_light() -> None:
    assert sum(len(gzip.compress(each.content)) for each in ASSETS.values()) < FIRST_VIEW
