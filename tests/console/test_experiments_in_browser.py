"""Somebody sets up an experiment, reads what another has come to, and decides, in a real browser; and how it looks.

Screenshots go to `var/screenshots/console`. Without Chromium these are skipped and, in CI, fail.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from notifier.demo.local import LocalSystem
from notifier.domain.experiments import Arm
from notifier.domain.users import Role, User
from notifier.store.console import experiments as store
from notifier.store.console import users, versions
from tests.console import trials
from tests.console.conftest import PASSWORD, password_hash
from tests.console.test_browser import FLAGS, SCREENSHOTS, SIZES, chromium, look
from tests.console.trials import TYPE, WHY

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

__all__ = ["chromium"]

WIZARD = f"/experiments-new?type={TYPE}&why=Why&name_0=control&name_1=other&texts_1=2&weight_0=50&weight_1=50"


@dataclass(frozen=True)
class Site:
    """The console, and a browser."""

    system: LocalSystem
    browser: Browser

    @property
    def url(self) -> str:
        return f"{self.system.settings.public_url}/console"

    async def sign_in(self, width: int, height: int, *, script: bool = True) -> Page:
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=script
        )
        page = await context.new_page()
        await page.goto(f"{self.url}/sign-in?next=/console/experiments")
        await page.get_by_label("Name").fill("publisher")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{self.url}/experiments")
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The console over texts of three versions, of which the third is live."""
    async with (
        LocalSystem(tmp_path_factory.mktemp("experiments"), {}, ("web",)) as system,
        async_playwright() as playwright,
    ):
        now = system.clock.now()
        for role in Role:
            user = User(name=role, role=role, password_hash=password_hash(), created_at=now)
            await users.add(system.database, user, "cli:test")
        shipped = await versions.get(system.database, TYPE, 1)
        assert shipped is not None
        kindly = msgspec.Raw(bytes(shipped.wording).replace(b"{{ brand }}:", b"{{ brand }}, kindly:"))
        await versions.ship(
            system.database,
            [
                msgspec.structs.replace(shipped, number=2, origin="console", why="more polite", wording=kindly),
                msgspec.structs.replace(shipped, number=3, origin="rollback:1", why="to be tried first"),
            ],
        )
        await trials.traffic(system.database, now, 6, 30, 0.41)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        yield Site(system, await playwright.chromium.launch(executable_path=chromium, args=FLAGS))


@pytest.mark.parametrize("size", SIZES)
async def test_an_experiment_is_set_up_another_one_decided_for_and_the_first_started_without_a_script(
    site: Site, size: str
) -> None:
    # Given an experiment that has a winner, and a publisher who has another idea
    database, id_ = site.system.database, f"kindly-{size}"
    live = (await versions.live(database))[TYPE]
    other = 2 if live in (1, 3) else 1
    await trials.run(
        database, site.system.clock.now(), 8, {"control": 0.4, "kindly": 0.5}, id_=id_, kindly=Arm(version=other)
    )
    page = await site.sign_in(*SIZES[size], script=False)

    # When they go through the steps, and forget something
    await page.get_by_role("link", name="Set up an experiment").click()
    await page.get_by_label("Notification type").select_option(TYPE)
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("say in one line")).to_be_visible()
    await page.get_by_label("What should it find out?").fill(WHY)
    await page.get_by_label("Name", exact=True).fill("wait")
    await page.get_by_label("Later by").fill("5 min")
    await page.get_by_label("Later by").press("Enter")
    await page.get_by_label("wait", exact=True).fill("30")
    await page.get_by_label("control", exact=True).fill("70")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("The car left within 30 min")).to_be_visible()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("times a day somebody is told")).to_be_visible()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("control 70 %, wait 30 %")).to_be_visible()
    await page.get_by_role("button", name="Save draft").click()

    # Then it is a draft, which can't start while everybody is in the other one
    await expect(page.get_by_text("Nobody is told anything else yet.")).to_be_visible()
    draft = page.url
    await page.get_by_role("button", name="Start the experiment").click()
    await expect(page.get_by_role("alert")).to_contain_text("leave 0 % of the people")

    # When they read what that has come to, and decide for it
    await page.get_by_role("link", name="All experiments").click()
    await page.goto(f"{site.url}/experiments/{id_}")
    await expect(page.get_by_role("heading", name="kindly is better than the control.")).to_be_visible()
    await expect(page.get_by_role("img", name="Gain of kindly in percentage points")).to_be_visible()
    await page.get_by_role("button", name="Publish and end").click()

    # Then its texts are live, it has ended, and the other can start
    await expect(page.get_by_role("heading", name="Decided for kindly")).to_be_visible()
    assert (await versions.live(database))[TYPE] == live + 1
    await page.goto(draft)
    await page.get_by_role("button", name="Start the experiment").click()
    await expect(page.get_by_role("status")).to_contain_text("It runs.")
    await page.get_by_label("Reason").fill("that was it")
    await page.get_by_role("button", name="End", exact=True).click()
    await expect(page.get_by_role("heading", name="Ended without a winner")).to_be_visible()
    assert {each.state for each in await store.every(database)} == {"ended"}
    await page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_of_experiments_is_accessible_fits_a_phone_and_is_drawn(site: Site, scheme: str) -> None:
    # Given experiments with a winner, with harm, and without anything yet
    database, now = site.system.database, site.system.clock.now()
    shares = {"control": 0.4, "kindly": 0.5}
    for id_, days, failed in ((f"won-{scheme}", 8, 0), (f"harm-{scheme}", 3, 4), (f"new-{scheme}", 0, 0)):
        await trials.run(
            database, now, days, shares, id_=id_, failed={"kindly": failed}, kindly=Arm(version=2, later="1 min")
        )
    page = await site.sign_in(1280, 860)
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]

    # When each page is looked at, on a desk and on a phone
    pages = {
        "experiments": "/experiments", "experiment-won": f"/experiments/won-{scheme}",
        "experiment-harm": f"/experiments/harm-{scheme}", "experiment-new": f"/experiments/new-{scheme}",
        "setup-type": "/experiments-new", "setup-wrong": f"{WIZARD}&name_2=X&step=1&do=next",
        **{f"setup-{step}": f"{WIZARD}&step={step}" for step in range(1, 6)},
    }  # fmt: skip
    for name, path in pages.items():
        await page.goto(f"{site.url}{path}")
        await look(page, name, scheme)
    await page.context.close()
