"""The app in the sandbox: whose inbox it shows, by what it opens it, and what it says where it can't."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Final, Literal

import msgspec
import pytest
from aiohttp import ClientSession
from playwright.async_api import Browser, FrameLocator, Page, ViewportSize, expect

from notifier.api import feeds
from notifier.channels.inbox import component
from notifier.channels.push.sandbox import Push
from notifier.domain.keys import Scope
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.sandbox import Access, FaultRule, Sandbox
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.channels.inbox.app import ADA, App, app_of
from tests.channels.inbox.test_component import violations
from tests.named import PUSH

SCOPES: Final[Sequence[Scope]] = ("explain:read", "recipients:read", "recipients:write")
WITH_PHONE: Final = msgspec.structs.replace(ADA, phone="+436601234567", devices=[Device(value="adas-phone")])
DESKTOP, PHONE = ViewportSize(width=1536, height=860), ViewportSize(width=390, height=844)


@dataclass
class Stand:
    """A sandbox beside the application, and what speaks HTTP to it."""

    sandbox: Sandbox
    http: ClientSession

    async def get(self, path: str) -> tuple[str, str]:
        """A page of the sandbox and its policy."""
        async with self.http.get(path) as response:
            assert response.status == 200
            return await response.text(), response.headers["Content-Security-Policy"]

    def arrive(self, reference: str, to: str) -> None:
        """Have a push arrive at a device."""
        self.sandbox.ledger.accept(PUSH, to, reference, Push(title="Charging"), reference)


@asynccontextmanager
async def beside(access: Access | None) -> AsyncIterator[Stand]:
    """A sandbox with this access."""
    async with Sandbox(access=access) as sandbox, ClientSession(sandbox.http_url) as http:
        yield Stand(sandbox, http)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "EVERY", 0.05)


@pytest.fixture
async def stand(api: Caller) -> AsyncIterator[Stand]:
    """The sandbox with a key that has the scopes it asks for, and no other."""
    async with beside(Access(api.url, await add_key(api.engine.database, *SCOPES))) as running:
        yield running


@pytest.fixture
async def ada(api: Caller) -> App:
    """Ada, who has a phone with the app."""
    return await app_of(api, details=WITH_PHONE)


async def told(app: App, stand: Stand, session: str = "7") -> None:
    """Their session is complete, and the push of it arrives at their phone."""
    await app.complete(session)
    pushed = (await app.rows(channel=PUSH, recipient_id=app.who))[-1]
    stand.arrive(pushed.id, f"{app.who}s-phone")


async def test_without_a_key_the_page_says_what_shows_the_app() -> None:
    async with beside(None) as stand:
        page, policy = await stand.get("/")
        assert "NOTIFIER_API_KEY" in page
        assert all(scope in page for scope in SCOPES)
        assert "<iframe" not in page
        assert "frame-src" not in policy
        async with stand.http.get("/app") as response:
            assert response.status == 404


@on_sqlite
async def test_the_app_is_on_the_page_and_nothing_of_it_is_counted(stand: Stand) -> None:
    assert "inbox" in stand.sandbox.services
    assert "inbox" not in stand.sandbox.ledger.summary()
    with pytest.raises(ValueError, match="nothing stands in for inbox"):
        FaultRule(channel="inbox", action="fail")


@on_sqlite
async def test_whoever_a_message_went_to_is_offered_by_name_with_all_their_addresses(stand: Stand, ada: App) -> None:
    # Given messages to Ada and to Ben, who has no name, and one that nobody here knows of
    ben = await app_of(ada.api, "ben", RecipientDetails(devices=[Device(value="bens-phone")], tokens=["AT-BEN"]))
    assert "Nobody has had a message yet." in (await stand.get("/app?"))[0]
    for each in (ada, ben):
        await told(each, stand)
    stand.arrive("0" * 32, "a-strangers-phone")

    # When
    page, policy = await stand.get("/app?")

    # Then
    text = unescape(page)
    assert (
        '<a href="/?to=%2B436601234567&to=adas-phone&app=ada" target="_top"><bdi>Ada</bdi> <small>ada</small>' in text
    )
    assert '<a href="/?to=bens-phone&app=ben" target="_top"><bdi>ben</bdi></a>' in text
    assert text.count("<li>") == 2
    assert "script-src" not in policy


@on_sqlite
async def test_a_picked_phone_shows_its_owners_inbox_in_a_frame_of_its_own(stand: Stand, ada: App) -> None:
    # Given
    await told(ada, stand)

    # When their phone is picked on the page
    page, policy = await stand.get("/?to=adas-phone")

    # Then the page itself runs no script
    assert '<iframe title="The app" src="/app?to=adas-phone"></iframe>' in page
    assert "frame-src 'self'" in policy
    assert "script-src" not in policy
    # And the frame's runs the component, from nowhere but the web process
    frame, policy = await stand.get("/app?to=adas-phone")
    assert f'<notifier-inbox src="{ada.api.url}" data-person="ada">' in frame
    assert f'src="{ada.api.url}{component.PATH}"' in frame
    assert f"script-src 'self' {ada.api.url}; connect-src 'self' {ada.api.url}" in policy
    assert "frame-ancestors 'self'" in policy
    # And a person who was chosen is shown whatever arrived, and an open mail stands alone
    assert 'data-person="ada"' in (await stand.get("/app?to=elsewhere&app=ada"))[0]
    assert 'src="/app?to=adas-phone&amp;app=ada"' in (await stand.get("/?to=adas-phone&app=ada"))[0]


@on_sqlite
async def test_addresses_of_two_people_leave_the_choice(stand: Stand, ada: App) -> None:
    ben = await app_of(ada.api, "ben", RecipientDetails(devices=[Device(value="bens-phone")], tokens=["AT-BEN"]))
    for each in (ada, ben):
        await told(each, stand)
    page, _ = await stand.get("/app?to=adas-phone&to=bens-phone")
    assert page.count("<li>") == 2


@on_sqlite
async def test_the_app_gets_a_token_of_its_person_and_a_page_elsewhere_gets_none(stand: Stand, ada: App) -> None:
    async with stand.http.post("/app/token?app=ada") as response:
        given = replace(ada, token=await response.text())
    await ada.complete("7")
    assert await given.ids() == await ada.ids()
    for path, host, status in (("ben", "localhost", 404), ("ada", "rebound.example", 403), ("", "127.0.0.1", 404)):
        async with stand.http.post(f"/app/token?app={path}", headers={"Host": host}) as response:
            assert response.status == status


@on_sqlite
async def test_what_keeps_an_inbox_from_being_shown_is_said_in_a_sentence(stand: Stand, ada: App) -> None:
    await told(ada, stand)
    assert "That person is not known any more." in (await stand.get("/app?app=ben"))[0]
    few = await add_key(ada.api.engine.database, "events:write")
    for access, said in (
        (Access(ada.api.url, few), "lacks the scope recipients:read"),
        (Access(ada.api.url, "ntf_1_2"), "no such key"),
        (Access("http://127.0.0.1:9", few), "doesn’t answer"),
        (Access(stand.sandbox.http_url, few), "no notifier"),
    ):
        async with beside(access) as other:
            page, policy = await other.get("/app?app=ada")
            assert said in page
            assert "script-src" not in policy
            async with other.http.post("/app/token?app=ada") as response:
                assert response.status == 502


async def frame_of(page: Page, url: str) -> FrameLocator:
    """The app on a page, once its list stands."""
    await page.goto(url)
    frame = page.frame_locator("iframe")
    await expect(frame.locator("notifier-inbox .panel")).to_be_visible()
    return frame


@on_sqlite
async def test_a_message_comes_up_in_the_app_and_opening_it_leaves_nowhere(
    browser: Browser, stand: Stand, ada: App
) -> None:
    # Given the page with everyone, on which somebody chooses Ada
    await told(ada, stand)
    page = await browser.new_page(viewport=DESKTOP)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.on("pageerror", lambda error: refused.append(str(error)))
    await page.goto(stand.sandbox.http_url)
    await page.frame_locator("iframe").get_by_role("link", name="Ada").click()
    frame = page.frame_locator("iframe")
    await expect(frame.locator("notifier-inbox li")).to_have_count(1)
    assert await page.evaluate("document.activeElement.tagName") == "BODY"

    # When something else happens, then it is there at once
    await ada.complete("8")
    await expect(frame.locator("notifier-inbox li")).to_have_count(2)

    # And whoever opens it reads where the app would lead
    await frame.locator("notifier-inbox .open").first.click()
    await expect(frame.locator("main p")).to_have_text("Here the app would open https://app.example.com/sessions/8")
    await expect(frame.locator("notifier-inbox .bell")).to_have_attribute("aria-label", "Postfach, 1 ungelesen")
    assert page.url.endswith("app=ada")
    assert refused == []
    await page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@on_sqlite
async def test_the_app_meets_wcag_in_every_light_and_direction_and_fits(
    browser: Browser, stand: Stand, ada: App, screenshots: Path, scheme: Literal["light", "dark"]
) -> None:
    arab = RecipientDetails(name="ليلى", locale="ar", devices=[Device(value="lailas-phone")], tokens=["AT-LAILA"])
    laila = await app_of(ada.api, "laila", arab)
    for each in (ada, laila):
        await told(each, stand)
    page = await browser.new_page(color_scheme=scheme, reduced_motion="reduce")
    for size, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
        await page.set_viewport_size(size)
        await page.goto(stand.sandbox.http_url)
        await expect(page.frame_locator("iframe").get_by_role("link")).to_have_count(2)
        assert await violations(page) == []
        for who, way in (("ada", "ltr"), ("laila", "rtl")):
            frame = await frame_of(page, f"{stand.sandbox.http_url}/?to={who}s-phone")
            await expect(frame.locator("notifier-inbox li")).to_have_count(1)
            await expect(frame.locator("html")).to_have_attribute("dir", way)
            assert await violations(page) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await page.screenshot(path=screenshots / f"app-{who}-{name}-{scheme}.png", full_page=True)
    # The frames' own pages, which nothing looks into from outside
    for path in ("/app?", "/app?app=ada", "/app?app=laila", "/app?app=nobody"):
        await page.goto(stand.sandbox.http_url + path)
        if path in ("/app?app=ada", "/app?app=laila"):
            await expect(page.locator("notifier-inbox li")).to_have_count(1)
        assert await violations(page) == []
    await page.close()
