"""The console in a real browser, on a whole running system: what people do, by mouse and by keys, and how it looks.

Screenshots go to `var/screenshots/console`. Without Chromium these are skipped and, in CI, fail.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from notifier.client import AsyncProducer
from notifier.console.app import SCREENS
from notifier.console.pages import FRAMES_MAIL, POLICY
from notifier.demo.local import LocalSystem
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.domain.users import PERMISSIONS, Role, User
from notifier.store.console import users
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.conftest import absent
from tests.console.conftest import PASSWORD, password_hash

SCREENSHOTS = Path(__file__).parents[2] / "var" / "screenshots" / "console"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZES = {"desktop": (1280, 860), "phone": (360, 780)}
NUMBER = "+4915112345678"
PATIENCE = 60.0  # seconds for what workers do, on a machine that may be busy

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

Open = Callable[[str], Awaitable[Page]]


@dataclass(frozen=True)
class Site:
    """A running system with a user of each role, and a browser."""

    system: LocalSystem
    browser: Browser

    @property
    def url(self) -> str:
        return f"{self.system.settings.public_url}/console"

    async def faults(self, *rules: dict[str, Any]) -> None:
        """These faults and no others."""
        async with aiohttp.ClientSession(self.system.sandbox_url) as session:
            await session.delete("/sandbox/faults")
            await session.post("/sandbox/faults", json=list(rules))

    async def texts(self) -> list[str]:
        """The references of the texts that the carrier has taken."""
        async with aiohttp.ClientSession(self.system.sandbox_url) as session:
            answer = await (await session.get("/sandbox/ledger?channel=sms")).json()
            return [entry["reference"] for entry in answer["entries"]]

    async def report(self, *ids: str) -> None:
        """A payment that failed for each of these, and nobody waits for it any more."""
        async with AsyncProducer(self.system.settings.public_url, self.system.key, "billing") as producer:
            for id_ in ids:
                amount = {"amount": 20.9, "currency": "EUR"}
                data = {"driver_id": "ada", "account_id": id_, "attempt": 1, "amount": amount, "blocked": False}
                await producer.send("payment.failed", data, id=id_)
        async with asyncio.timeout(PATIENCE):
            quiet = False
            while not quiet:
                await asyncio.sleep(0.05)
                quiet = await ledger.is_quiet(self.system.database)


@pytest.fixture(scope="module")
def chromium() -> str:
    """Debian's Chromium."""
    return shutil.which("chromium") or absent("needs Chromium: apt-get install chromium")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The system with one driver, and some of her messages dead: a payment failed, and the carrier refused the text."""
    async with (
        LocalSystem(tmp_path_factory.mktemp("console"), {"worker_processes": 1}) as system,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        site = Site(system, browser)
        now = system.clock.now()
        for role in Role:
            user = User(name=role, role=role, password_hash=password_hash(), created_at=now)
            await users.add(system.database, user, "cli:test")
        ada = RecipientDetails(
            name="Ada", phone=NUMBER, email="ada@example.com", time_zone="Europe/Berlin", devices=[Device(value="t-1")]
        )
        await recipients.put(system.database, {"ada": ada}, now)
        await site.faults({"channel": "sms", "action": "fail", "code": 20001, "status": 400})
        await site.report(*(f"P-{number}" for number in range(4)))
        await site.faults()
        yield site
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def opened(site: Site) -> AsyncIterator[Open]:
    """Opens a page as a user of a role, who has signed in by the form; nothing may go wrong in its script."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    async def open_as(role: str) -> Page:
        contexts.append(await site.browser.new_context(viewport={"width": 1280, "height": 860}))
        page = await contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        await page.goto(f"{site.url}/sign-in")
        await page.get_by_label("Name").fill(role)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{site.url}/health")
        return page

    yield open_as
    for context in contexts:
        await context.close()
    assert wrong == []


async def test_an_operator_redrives_what_died_and_sees_it_arrive(site: Site, opened: Open) -> None:
    # Given an operator who looks at the dead letters, two of which are alike to them
    page = await opened("operator")
    before = len(await site.texts())
    await page.get_by_role("link", name="Dead letters").click()
    boxes = page.get_by_role("checkbox", name="Select ")
    await expect(boxes.first).to_be_visible()
    dead = await boxes.count() - 1  # one is for all of them

    # When two are chosen and confirmed
    await boxes.nth(1).check()
    await boxes.nth(2).check()
    await page.get_by_role("button", name="Redrive 2…").click()
    await expect(page.get_by_role("heading", name="Redrive 2 dead letters?")).to_be_visible()
    assert len(await site.texts()) == before
    await page.get_by_role("button", name="Redrive 2").click()

    # Then each has a new delivery, which goes out
    await expect(page.get_by_role("heading", name="2 redriven")).to_be_visible()
    await page.get_by_role("row").nth(1).get_by_role("link").nth(1).click()
    async with asyncio.timeout(PATIENCE):
        while await page.get_by_text("Attempt 1 at twilio").count() == 0:
            await page.reload()
    assert len(await site.texts()) == before + 2

    # And going back to send the form once more sends nothing more
    await page.goto(f"{site.url}/dead")
    assert await boxes.count() - 1 == dead - 2


async def test_activity_shows_what_happens_while_one_looks(site: Site, opened: Open) -> None:
    page = await opened("viewer")
    await page.goto(f"{site.url}/activity?channel=email")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    rows = page.get_by_role("row")
    before = await rows.count()

    await site.report("P-live")
    await expect(rows).to_have_count(before + 1, timeout=PATIENCE * 1000)

    # And stands still when it is told to
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("Paused", exact=True)).to_be_visible()


async def test_everything_is_reached_by_keys(site: Site, opened: Open) -> None:
    page = await opened("admin")

    for screen in SCREENS:
        if screen.title:
            await page.keyboard.press("g")
            async with page.expect_navigation(url=f"{site.url}{screen.path}"):
                await page.keyboard.press(screen.key)
    await page.keyboard.press("/")
    await page.keyboard.type("ada")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site.url}/activity?recipient=ada")

    # And the keys are listed, and can be switched off
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await page.get_by_label("Use shortcuts").uncheck()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await expect(page.locator("#find")).not_to_be_focused()


@pytest.mark.parametrize("role", Role)
async def test_each_role_finds_only_what_it_may_do(site: Site, opened: Open, role: Role) -> None:
    page = await opened(role)
    await page.goto(f"{site.url}/dead")

    shown = await page.get_by_role("navigation", name="Screens").get_by_role("link").all_inner_texts()

    assert shown == [screen.title for screen in SCREENS if screen.title and screen.permission in PERMISSIONS[role]]
    assert (await page.get_by_role("checkbox").count() > 0) == ("operate" in PERMISSIONS[role])


async def test_every_action_works_without_a_script(site: Site) -> None:
    context = await site.browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{site.url}/dead")
    await page.get_by_label("Name").fill("operator")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{site.url}/dead")

    await page.get_by_role("checkbox", name="Select ").last.check()
    await page.get_by_role("button", name="Discard selected…").click()
    await page.get_by_role("button", name="Discard 1").click()

    await expect(page.get_by_role("heading", name="1 discarded")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{site.url}/sign-in")
    await context.close()


@pytest.mark.parametrize(("policy", "colour"), [(FRAMES_MAIL, "rgb(1, 2, 3)"), (POLICY, "rgb(0, 0, 0)")])
async def test_a_framed_mail_has_its_styles_where_its_page_allows_them_and_never_runs_a_script(
    site: Site, policy: Mapping[str, str], colour: str
) -> None:
    # Given a page under one of our policies that frames a mail with a style and a script
    mail = "<p style='color: rgb(1, 2, 3)'>Hello</p><script>document.body.textContent = 'ran'</script>"
    headers = {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items())}
    body = f'<!doctype html><iframe sandbox srcdoc="{escape(mail)}"></iframe>'
    context = await site.browser.new_context()
    page = await context.new_page()
    await page.route("**/framed", lambda route: route.fulfill(body=body, headers=headers, content_type="text/html"))

    await page.goto(f"{site.url}/framed")

    text = page.frame_locator("iframe").locator("p")
    await expect(text).to_have_text("Hello")
    await expect(text).to_have_css("color", colour)
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible_fits_a_phone_and_is_drawn(site: Site, opened: Open, scheme: str) -> None:
    # Given every page, full ones and empty ones, as an administrator sees them
    page = await opened("admin")
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    async with asyncio.timeout(PATIENCE):
        while await page.get_by_text("Counting").count():
            await page.reload()
    lines = await page.request.get(f"{site.url}/activity?channel=sms")
    delivery = (await lines.text()).partition('href="/console/deliveries/')[2][:32]
    of = await page.request.get(f"{site.url}/deliveries/{delivery}")
    event = (await of.text()).partition('href="/console/events/')[2][:32]
    pages = {
        "health": "/health", "outcomes": "/outcomes", "outcome": "/outcomes/payment-failed",
        "activity": "/activity", "activity-none": "/activity?recipient=nobody",
        "search": "/search", "search-none": "/search?q=nobody", "delivery": f"/deliveries/{delivery}",
        "event": f"/events/{event}", "dead": "/dead", "dead-none": "/dead?reason=throttled", "audit": "/audit",
        "users": "/users", "user": "/users/viewer", "keys": "/keys", "account": "/account", "not-found": "/nothing",
    }  # fmt: skip
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    # When each is looked at, on a desk and on a phone
    for name, path in pages.items():
        await page.goto(f"{site.url}{path}")
        await look(page, name, scheme)
    await page.goto(f"{site.url}/dead")
    await page.get_by_role("checkbox", name="Select all").check()
    await page.get_by_role("button", name="Discard").click()
    await look(page, "confirm", scheme)
    await page.goto(f"{site.url}/account")
    await page.get_by_role("button", name="Sign out").click()
    await look(page, "sign-in", scheme)
    await page.get_by_label("Name").fill("viewer")
    await page.get_by_label("Password").fill("not that")
    await page.get_by_role("button", name="Sign in").click()
    await look(page, "sign-in-wrong", scheme)


async def look(page: Page, name: str, scheme: str) -> None:
    """Nothing that axe-core (WCAG 2.2 AA, best practices) finds, nothing wider than the screen; and a picture."""
    for size, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        if (scheme, size) != ("dark", "phone"):  # colours were looked at, and so was the phone
            for frame in page.frames:  # a mail that isn't drawn yet has no document to look at
                await frame.wait_for_load_state()
            found = await Axe().run(page)
            assert found.violations_count == 0, f"{name}, {scheme}, {size}: {found.generate_report()}"
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name}, {size}: too wide"
        await page.screenshot(path=SCREENSHOTS / f"{name}-{size}-{scheme}.png", full_page=True)
