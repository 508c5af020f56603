"""`<notifier-inbox>` in a real browser: on a page of another origin with a strict policy, for everybody, in every
language and light."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Request, ViewportSize, expect

from notifier.api import feeds
from notifier.channels.inbox import component
from notifier.domain.clock import HOUR
from notifier.domain.recipients import RecipientDetails
from notifier.store.people import recipients
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.channels.inbox.app import App
from tests.samples import NOW

PHONE, DESKTOP = ViewportSize(width=390, height=844), ViewportSize(width=900, height=760)
WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LANGUAGES: Final = ("en", "de", "fr", "es")
WORDS: Final = {
    "en": "Inbox, 3 unread",
    "de": "Postfach, 3 ungelesen",
    "fr": "Messagerie, 3 non lus",
    "es": "Buzón, 3 sin leer",
}

PAGE: Final = """<!doctype html>
<html lang="{lang}" dir="{dir}"><head><meta charset="utf-8"><title>Charging</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css">
<script type="module" src="{api}/inbox/notifier-inbox.js"></script><script src="/page.js"></script></head>
<body><header><h1>My charging</h1><notifier-inbox src="{api}"></notifier-inbox></header>
<main><p>Your car is at home.</p></main></body></html>"""
STYLE: Final = """
body { margin: 0; font-family: system-ui; background: Canvas; color: CanvasText; }
header { display: flex; justify-content: space-between; align-items: center; padding: 0 1rem; } main { padding: 1rem; }
"""
SCRIPT: Final = """
document.addEventListener("DOMContentLoaded", () => {
  const inbox = document.querySelector("notifier-inbox");
  inbox.getToken = async () => (await fetch("/token")).text();
});
window.opened = [];
document.addEventListener("notifier-open", (event) => {
  event.preventDefault();
  window.opened.push(event.detail.link);
});
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "EVERY", 0.05)


@pytest.fixture
async def site(app: App) -> AsyncIterator[BaseTestServer]:
    """A network's own web app, which knows who is signed in: of another origin, and as strict as can be."""
    policy = (
        f"default-src 'none'; script-src 'self' {app.api.url}; style-src 'self'; connect-src 'self' {app.api.url}; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )

    async def page(request: web.Request) -> web.Response:
        told = {"lang": "en", "dir": "ltr"} | dict(request.query)
        text = PAGE.format(api=app.api.url, **told)
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def token(_: web.Request) -> web.Response:
        await app.sign_in()
        return web.Response(text=app.token)

    def file(text: str, kind: str) -> Callable[[web.Request], Any]:
        async def give(_: web.Request) -> web.Response:
            return web.Response(text=text, content_type=kind)

        return give

    served = web.Application()
    served.add_routes([
        web.get("/", page), web.get("/token", token), web.get("/page.css", file(STYLE, "text/css")),
        web.get("/page.js", file(SCRIPT, "text/javascript")),
    ])  # fmt: skip
    async with TestServer(served, host="127.0.0.1") as server:
        yield server


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """A page in a window of its own, of which nothing is refused and nothing fails."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    told: set[Request] = set()
    page.on("request", lambda request: told.add(request) if request.method == "POST" else None)
    page.on("requestfinished", lambda request: told.discard(request))
    page.on("requestfailed", lambda request: told.discard(request))
    await page.goto(url)
    yield page
    async with asyncio.timeout(10):  # what was done outlives its page, and is not to outlive the server
        while told:  # noqa: ASYNC110 (the browser's requests)
            await asyncio.sleep(0.02)
    assert [each for each in said if not each.endswith("401 (Unauthorized)")] == []  # which browsers tell by themselves
    assert await context.cookies() == []
    await context.close()


def bell(page: Page) -> Any:
    return page.locator("notifier-inbox .bell")


async def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA."""
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    return [f"{each['id']}: {node['html'][:200]}" for each in found.response["violations"] for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@on_sqlite
async def test_it_meets_wcag_in_every_language_and_light(
    browser: Browser,
    app: App,
    site: BaseTestServer,
    screenshots: Path,
    scheme: Literal["light", "dark"],
) -> None:
    await app.complete("1", "2", "3")
    for lang in LANGUAGES:
        details = RecipientDetails(name="Ada", locale=lang, time_zone="Europe/Vienna", tokens=["AT-ADA"])
        await recipients.put(app.engine.database, {"ada": details}, NOW)
        url = str(site.make_url(f"/?lang={lang}"))
        async with opened(browser, url, color_scheme=scheme, viewport=DESKTOP, reduced_motion="reduce") as page:
            await expect(bell(page)).to_have_attribute("aria-label", WORDS[lang])
            await page.screenshot(path=screenshots / f"inbox-{lang}-{scheme}-closed.png")
            assert await violations(page) == []
            await bell(page).click()
            await expect(page.locator("notifier-inbox li")).to_have_count(3)
            assert await violations(page) == []
            await page.screenshot(path=screenshots / f"inbox-{lang}-{scheme}.png")
            await page.set_viewport_size(PHONE)
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            assert await violations(page) == []
            await page.screenshot(path=screenshots / f"inbox-{lang}-{scheme}-narrow.png")


@on_sqlite
async def test_a_page_from_right_to_left_turns_it(
    browser: Browser,
    app: App,
    site: BaseTestServer,
    screenshots: Path,
) -> None:
    await app.complete("1", "2")
    url = str(site.make_url("/?dir=rtl"))
    async with opened(browser, url, viewport=DESKTOP) as page:
        await bell(page).click()
        await expect(page.locator("notifier-inbox li")).to_have_count(2)

        # The panel hangs at the bell's other side and stays on the page, the button to put away stands at the left
        # (measured at once, for the list may be drawn anew at any time)
        panel, title, put = await page.locator("notifier-inbox").evaluate(
            """inbox => [".panel", ".open", ".put"].map((each) => {
                const box = inbox.shadowRoot.querySelector(each).getBoundingClientRect();
                return [box.left, box.right];
            })"""
        )
        assert panel[0] >= 0
        assert panel[1] <= DESKTOP["width"]
        assert put[1] <= title[0] + 1
        assert await violations(page) == []
        await page.screenshot(path=screenshots / "inbox-rtl.png")


@on_sqlite
async def test_a_message_is_opened_and_put_away_and_all_are_read(
    browser: Browser,
    app: App,
    site: BaseTestServer,
) -> None:
    await app.complete("1", "2", "3")
    async with opened(browser, str(site.make_url("/")), viewport=DESKTOP) as page:
        await bell(page).click()
        rows = page.locator("notifier-inbox li")
        await expect(rows).to_have_count(3)

        # When the newest is opened, then the page is told where it leads, and it is read
        await rows.first.locator(".open").click()
        assert await page.evaluate("window.opened") == ["https://app.example.com/sessions/3"]
        await expect(bell(page)).to_have_attribute("aria-label", "Postfach, 2 ungelesen")

        # And the next is put away, and what is left is read
        await rows.nth(1).get_by_role("button", name="Archivieren").click()
        await expect(rows).to_have_count(2)
        await page.get_by_role("button", name="Alle als gelesen markieren").click()
        await expect(bell(page)).to_have_attribute("aria-label", "Postfach, nichts ungelesen")

        # Then the server knows
        await expect(page.locator("notifier-inbox li.unread")).to_have_count(0)
        await page.get_by_role("button", name="Archiv", exact=True).click()
        await expect(rows).to_have_count(1)
        async with asyncio.timeout(10):
            while await app.unread() != (0, 0, False):  # noqa: ASYNC110 (the browser's requests)
                await asyncio.sleep(0.05)
    assert len(await app.items()) == 2


@on_sqlite
async def test_what_comes_is_shown_live_in_every_tab(browser: Browser, app: App, site: BaseTestServer) -> None:
    url = str(site.make_url("/"))
    async with opened(browser, url) as one, opened(browser, url) as other:
        for page in (one, other):
            await expect(bell(page)).to_have_attribute("aria-label", "Postfach, nichts ungelesen")
        await app.complete("7")
        for page in (one, other):
            await expect(bell(page)).to_have_attribute("aria-label", "Postfach, 1 ungelesen")
            await expect(page.locator("notifier-inbox [role=status]")).to_have_text("1 neue Nachricht")

        # What is done in one is shown in the other
        await bell(one).click()
        await one.locator("notifier-inbox .put").click()
        await expect(bell(other)).to_have_attribute("aria-label", "Postfach, nichts ungelesen")


@on_sqlite
async def test_all_of_it_can_be_done_by_keyboard(browser: Browser, app: App, site: BaseTestServer) -> None:
    await app.complete("1", "2", "3")
    active = "document.querySelector('notifier-inbox').shadowRoot.activeElement?.className"
    async with opened(browser, str(site.make_url("/")), viewport=DESKTOP) as page:
        await expect(bell(page)).to_have_attribute("aria-label", "Postfach, 3 ungelesen")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(bell(page)).to_have_attribute("aria-expanded", "true")
        await expect(page.locator("notifier-inbox li")).to_have_count(3)
        assert await page.evaluate(active) == "panel"

        # Through the panel to the second message's button, which puts it away; the focus stays in the list
        stops: list[str] = []
        while (stop := await page.evaluate(active)) != "put" or stops.count("put") < 1:
            stops.append(stop)
            await page.keyboard.press("Tab")
            outline = await page.evaluate(
                "getComputedStyle(document.querySelector('notifier-inbox').shadowRoot.activeElement).outlineStyle"
            )
            assert outline != "none"
        await page.keyboard.press("Enter")
        await expect(page.locator("notifier-inbox li")).to_have_count(2)
        assert await page.evaluate(active) == "put"

        # And Escape leads back to the bell
        await page.keyboard.press("Escape")
        await expect(bell(page)).to_have_attribute("aria-expanded", "false")
        assert await page.evaluate(active) == "bell"


@on_sqlite
async def test_a_page_that_opens_the_list_by_itself_leaves_the_focus_where_it_is(
    browser: Browser,
    app: App,
    site: BaseTestServer,
) -> None:
    await app.complete("1")
    async with opened(browser, str(site.make_url("/"))) as page:
        await page.locator("notifier-inbox").evaluate("(inbox) => inbox.show({ focus: false })")
        await expect(page.locator("notifier-inbox .panel")).to_be_visible()
        assert await page.evaluate("document.activeElement.tagName") == "BODY"


@on_sqlite
async def test_a_token_that_has_ended_is_asked_for_anew(browser: Browser, app: App, site: BaseTestServer) -> None:
    await app.complete("7")
    async with opened(browser, str(site.make_url("/"))) as page:
        await expect(bell(page)).to_have_attribute("aria-label", "Postfach, 1 ungelesen")
        before = app.token
        app.api.clock.advance(HOUR)
        await app.sign_in()
        await app.complete("8")

        await bell(page).click()

        await expect(page.locator("notifier-inbox li")).to_have_count(1)
        assert app.token != before


@on_sqlite
async def test_what_a_message_says_is_text_and_its_link_no_script(
    browser: Browser,
    app: App,
    site: BaseTestServer,
) -> None:
    await app.complete("<img src=x onerror=alert(1)>")
    async with opened(browser, str(site.make_url("/"))) as page:
        await bell(page).click()
        await expect(page.locator("notifier-inbox .body")).to_contain_text("<img src=x onerror=alert(1)>")
        assert await page.locator("notifier-inbox img").count() == 0


@on_sqlite
async def test_nothing_of_who_signs_out_stays_on_the_page(browser: Browser, app: App, site: BaseTestServer) -> None:
    # Given somebody's open inbox with a message
    await app.complete("7")
    async with opened(browser, str(site.make_url("/"))) as page:
        await bell(page).click()
        await expect(page.locator("notifier-inbox li")).to_have_count(1)

        # When they sign out, and there is nobody to give a token
        signed_out = "(inbox) => { inbox.getToken = async () => null; inbox.token = null; }"
        await page.locator("notifier-inbox").evaluate(signed_out)

        # Then neither the message nor its count is left
        await expect(page.locator("notifier-inbox li")).to_have_count(0)
        await expect(page.locator("notifier-inbox .count")).to_be_hidden()


@on_sqlite
async def test_browsers_keep_the_file_as_long_as_it_is_the_same(api: Caller) -> None:
    first = await api.call("GET", component.PATH, Authorization="")
    assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert "immutable" not in first.headers["Cache-Control"]

    again = await api.call("GET", component.PATH, Authorization="", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, "")
    pinned = await api.call("GET", f"{component.PATH}?v={component.VERSION}", Authorization="")
    assert "immutable" in pinned.headers["Cache-Control"]
    other = await api.call("GET", f"{component.PATH}?v=0", Authorization="")
    assert "immutable" not in other.headers["Cache-Control"]
