"""The sandbox's page: messages as people would see them on their phones and in their mail, a column for each channel.

The URL holds the whole selection: `to` (repeatable) selects addresses, other parameters belong to the columns. So the
page needs no script, a link to it can show one person, and it never reloads while somebody reads.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from notifier.domain.deliveries import Channel
from notifier.sandbox.column import SEARCHED, Column, InboxColumn, link, local
from notifier.sandbox.service import Host, Service
from notifier.sandbox.stand_in import stand_in, stand_ins

ADDRESSES: Final = 8
"""Addresses offered for each channel, latest first."""

_PAGES: Final = Path(__file__).with_name("pages")
_POLICY: Final = (
    # Mails bring styles of their own; scripts, remote images and frames of other sites are never allowed.
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Address(NamedTuple):
    """An address on the page, with the link that selects or deselects it."""

    label: str
    link: str
    picked: bool


class Inbox:
    """The page and its style sheet."""

    def __init__(self, host: Host, services: Mapping[Channel, Service]) -> None:
        self._host = host
        self._services = services
        self._environment = _environment(services)
        self._style = _style(services)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self._page), web.get("/sandbox/inbox.css", self._css)]

    async def _css(self, _: web.Request) -> web.Response:
        return web.Response(text=self._style, content_type="text/css")

    async def _page(self, request: web.Request) -> web.Response:
        look = InboxColumn(frozenset(request.query.getall("to", [])), request.query, self._host.clock.now())
        in_order = sorted(self._services.items(), key=lambda each: not each[1].phone)
        columns = {channel: service.column(look) for channel, service in in_order}
        alone = {channel: column for channel, column in columns.items() if column.alone}
        drawn = alone or columns
        page = self._environment.get_template("inbox.html").render(
            here=str(request.rel_url),
            counts=[(stand_in(Channel(name)).title, count) for name, count in self._host.ledger.summary().items()],
            people=[(each.addresses, self._addresses(channel, look.picked)) for channel, each in stand_ins().items()],
            everyone=not look.picked,
            columns=[self._drawn(channel, column, look) for channel, column in drawn.items()],
            alone=bool(alone),
        )
        # Mails may hold bytes that are no text: they stay as lone surrogates, which UTF-8 can't encode.
        body = page.encode("utf-8", "replace")
        framing = "; frame-src 'self'" if any(column.frames for column in drawn.values()) else ""
        headers = {**_HEADERS, "Content-Security-Policy": _POLICY + framing}
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)

    def _drawn(self, channel: Channel, column: Column, look: InboxColumn) -> Markup:
        template = self._environment.get_template(f"{channel}/{self._services[channel].page.name}")
        return Markup(template.render(now=local(look.now), **column.shown))  # noqa: S704 (our own template, escaped)

    def _addresses(self, channel: Channel, picked: frozenset[str]) -> list[Address]:
        lately = dict.fromkeys(entry.to for entry in islice(self._host.ledger.latest(channel), SEARCHED))
        label = stand_in(channel).label
        return [Address(label(to), link(picked ^ {to}), to in picked) for to in islice(lately, ADDRESSES)]


def _environment(services: Mapping[Channel, Service]) -> Environment:
    """Return the page's templates by name; columns' templates are under their channel's name."""
    columns = {str(channel): FileSystemLoader(each.page.parent) for channel, each in services.items()}
    return Environment(
        loader=ChoiceLoader([FileSystemLoader(_PAGES), PrefixLoader(columns)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _style(services: Mapping[Channel, Service]) -> str:
    files = [_PAGES / "inbox.css", *(each.page.with_suffix(".css") for each in services.values())]
    return "\n".join(file.read_text("utf-8") for file in files if file.exists())
