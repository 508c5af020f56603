"""The sandbox's page in a real browser: nothing that axe-core finds, in light and in dark, on a desk and on a phone.

Screenshots go to `var/screenshots/sandbox`. Without Chromium these are skipped and, in CI, fail.
"""

import re
import shutil
from email.message import EmailMessage
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright

from notifier.channels.email.sandbox import ReceivedMail
from notifier.channels.push.sandbox import Push
from notifier.channels.sms.sandbox import Sms
from notifier.domain.clock import ManualClock
from notifier.sandbox import Sandbox
from tests.conftest import absent
from tests.named import EMAIL, PUSH, SMS

SCREENSHOTS = Path(__file__).parents[2] / "var" / "screenshots" / "sandbox"
NOW = 1_772_582_400_000
SIZES = {"desktop": (1280, 860), "phone": (360, 780)}
VIEWS = ("/", "/?to=%2B4915112345678", "/?mail={mail}", "/?mail={mail}&view=text", "/?mail={mail}&view=source")


BODIES = ("Voltline: fertig.", "Voltline: اكتمل الشحن في محطة برلين.", "Voltline: הטעינה הסתיימה.")
LETTER = "<html lang='en'><head><title>m</title></head><body><p>{}</p></body></html>"


def filled(sandbox: Sandbox) -> int:
    """Messages of every kind, in a language of each direction; the number of a mail."""
    ledger = sandbox.ledger
    for number, body in enumerate(BODIES):
        push = Push(title=body, body=body, image="https://i.example/a.png", action="Pay now", collapse_key="one")
        ledger.accept(PUSH, f"token-{number % 2}-of-somebody-with-a-long-one", f"p{number}", push, f"p{number}")
        sms = Sms(sender="", body=body, encoding="UCS-2" if number else "GSM-7", segments=number + 1)
        ledger.accept(SMS, "+4915112345678", f"s{number}", sms, f"s{number}")
        message = EmailMessage()
        message["From"], message["Subject"] = "Volt <hello@volt.example>", body
        message.set_content(body * 40)
        message.add_alternative(LETTER.format(body), subtype="html")
        mail = ReceivedMail(sender="", raw=message.as_bytes())
        ledger.accept(EMAIL, "anna@example.com", f"m{number}", mail, f"m{number}")
    ledger.accept(SMS, "+4915112345678", "s0", Sms(sender="", body="again", encoding="GSM-7", segments=1), "s9")
    ledger.refuse(PUSH, "UNREGISTERED", "token-2", "r4")
    return next(each.number for each in ledger.latest(EMAIL))


async def drawn_towards(page: Page) -> set[tuple[bool, str]]:
    """Of each text that the page draws: whether it is Arabic or Hebrew, and the direction that it is drawn in."""
    drawn = ".notices h2, .notices p[dir]:not(.action), .bubble, .list strong, .snippet, article h2, .reader[dir]"
    texts = page.locator(drawn)
    found = await texts.evaluate_all("all => all.map(each => [each.textContent, getComputedStyle(each).direction])")
    return {(bool(re.search("[֐-ۿ]", text)), way) for text, way in found}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_is_accessible_and_fits_and_never_draws_itself_anew(scheme: str) -> None:
    chromium = shutil.which("chromium") or absent("needs Chromium: apt-get install chromium")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    async with Sandbox(clock=ManualClock(NOW)) as sandbox, async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = await playwright.chromium.launch(executable_path=chromium, args=flags)
        page = await browser.new_page()
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found: dict[str, str] = {}
        for full in (False, True):
            mail = filled(sandbox) if full else 0
            for number, view in enumerate(VIEWS if full else VIEWS[:1]):
                await page.goto(sandbox.http_url + view.format(mail=mail))
                for size, (width, height) in SIZES.items():
                    await page.set_viewport_size({"width": width, "height": height})
                    seen = await Axe().run(page)
                    if seen.violations_count:
                        found[f"{view} {size}"] = seen.generate_report()
                    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (view, size)
                    if full:
                        assert await drawn_towards(page) == {(True, "rtl"), (False, "ltr")}, (view, size)
                    name = "full" if full else "empty"
                    await page.screenshot(path=SCREENSHOTS / f"{name}-{number}-{size}-{scheme}.png")
        await browser.close()
    assert not found, "\n".join(f"{where}: {told}" for where, told in found.items())
