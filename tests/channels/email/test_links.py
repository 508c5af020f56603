"""The links of a mail lead elsewhere in both its parts, and all else of it stays as it was."""

import re

from notifier.channels.email.links import lead
from notifier.channels.email.messages import EmailContent

HTML = """\
<head><link href="https://fonts.example/a.css" rel="stylesheet"></head>
<a class="x" href="https://app.example.com/o/7?a=1&amp;b=&#34;2&#34;">See</a> <a href='http://app.example.com'>Home</a>
<a href="mailto:help@example.com">Write</a> <img src="https://app.example.com/a.png"> <a name="top">Top</a>"""
TEXT = "See (https://app.example.com/o/7?a=1&b=2), or http://app.example.com. Write to help@example.com"


def test_a_link_leads_to_what_is_made_of_its_address() -> None:
    seen: list[str] = []

    def to(address: str) -> str:
        seen.append(address)
        return f"https://n.example/c/{len(seen)}?x&y"

    led = lead(EmailContent(subject="s", text=TEXT, html=HTML), to)

    assert seen[:2] == ['https://app.example.com/o/7?a=1&b="2"', "http://app.example.com"]
    assert seen[2:] == ["https://app.example.com/o/7?a=1&b=2", "http://app.example.com"]
    assert led.text == "See (https://n.example/c/3?x&y), or https://n.example/c/4?x&y. Write to help@example.com"
    assert 'class="x" href="https://n.example/c/1?x&amp;y">See' in led.html
    assert "<a href='https://n.example/c/2?x&amp;y'>Home" in led.html


def test_without_its_links_a_mail_is_the_same() -> None:
    mail = EmailContent(subject="s", text=TEXT, html=HTML)

    assert lead(mail, lambda address: address).text == TEXT
    led = lead(mail, lambda _: "https://n.example/c/1").html
    assert re.sub(r"(<a [^>]*href=)(['\"])http.*?\2", r"\1", led) == re.sub(
        r"(<a [^>]*href=)(['\"])http.*?\2", r"\1", HTML
    )
