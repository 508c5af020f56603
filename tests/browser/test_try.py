import pytest
from playwright.async_api import Browser
from notifier.deliveries import Channel
from tests.api.conftest import on_sqlite
from tests.samples import LINKS, NOW

@on_sqlite
async def test_shots(api, browser: Browser, screenshots):
    p = LINKS.preference_url("ada", NOW).replace("https://notify.example.com", api.url)
    u = LINKS.unsubscribe_url("ada", "billing", Channel.EMAIL).replace("https://notify.example.com", api.url)
    for scheme in ("light", "dark"):
        for width in (390, 1100):
            c = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
            page = await c.new_page()
            for name, url in (("p", p), ("u", u+"?lang=en"), ("bad", p + "x?lang=fr")):
                r = await page.goto(url)
                print(name, r.status)
                await page.screenshot(path=screenshots / f"{name}-{scheme}-{width}.png", full_page=True)
            await c.close()
