"""Somebody who never saw the console changes a text, in a real browser and on a whole running system.

Screenshots go to `var/screenshots/console`. Without Chromium these are skipped and, in CI, fail.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from notifier.chaos import load
from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.domain.users import Role, User
from notifier.store.console import contacts, users
from notifier.store.console.contacts import Contact
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.console.conftest import PASSWORD, password_hash
from tests.console.test_browser import FLAGS, PATIENCE, SCREENSHOTS, chromium, look

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

__all__ = ["chromium"]

ADA, TESTER = "+4915112345678", "+4915187654321"
SMS = "{{ brand }}: Dein Auto an {{ station }} ist voll: {{ energy_kwh | energy }}."
LONG = " Danke, dass du bei uns lädst. Bis zum nächsten Mal an einer unserer vielen Ladesäulen in deiner Stadt." * 2
TOO_LONG = SMS + LONG * 3
SLOW = PATIENCE * 1000  # milliseconds, for a browser on a busy machine


class Site:
    """The system, a browser, and what the carrier has."""

    def __init__(self, system: LocalSystem, browser: Browser) -> None:
        self.system = system
        self.browser = browser
        self._sessions = count(1)

    @property
    def url(self) -> str:
        return f"{self.system.settings.public_url}/console"

    async def texts(self) -> list[dict[str, Any]]:
        """The texts that the carrier has taken, oldest first."""
        async with aiohttp.ClientSession(self.system.sandbox_url) as session:
            answer = await (await session.get("/sandbox/ledger?channel=sms")).json()
            return list(answer["entries"])

    async def charge(self) -> str:
        """Ada's car is full, and nobody waits for it any more; the words that her phone got."""
        number = next(self._sessions)
        data = {
            "driver_id": "ada", "session_id": str(number), "kind": "full", "station": "Mitte", "energy_kwh": 20.5,
            "completed_at": "2026-03-09T17:42:00Z",
        }  # fmt: skip
        async with AsyncProducer(self.system.settings.public_url, self.system.key, "csms") as producer:
            await producer.send("charging.complete", data, id=f"full-{number}")
        async with asyncio.timeout(PATIENCE):
            quiet = False
            while not quiet:
                await asyncio.sleep(0.05)
                quiet = await ledger.is_quiet(self.system.database)
        body: str = (await self.texts())[-1]["content"]["body"]
        return body

    async def charge_until(self, said: str) -> str:
        """The words once every process sends with what was published: some two seconds later."""
        async with asyncio.timeout(2 * PATIENCE):
            while said not in (body := await self.charge()):
                pass
        return body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The system with a driver who reads German, a user of each role, and the publisher's phone for tests."""
    folder = tmp_path_factory.mktemp("story")
    settings = {"worker_processes": 1, "sms_price": "0.075 USD", "templates": load.templates(folder)}
    async with LocalSystem(folder, settings) as system, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        now = system.clock.now()
        for role in Role:
            user = User(name=role, role=role, password_hash=password_hash(), created_at=now)
            await users.add(system.database, user, "cli:test")
        ada = RecipientDetails(
            name="Ada", phone=ADA, email="ada@example.com", locale="de", time_zone="Europe/Berlin",
            devices=[Device(value="t-1")],
        )  # fmt: skip
        await recipients.put(system.database, {"ada": ada}, now)
        contact = Contact(name="publisher", phone=TESTER, email="publisher@example.com", token="t-2")
        await contacts.put(system.database, contact, "cli:test", now)
        yield Site(system, browser)
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(site: Site) -> AsyncIterator[Page]:
    """A page of the publisher's, who has signed in; nothing may go wrong in its script."""
    context = await site.browser.new_context(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    opened = await sign_in(site, context, "publisher")
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    yield opened
    await context.close()
    assert wrong == []


async def sign_in(site: Site, context: BrowserContext, role: str) -> Page:
    page = await context.new_page()
    page.set_default_timeout(SLOW)
    await page.goto(f"{site.url}/sign-in")
    await page.get_by_label("Name").fill(role)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{site.url}/health")
    return page


async def test_a_text_is_changed_checked_tried_published_sent_and_taken_back(site: Site, page: Page) -> None:
    expect.set_options(timeout=SLOW)
    old = await site.charge()
    assert "voll geladen" in old

    # Given somebody who finds the German SMS of a full battery
    await page.get_by_role("link", name="Types").click()
    await page.get_by_role("link", name="Charging complete", exact=True).click()
    await page.get_by_role("link", name="German").click()
    await page.get_by_role("link", name="SMS", exact=True).click()
    text, measure = page.get_by_label("Text", exact=True), page.locator("[data-measure]")
    await expect(measure).to_contain_text("1 SMS · $0.075")

    # When they write more, then they see what it costs, as they write
    await text.fill(SMS + LONG)
    await expect(measure).to_contain_text("2 SMS · $0.15")

    # When they mistype a name, then they read why beside the field, and it isn't kept
    await text.fill(SMS.replace("station", "sation"))
    why = page.get_by_text("there is no field sation; there are")
    await expect(why).to_be_visible()
    await page.screenshot(path=SCREENSHOTS / "story-mistake.png")
    await page.get_by_role("button", name="Save draft").click()
    await expect(page.get_by_role("alert")).to_contain_text("Not saved")
    await expect(text).to_have_value(SMS.replace("station", "sation"))
    await expect(why).to_be_visible()

    # When they say too much, then it is kept and the checks keep it from people
    await text.fill(TOO_LONG)
    await page.get_by_role("button", name="Save draft").click()
    await expect(page.get_by_role("status").first).to_contain_text("Draft saved")
    await page.get_by_role("link", name="Check and publish…").click()
    await expect(page.get_by_text("3 is the limit")).to_be_visible()
    await expect(page.get_by_role("button", name="Publish version")).to_have_count(0)
    await page.screenshot(path=SCREENSHOTS / "story-blocked.png", full_page=True)

    # When they mend it and try it, then their phone has exactly the words of the preview
    await page.get_by_role("link", name="German sms").first.click()
    await text.fill(SMS)
    await expect(measure).to_contain_text("1 SMS · $0.075")
    words = await page.locator(".bubble").inner_text()
    await page.get_by_role("button", name="Save and send test").click()
    await expect(page.get_by_text("Sent to publisher: twilio:127.0.0.1 accepted it.")).to_be_visible()
    sent = (await site.texts())[-1]
    assert (sent["to"], sent["content"]["body"].replace("\u00a0", " ")) == (TESTER, words.replace("\u00a0", " "))

    # When they publish it for a reason
    await page.get_by_role("link", name="Check and publish…").click()
    await expect(page.locator("ins").first).to_be_visible()
    await page.get_by_label("Reason").fill("shorter, and the station first")
    await page.screenshot(path=SCREENSHOTS / "story-publish.png", full_page=True)
    await page.get_by_role("button", name="Publish version 2").click()
    await expect(page.get_by_text("Version 2 is published")).to_be_visible()
    await expect(page.get_by_role("row").nth(1)).to_contain_text("shorter, and the station first")

    # Then the next message says so
    new = await site.charge_until("Dein Auto an Mitte ist voll")
    assert "20,5" in new

    # And it is seen in activity, its words proven
    await page.get_by_role("link", name="Activity").click()
    await page.get_by_role("row").filter(has_text="sms").first.get_by_role("link").last.click()
    await expect(page.get_by_text("verified: exactly this text was sent")).to_be_visible()
    await expect(page.get_by_text("Dein Auto an Mitte ist voll")).to_be_visible()
    await page.screenshot(path=SCREENSHOTS / "story-proven.png", full_page=True)

    # When they take it back
    await page.get_by_role("link", name="version 2").click()
    await page.get_by_role("link", name="Versions").click()
    await page.get_by_role("link", name="version 1", exact=True).click()
    await page.get_by_label("Reason").fill("drivers missed the idle fee")
    await page.get_by_role("button", name="Roll back to version 1").click()
    await expect(page.get_by_text("Version 3 is published")).to_be_visible()

    # Then the next has the old words
    assert await site.charge_until("voll geladen") == old


async def test_a_text_is_changed_and_tried_without_a_script(site: Site) -> None:
    expect.set_options(timeout=SLOW)
    context = await site.browser.new_context(java_script_enabled=False)
    page = await sign_in(site, context, "publisher")
    await page.goto(f"{site.url}/types/idle-warning/edit?locale=en&channel=sms")

    await page.get_by_label("Text", exact=True).fill("{{ brand }}: move {{ station }}")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator(".bubble")).to_contain_text("Voltline: move ")
    await page.get_by_role("button", name="Save and send test").click()
    await expect(page.get_by_text("Sent to publisher: twilio:127.0.0.1 accepted it.")).to_be_visible()
    await page.get_by_role("link", name="Check and publish…").click()
    await page.get_by_role("button", name="Discard draft").click()

    await expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    assert (await site.texts())[-1]["content"]["body"].startswith("Voltline: move ")
    await context.close()


async def test_a_name_is_put_where_one_was_writing(site: Site, page: Page) -> None:
    expect.set_options(timeout=SLOW)
    await page.goto(f"{site.url}/types/charging-complete/edit?locale=en&channel=push")
    body = page.get_by_label("Body", exact=True)
    await body.fill("At ")

    await page.get_by_role("button", name="{{ station }}").click()

    await expect(body).to_have_value("At {{ station }}")
    await expect(page.locator(".card-push")).to_contain_text("At Gent Zuid")
    page.on("dialog", lambda dialog: dialog.accept())


async def test_a_mail_is_looked_at_wide_narrow_dark_and_plain(site: Site, page: Page) -> None:
    expect.set_options(timeout=SLOW)
    await page.emulate_media(color_scheme="null")  # which would be forced on the mail as well
    await page.goto(f"{site.url}/types/session-receipt/edit?locale=de&channel=email")
    frame = page.locator(".mail iframe")
    heading = page.frame_locator(".mail iframe").get_by_role("heading").first
    await expect(heading).to_contain_text("41,12")
    colours, widths = [], []

    for view in ("Desktop", "Phone", "Dark"):
        await page.get_by_label(view, exact=True).check()
        await heading.scroll_into_view_if_needed()
        await page.screenshot(path=SCREENSHOTS / f"mail-{view.lower()}.png")
        colours.append(await heading.evaluate("element => getComputedStyle(element).color"))
        widths.append(round((await frame.bounding_box() or {"width": 0})["width"]))
    await page.get_by_label("Plain", exact=True).check()

    assert widths[1] < widths[0] == widths[2]
    assert colours[0] == colours[1] != colours[2]
    await expect(frame).to_be_hidden()
    await expect(page.locator(".mail .plain")).to_contain_text("41,12")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_of_texts_is_accessible_fits_a_phone_and_is_drawn(site: Site, page: Page, scheme: str) -> None:
    # Given a draft with something to say about it, and something that was sent
    expect.set_options(timeout=SLOW)
    await site.charge()
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await page.goto(f"{site.url}/types/session-receipt/edit?locale=de&channel=push")
    title = page.get_by_label("Title", exact=True)
    await title.fill(f"Rabatt für dich, {scheme}: {{{{ station }}}}")
    await page.get_by_role("button", name="Save draft").click()
    await expect(page.get_by_role("status").first).to_contain_text("Draft saved")
    answer = await (await page.request.get(f"{site.url}/activity?channel=sms&type=charging-complete")).text()
    delivery = answer.partition('href="/console/deliveries/')[2][:32]
    mail = (await (await page.request.get(f"{site.url}/deliveries/{delivery}")).text()).partition("/console/events/")[2]
    edit = "/types/charging-complete/edit?locale=de&channel"
    pages = {
        "types": "/types", "types-none": "/types?q=nothing", "editor-sms": f"{edit}=sms", "editor-push": f"{edit}=push",
        "editor-mail": "/types/session-receipt/edit?locale=de&channel=email",
        "publish": "/types/session-receipt/publish", "publish-none": "/types/station-offline/publish",
        "versions": "/types/charging-complete/versions", "version": "/types/charging-complete/versions/1",
        "contacts": "/contacts", "what-if": "/why", "delivery-explained": f"/deliveries/{delivery}",
        "event-explained": f"/events/{mail[:32]}?recipient=nobody",
    }  # fmt: skip
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    # When each is looked at, on a desk and on a phone
    for name, path in pages.items():
        await page.goto(f"{site.url}{path}")
        await look(page, name, scheme)

    # And an answer to what would happen
    await page.goto(f"{site.url}/why")
    await page.get_by_label("Recipient", exact=True).fill("ada")
    await page.get_by_label("At", exact=True).fill("23:10")
    await page.get_by_role("button", name="Ask").click()
    await expect(page.get_by_role("heading", name="Charging complete to ada")).to_be_visible()
    await look(page, "what-if-told", scheme)
