"""The links of a mail, in its HTML and in its text."""

import html
import re
from collections.abc import Callable
from typing import Final

import msgspec

from notifier.channels.email.messages import EmailContent
from notifier.domain.text import is_web, lead_addresses

_HREF: Final = re.compile(r"(<a\b[^>]*?\bhref=)([\"'])(.*?)\2", re.DOTALL)
"""An anchor's address, in lower case as templates have it: with its first letters fixed it is found twice as fast."""


def lead(content: EmailContent, to: Callable[[str], str]) -> EmailContent:
    """A mail whose links lead to what `to` makes of their addresses."""

    def led(match: re.Match[str]) -> str:
        before, quote, address = match[1], match[2], html.unescape(match[3])
        return f"{before}{quote}{html.escape(to(address))}{quote}" if is_web(address) else match[0]

    return msgspec.structs.replace(
        content, html=_HREF.sub(led, content.html), text=lead_addresses(content.text, to)
    )  # fmt: skip
