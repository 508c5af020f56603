"""The sandbox's page: what people would see on their phones and in their mail.

Everything shown is in the URL: `to` (repeatable) picks addresses, `mail` opens one, `view` says how. So the page needs
no script, a link to it can show one person, and what somebody reads is never drawn anew.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from notifier.domain.clock import DAY, HOUR, MINUTE, Clock, to_datetime
from notifier.domain.deliveries import Channel
from notifier.sandbox.direction import Way, way, way_of_mail
from notifier.sandbox.ledger import CHANNELS, Entry, Ledger, Mail, Push, Sms
from notifier.sandbox.mail_reading import Reading, read

SHOWN: Final = {Channel.PUSH: 12, Channel.SMS: 24, Channel.EMAIL: 30}
"""Messages on the page: a little more than fits a screen."""
ADDRESSES: Final = 8
"""Addresses offered of each channel, latest first."""
SEARCHED: Final = 2_000
"""Latest messages in which addresses and replaced pushes are looked for."""
SNIPPET: Final = 120
"""Characters of a mail's text in the list."""

_HEADERS: Final = {
    # Mails bring styles of their own; scripts, remote images and frames of other pages are never allowed.
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_HEAD: Final = re.compile(r"<head[^>]*>", re.IGNORECASE)


class Notice(NamedTuple):
    """A push on the lock screen; `replaced` counts the earlier ones whose place it took."""

    title: str
    body: str
    image: str
    action: str
    time: str
    replaced: int
    way: Way


class Bubble(NamedTuple):
    """A text in the thread; `to` is shown where it differs from the one before."""

    to: str
    body: str
    time: str
    segments: int
    encoding: str
    way: Way


class Letter(NamedTuple):
    """A mail in the list."""

    number: int
    sender: str
    subject: str
    snippet: str
    time: str
    link: str
    way: Way


class Address(NamedTuple):
    """An address that can be picked, with the link that picks it or lets go of it."""

    label: str
    link: str
    picked: bool


class Inbox:
    """The page and its style sheet."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        pages = Path(__file__).with_name("pages")
        self._style = (pages / "inbox.css").read_text()
        environment = Environment(
            loader=FileSystemLoader(pages),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("inbox.html")

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self._page), web.get("/sandbox/inbox.css", self._css)]

    async def _css(self, _: web.Request) -> web.Response:
        return web.Response(text=self._style, content_type="text/css")

    async def _page(self, request: web.Request) -> web.Response:
        picked = frozenset(request.query.getall("to", []))
        number = request.query.get("mail", "")
        opened = self._mail(int(number)) if number.isdecimal() else None
        page = self._template.render(
            now=_local(self._clock.now()),
            here=str(request.rel_url),
            counts=self._ledger.summary(),
            people=[(channel.value, self._addresses(channel, picked)) for channel in CHANNELS],
            everyone=not picked,
            notices=self._notices(picked),
            bubbles=self._bubbles(picked),
            letters=self._letters(picked),
            opened=opened and _open(*opened, request.query.get("view", "html"), picked),
        )
        # Mails may hold what UTF-8 can't: bytes that are no text stay as lone surrogates.
        body = page.encode("utf-8", "replace")
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=_HEADERS)

    def _addresses(self, channel: Channel, picked: frozenset[str]) -> list[Address]:
        lately = dict.fromkeys(entry.to for entry in islice(self._ledger.latest(channel), SEARCHED))
        return [
            Address(to if channel is not Channel.PUSH else shorten(to), _link(picked ^ {to}), to in picked)
            for to in islice(lately, ADDRESSES)
        ]

    def _notices(self, picked: frozenset[str]) -> list[Notice]:
        now = self._clock.now()
        pushes = islice(self._ledger.latest(Channel.PUSH, picked), SEARCHED)
        return [
            Notice(
                push.title,
                push.body,
                push.image,
                push.action,
                ago(entry.received_at, now),
                replaced,
                way(f"{push.title} {push.body} {push.action}"),
            )
            for entry, push, replaced in islice(on_screen(pushes), SHOWN[Channel.PUSH])
        ]

    def _bubbles(self, picked: frozenset[str]) -> list[Bubble]:
        now = self._clock.now()
        return [
            Bubble(
                entry.to,
                content.body,
                ago(entry.received_at, now),
                content.segments,
                content.encoding,
                way(content.body),
            )
            for entry in islice(self._ledger.latest(Channel.SMS, picked), SHOWN[Channel.SMS])
            if isinstance(content := entry.content, Sms)
        ]

    def _letters(self, picked: frozenset[str]) -> list[Letter]:
        now = self._clock.now()
        return [
            _letter(entry, read(content.raw), ago(entry.received_at, now), picked)
            for entry in islice(self._ledger.latest(Channel.EMAIL, picked), SHOWN[Channel.EMAIL])
            if isinstance(content := entry.content, Mail)
        ]

    def _mail(self, number: int) -> tuple[Entry, Mail] | None:
        entry = next(self._ledger.after(number - 1), None)
        return (entry, entry.content) if entry is not None and isinstance(entry.content, Mail) else None


def on_screen(pushes: Iterable[Entry]) -> Iterator[tuple[Entry, Push, int]]:
    """The pushes a phone still shows, newest first, each with how many earlier ones it replaced.

    A push takes the place of those before it to the same device with the same collapse key or apns-collapse-id.
    """
    kept: list[tuple[Entry, Push]] = []
    replaced: dict[tuple[str, str], int] = {}
    for entry in pushes:
        if not isinstance(push := entry.content, Push):
            continue
        key = (entry.to, _collapse_key(push) or f"#{entry.number}")
        if key in replaced:
            replaced[key] += 1
        else:
            replaced[key] = 0
            kept.append((entry, push))
    for entry, push in kept:
        yield entry, push, replaced[(entry.to, _collapse_key(push) or f"#{entry.number}")]


def ago(instant: int, now: int) -> str:
    """When something came, as phones put it."""
    age = now - instant
    if age < MINUTE:
        return "now"
    if age < HOUR:
        return f"{age // MINUTE} min ago"
    return _local(instant).strftime("%H:%M" if age < DAY else "%-d %b")


def shorten(token: str) -> str:
    """A device token's two ends."""
    return token if len(token) <= 18 else f"{token[:8]}…{token[-8:]}"


def _collapse_key(push: Push) -> str:
    return push.apns_headers.get("apns-collapse-id", "") or push.collapse_key


def _local(instant: int) -> datetime:
    return to_datetime(instant).astimezone()


def _link(picked: Iterable[str], **more: object) -> str:
    query = urlencode([*(("to", to) for to in sorted(picked)), *more.items()])
    return f"/?{query}" if query else "/"


def _open(entry: Entry, mail: Mail, view: str, picked: frozenset[str]) -> dict[str, Any]:
    """The mail that is read: as HTML, as text, or its source."""
    reading = read(mail.raw)
    views = ("html", "text", "source") if reading.html else ("text", "source")
    return {
        "number": entry.number,
        "sender": reading.sender,
        "to": entry.to,
        "subject": reading.subject,
        "time": _local(entry.received_at).strftime("%-d %B %Y, %H:%M"),
        "view": view if view in views else views[0],
        "views": [(name, _link(picked, mail=entry.number, view=name)) for name in views],
        # Links open a tab of their own: the frame may go nowhere.
        "html": _HEAD.sub(lambda head: head[0] + '<base target="_blank">', reading.html, count=1),
        "adapts": "prefers-color-scheme" in reading.html,
        "text": reading.text,
        "way": way_of_mail(f"{reading.subject} {reading.text}", reading.html),
        "source": mail.raw.decode("utf-8", "replace"),
        "encrypted": mail.encrypted,
        "back": _link(picked),
    }


def _letter(entry: Entry, reading: Reading, time: str, picked: frozenset[str]) -> Letter:
    return Letter(
        number=entry.number,
        sender=reading.sender,
        subject=reading.subject or "(no subject)",
        snippet=" ".join(reading.text[: SNIPPET * 2].split())[:SNIPPET],
        time=time,
        link=_link(picked, mail=entry.number),
        way=way_of_mail(f"{reading.subject} {reading.text}", reading.html),
    )
