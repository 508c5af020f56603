import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from html import unescape

import pytest
from aiohttp import ClientSession

from notifier.channels.email.sandbox import ReceivedMail
from notifier.channels.push.sandbox import Push
from notifier.channels.sms.sandbox import Sms
from notifier.domain.clock import DAY, HOUR, MINUTE, ManualClock
from notifier.sandbox import Sandbox
from notifier.sandbox.column import ago
from tests.named import EMAIL, PUSH, SMS

NOW = 1_772_582_400_000


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=ManualClock(NOW)) as running:
        yield running


def letter(
    subject: str = "Your receipt", html: str | None = "<html><head></head><p>Thank you</p></html>"
) -> ReceivedMail:
    message = EmailMessage()
    message["From"] = "Volt <hello@volt.example>"
    message["Subject"] = subject
    message.set_content("Thank you for charging.")
    if html is not None:
        message.add_alternative(html, subtype="html")
    return ReceivedMail(sender="", raw=message.as_bytes())


async def page(http: ClientSession, url: str = "/") -> str:
    async with http.get(url) as response:
        assert response.status == 200
        return await response.text()


async def test_everyones_latest_messages_are_shown(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    ledger = sandbox.ledger
    pushed = Push(title="Charging complete", body="Please move.", image="https://i.example/a.png", action="Pay now")
    ledger.accept(PUSH, "token-1", "r1", pushed, "p1")
    ledger.accept(SMS, "+4915112345678", "r2", Sms(sender="", body="Fertig", encoding="GSM-7", segments=2), "s1")
    ledger.accept(EMAIL, "anna@example.com", "r3", letter(), "m1")
    ledger.refuse(PUSH, "UNREGISTERED", "token-2", "r4")

    # When
    text = await page(http)

    # Then
    for shown in (
        "Charging complete",
        "Please move.",
        "https://i.example/a.png",
        "Pay now",
        "Fertig",
        "2 segments · GSM-7",
        "Your receipt",
        "1 refused",
    ):
        assert shown in text
    for address in ("token-1", "+4915112345678", "anna@example.com"):
        assert address in text
    assert "token-2" not in text
    assert 'http-equiv="refresh"' not in text
    assert '<a class="again" href="/">Refresh</a>' in text


async def test_a_person_is_picked_by_their_addresses(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    for token, title in (("token-1", "For Anna"), ("token-2", "For Ben")):
        sandbox.ledger.accept(PUSH, token, title, Push(title=title), "id")
    sandbox.ledger.accept(EMAIL, "anna@example.com", "m1", letter("Mail for Anna"), "id")

    # When
    text = await page(http, "/?to=token-1&to=anna@example.com")

    # Then
    assert "For Anna" in text
    assert "Mail for Anna" in text
    assert "For Ben" not in text
    # The picked address's link lets go of it, the other's adds it.
    assert 'href="/?to=anna%40example.com" aria-current="true">token-1' in text
    assert "to=token-2" in unescape(text)


async def test_a_mail_is_opened_in_a_frame_that_can_run_nothing(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    entry = sandbox.ledger.accept(
        EMAIL,
        "anna@example.com",
        "m1",
        letter(html='<head></head><p title="a">Thank you</p><script>evil()</script>'),
        "id",
    )

    # When
    text = await page(http, f"/?mail={entry.number}")

    # Then
    frame = re.search(r'<iframe sandbox="([^"]*)"[^>]* srcdoc="([^"]*)"', text)
    assert frame is not None
    assert "allow-scripts" not in frame[1]
    assert "allow-same-origin" not in frame[1]
    assert '<head><base target="_blank"></head><p title="a">Thank you</p>' in unescape(frame[2])
    assert "<script" not in text
    assert 'http-equiv="refresh"' not in text


async def test_text_and_source_of_a_mail_can_be_read(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.ledger.accept(EMAIL, "anna@example.com", "m1", letter(), "id")
    sandbox.ledger.accept(EMAIL, "anna@example.com", "m2", letter(html=None), "id")
    assert "<pre>Thank you for charging." in await page(http, "/?mail=1&view=text")
    assert "<pre>From: Volt &lt;hello@volt.example&gt;" in await page(http, "/?mail=1&view=source")
    assert "<pre>Thank you for charging." in await page(http, "/?mail=2&view=html")


@pytest.mark.parametrize("url", ["/", "/?mail=99", "/?mail=x", "/?mail=0", "/?to=nobody", "/?mail=1&view=nonsense"])
async def test_the_page_may_run_no_script_and_load_nothing_from_elsewhere(http: ClientSession, url: str) -> None:
    async with http.get(url) as response:
        policy = response.headers["Content-Security-Policy"]
        text = await response.text()
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "http:" not in policy
    assert "http://" not in text
    async with http.get("/sandbox/inbox.css") as response:
        assert response.content_type == "text/css"
        assert "url(" not in await response.text()


async def test_content_is_never_markup(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    evil = "<b onclick=evil()>\"'"
    sandbox.ledger.accept(PUSH, evil, "r1", Push(title=evil, body=evil, image=evil, action=evil), "id")
    sandbox.ledger.accept(SMS, evil, "r2", Sms(sender="", body=evil, encoding="GSM-7", segments=1), "id")
    sandbox.ledger.accept(EMAIL, evil, "r3", letter(evil), "id")

    # Then
    for url in ("/", "/?mail=3", "/?mail=3&view=source"):
        assert "<b onclick" not in await page(http, url)


def test_times_are_told_as_phones_do() -> None:
    assert ago(NOW, NOW) == "now"
    assert ago(NOW - 5 * MINUTE, NOW) == "5 min ago"
    assert re.fullmatch(r"\d\d:\d\d", ago(NOW - 2 * HOUR, NOW))
    assert re.fullmatch(r"\d{1,2} [A-Z][a-z]{2}", ago(NOW - 2 * DAY, NOW))


async def test_a_mail_that_is_no_text_does_not_break_the_page(sandbox: Sandbox, http: ClientSession) -> None:
    raw = b"From: \xff,\r\nSubject: =?x?b?\xff?=\r\nContent-Type: text/html; charset=base64\r\n\r\n\xff\x00"
    sandbox.ledger.accept(EMAIL, "a@b", "m1", ReceivedMail(sender="", raw=raw), "id")
    for url in ("/", "/?mail=1", "/?mail=1&view=text", "/?mail=1&view=source"):
        await page(http, url)
