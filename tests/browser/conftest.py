"""A headless Chromium (Debian's), and the application that it looks at."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from notifier.domain.messages import Device
from notifier.domain.preferences import Defaults
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.database import Database
from notifier.store.people import preferences, recipients
from tests.api.server import Caller, application
from tests.conftest import absent
from tests.samples import NOW

CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""So that it asks nothing of the world."""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    if not os.access(CHROMIUM, os.X_OK):
        absent(f"{CHROMIUM} is not there, so no page is looked at; apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        await browser.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures go: the folder that NOTIFIER_TEST_SCREENSHOTS names, so that a person can look at them."""
    folder = Path(os.environ.get("NOTIFIER_TEST_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Caller]:
    """The application, which knows Ada: a driver who also looks after a fleet that presets something."""
    presets = Defaults(switches={"charging": {"sms": False}}, locked={"fleet": ["email"]}, digests={})
    await preferences.put_defaults(database, "fleet:Acme", presets, "test", NOW)
    details = RecipientDetails(
        name="Ada", email="ada@example.com", phone="+4915123456789", locale="de-AT", time_zone="Europe/Vienna",
        devices=[Device(value="token-1")], fleets=["north"], tenants=["fleet:Acme"],
    )  # fmt: skip
    await recipients.put(database, {"ada": details}, NOW)
    async with application(database, valkey) as caller:
        yield caller
