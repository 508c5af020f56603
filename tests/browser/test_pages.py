"""The pages for people in a real browser: they work without a script, for everybody, in every language and light."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize

from notifier.domain.preferences import NO_PREFERENCES, Preferences, QuietHours
from notifier.store.people import preferences
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.named import EMAIL
from tests.samples import LINKS, NOW

LANGUAGES = ("en", "de", "fr", "es")
PHONE, DESKTOP = ViewportSize(width=390, height=844), ViewportSize(width=1100, height=900)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PUBLIC = "https://notify.example.com"

Step = Callable[[Page], Any]


def centre(api: Caller) -> str:
    return LINKS.preference_url("ada", NOW).replace(PUBLIC, api.url)


def unsubscribe(api: Caller) -> str:
    return LINKS.unsubscribe_url("ada", "billing", EMAIL).replace(PUBLIC, api.url)


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """A page in a window of its own, which asks nobody but us."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(url)
    yield page
    assert {each.split("/")[2] for each in asked} == {url.split("/")[2]}
    assert await context.cookies() == []
    await context.close()


async def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA."""
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    return [
        f"{each['id']}: {node['html'][:200]}" for each in found.response["violations"] for node in each["nodes"]
    ]  # fmt: skip


async def press(page: Page) -> None:
    await page.click("main button")


async def fill_in_wrongly(page: Page) -> None:
    # As whoever writes times in a browser that has no field for them.
    await page.locator("#quiet_from").evaluate("field => { field.type = 'text' }")
    await page.fill("#quiet_from", "25:00")
    await press(page)


PAGES: dict[str, tuple[Callable[[Caller], str], list[Step]]] = {
    "preferences": (centre, []),
    "preferences-saved": (centre, [press]),
    "preferences-wrong": (centre, [fill_in_wrongly]),
    "unsubscribe": (unsubscribe, []),
    "unsubscribe-done": (unsubscribe, [press]),
    "unsubscribe-undone": (
        unsubscribe,
        [lambda page: page.click("main button"), lambda page: page.click("main button")],
    ),
    "no-such-link": (lambda api: f"{api.url}/p/none", []),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
@on_sqlite
async def test_every_page_meets_wcag_in_every_language_and_light(
    browser: Browser, api: Caller, screenshots: Path, name: str, scheme: Literal["light", "dark"]
) -> None:
    url, steps = PAGES[name]
    async with opened(browser, url(api), color_scheme=scheme, viewport=PHONE) as page:
        for lang in LANGUAGES:
            await preferences.change(api.engine.database, "ada", lambda _: NO_PREFERENCES, "test", NOW, {})
            await page.goto(f"{url(api)}?lang={lang}")
            for step in steps:
                await step(page)
            assert await page.locator("html").get_attribute("lang") == lang
            assert await violations(page) == []
            # Nothing is wider than a phone, so nobody scrolls sideways (WCAG 1.4.10)
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await page.screenshot(path=screenshots / f"{name}-{lang}-{scheme}.png", full_page=True)
        await page.set_viewport_size(DESKTOP)
        await page.screenshot(path=screenshots / f"{name}-{scheme}-wide.png", full_page=True)


@on_sqlite
async def test_the_preference_centre_works_without_a_script(browser: Browser, api: Caller) -> None:
    # Given a browser that runs none
    async with opened(browser, centre(api), java_script_enabled=False) as page:
        # When a person changes something of everything
        await page.get_by_role("group", name="Zahlungen").get_by_label("SMS").uncheck()
        await page.get_by_label("Von").fill("22:00")
        await page.get_by_label("Bis").fill("06:30")
        await page.get_by_label("Sprache", exact=True).select_option("fr")
        await page.get_by_label("Zeitzone").select_option("Europe/Paris")
        await page.get_by_role("button", name="Speichern").click()

        # Then they read in the language they chose that it is saved, and see it as they chose
        assert await page.get_by_role("status").inner_text() == "Enregistré."
        assert not await page.get_by_role("group", name="Paiements").get_by_label("SMS").is_checked()
        assert await page.get_by_label("De", exact=True).input_value() == "22:00"

    # And so it is kept
    assert await preferences.get(api.engine.database, "ada") == Preferences(
        switches={"billing": {"sms": False}}, quiet_hours=QuietHours("22:00", "06:30"), locale="fr",
        time_zone="Europe/Paris",
    )  # fmt: skip


@on_sqlite
async def test_unsubscribing_and_taking_it_back_work_without_a_script(browser: Browser, api: Caller) -> None:
    async with opened(browser, unsubscribe(api), java_script_enabled=False) as page:
        await page.get_by_role("button", name="Ja, abbestellen").click()
        assert "ist abbestellt" in await page.get_by_role("status").inner_text()
        found = await preferences.get(api.engine.database, "ada")
        assert found == Preferences(switches={"billing": {"email": False}})

        await page.get_by_role("button", name="Wieder einschalten").click()
        assert "wieder eingeschaltet" in await page.get_by_role("status").inner_text()


@on_sqlite
async def test_a_mistake_is_told_at_its_field_which_keeps_what_was_written(browser: Browser, api: Caller) -> None:
    async with opened(browser, f"{centre(api)}?lang=en") as page:
        await page.get_by_role("group", name="Charging").get_by_label("App").uncheck()
        await fill_in_wrongly(page)

        field = page.get_by_label("From", exact=True)
        assert await field.input_value() == "25:00"
        assert await field.get_attribute("aria-invalid") == "true"
        told = await field.get_attribute("aria-describedby")
        assert "00:00 to 23:59" in await page.locator(f"#{told}").inner_text()
        assert not await page.get_by_role("group", name="Charging").get_by_label("App").is_checked()


@on_sqlite
async def test_all_of_it_can_be_done_by_keyboard_and_the_focus_is_seen(browser: Browser, api: Caller) -> None:
    async with opened(browser, f"{centre(api)}?lang=en") as page:
        count = await page.locator("a, button, input:not([disabled]):not([type=hidden]), select").count()
        reached = set()
        for _ in range(3 * count):  # a time field has several stops
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.outerHTML"))
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none" or await page.evaluate("document.activeElement === document.body"), reached
        assert len({each for each in reached if not each.startswith("<body")}) == count


@on_sqlite
async def test_a_language_from_right_to_left_turns_the_page(browser: Browser, api: Caller, screenshots: Path) -> None:
    where = "element => { const box = element.getBoundingClientRect(); return [box.left, box.right] }"
    async with opened(browser, f"{centre(api)}?lang=en", viewport=DESKTOP) as page:
        category, box = page.locator(".row h3").first, page.locator(".row input").first
        assert (await category.evaluate(where))[1] <= (await box.evaluate(where))[0]

        await page.evaluate("document.documentElement.dir = 'rtl'")

        # The first column is now the right one, a box stands right of its label, and nothing hangs out
        assert (await category.evaluate(where))[0] >= (await box.evaluate(where))[1]
        label = page.locator(".row .cell span").first
        assert (await box.evaluate(where))[0] >= (await label.evaluate(where))[1]
        assert await page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]
        assert await violations(page) == []
        await page.screenshot(path=screenshots / "preferences-rtl.png", full_page=True)
