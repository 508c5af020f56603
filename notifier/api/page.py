"""Pages for people: Jinja templates and their words in `pages/`, one style sheet, no script, no cookie, nothing from
elsewhere.

Every address in a page is relative, so that a proxy may put them all below a path of its own.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from notifier.api.http import read_body
from notifier.api.words import PageWords
from notifier.domain.channels import specs
from notifier.rendering import Brand
from notifier.rendering.categories import CategoryWords
from notifier.rendering.formats import parse_locale
from notifier.rendering.locales import closest, read_locales
from notifier.rendering.zones import time_zones

FOLDER = Path(__file__).with_name("pages")
STYLE = (FOLDER / "style.css").read_text("utf-8")
VERSION = sha256(STYLE.encode()).hexdigest()[:12]
"""The version in the style sheet's address, so that browsers may cache it for ever."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the page's address holds the token that authorises it
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
STYLE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "public, max-age=31536000, immutable",
}
MAX_FORM = 64 * 1024  # bytes of a form: every category on every channel takes a few thousand
MAX_FIELDS = 1000  # fields of a form: every category on every channel, with a margin


class Pages:
    """The pages for recipients in every supported language; raises ConfigurationError, which names the file at
    fault."""

    def __init__(self, categories: Mapping[str, Mapping[str, CategoryWords]], brand: Brand) -> None:
        self._words = read_locales(FOLDER, PageWords)
        self._categories = categories
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["fill"] = str.format
        self._templates.globals |= {"brand": brand.name, "home": brand.app_url, "version": VERSION}

    @property
    def languages(self) -> dict[str, str]:
        """Return each language's name in that language, by locale."""
        return {locale: words.language for locale, words in self._words.items()}

    def language(self, locale: str) -> str:
        """Return the language of the pages for a person's locale."""
        return closest(locale, self._words)

    def wording(self, request: Request, locale: str | None) -> str:
        """Return the version of the words that a page would show: their language and a hash."""
        lang = spoken(request, locale, self._words)
        ways = [spec.words(lang) for spec in specs().values()]
        told = msgspec.json.encode((self._words[lang], ways, self._categories[closest(lang, self._categories)]))
        return f"{lang}-{sha256(told).hexdigest()[:12]}"

    def answer(self, template: str, request: Request, locale: str | None, status: int = 200, **told: Any) -> Response:
        """Render a page in the language that the URL asks for (`?lang=de`), else the person's, else the browser's."""
        lang = spoken(request, locale, self._words)
        categories = self._categories[closest(lang, self._categories)]
        page = self._templates.get_template(template).render(
            words=self._words[lang],
            lang=lang,
            dir=parse_locale(lang).text_direction,
            languages=self.languages,
            zones=time_zones(lang),
            # A category that the catalog no longer has is shown by its id.
            category=lambda name: categories.get(name) or CategoryWords(name, ""),
            channel=lambda name: specs()[name].words(lang),
            **told,
        )
        return HTMLResponse(page, status, HEADERS)

    def no_such_link(self, request: Request) -> Response:
        """Render the page for a link that is invalid or expired, or whose person is erased."""
        return self.answer("no_such_link.html", request, None, 404)


def spoken(request: Request, locale: str | None, available: Collection[str]) -> str:
    """Return the language that the URL asks for (`?lang=de`), else a person's, else the browser's, of those that are
    available."""
    asked = request.query_params.get("lang")
    if asked is not None and asked in available:
        return asked
    if locale is not None:
        return closest(locale, available)
    tags = (tag.partition(";")[0].strip() for tag in request.headers.get("accept-language", "").split(","))
    languages = (tag.partition("-")[0].lower() for tag in tags)
    return next((each for each in languages if each in available), closest("", available))


async def read_form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a posted form (application/x-www-form-urlencoded); any other body has no fields."""
    body = await read_body(request, MAX_FORM)
    try:
        return parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
