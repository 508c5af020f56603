"""The map page as a document: its texts, its filters, and its headers.

The page itself says nothing of places: its script asks `/v1/stations`, as anybody may. The page of a person, by their
signed link, can also ask to be told when a port is free, and is never shown within another page.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from notifier.api.map import assets
from notifier.api.map.wording import MapWords
from notifier.api.page import spoken
from notifier.api.stations.searching import CONNECTORS
from notifier.rendering.formats import parse_locale
from notifier.rendering.locales import read_locales
from notifier.runtime.map_settings import tile_source
from notifier.runtime.settings import Settings

HERE: Final = Path(__file__).parent
POWERS: Final = (11, 22, 50, 150, 300)
"""Kilowatts to choose from: the usual steps from a wall box to the fastest."""
PLUGS: Final[Mapping[str, str]] = {
    "IEC_62196_T2_COMBO": "CCS 2", "IEC_62196_T2": "Type 2", "IEC_62196_T1_COMBO": "CCS 1",
    "IEC_62196_T1": "Type 1 (J1772)", "SAE_J3400": "NACS", "TESLA_S": "Tesla", "CHADEMO": "CHAdeMO",
}  # fmt: skip
"""Plugs to choose from, by OCPI's names of their standards, as drivers call them in every language."""

_MODULES: Final = tuple(
    name for name in assets.ASSETS if name.endswith(".js") and name not in ("leaflet.js", "embed.js", "map.js")
)
"""The scripts that `map.js` imports, which the page names so that all are asked for at once."""


class Chosen(msgspec.Struct, frozen=True):
    """The filters in a page's address; what doesn't fit counts as none."""

    free: bool
    min_kw: int
    connector: list[str]


class MapPage:
    """The page in every language; raises ConfigurationError, which names the file at fault."""

    def __init__(self, settings: Settings) -> None:
        self._words = read_locales(HERE / "words", MapWords)
        self._settings = settings
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["fill"] = str.format

    def answer(self, request: Request, *, personal: bool, locale: str | None = None, **told: Any) -> Response:
        """Render the page; a `personal` one has a token in its address."""
        lang = spoken(request, locale, self._words)
        words, root = self._words[lang], "../" if personal else ""
        embed = "embed" in request.query_params and not personal
        config = {
            "root": root, "lang": lang, "personal": personal, "embed": embed, "words": words, "plugs": PLUGS,
            "tiles": self._settings.map_tiles, "attribution": self._settings.map_attribution,
            "brand": self._settings.brand_name, "app": self._settings.app_url,
        }  # fmt: skip
        page = self._templates.get_template("page.html").render(
            words=words, lang=lang, dir=parse_locale(lang).text_direction, root=root, embed=embed,
            languages={each: its.language for each, its in self._words.items()},
            brand=self._settings.brand_name, home=self._settings.app_url,
            static=f"{root}map/static/{assets.VERSION}/" if not personal else f"static/{assets.VERSION}/",
            modules=_MODULES, config=_as_data(config), chosen=chosen_of(request), powers=POWERS, plugs=PLUGS, **told,
        )  # fmt: skip
        return HTMLResponse(page, headers=headers(self._settings, personal=personal))


def headers(settings: Settings, *, personal: bool) -> dict[str, str]:
    """Return the page's headers: nothing from elsewhere but the tiles of the setting, and who may frame it."""
    frames = "'none'" if personal or settings.map_frames == "none" else settings.map_frames
    images = f" data: {tile_source(settings.map_tiles)}" if settings.map_tiles else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
        f"base-uri 'none'; img-src 'self'{images}; frame-ancestors {frames}"
    )
    common = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",  # an address may hold a token, or where somebody is
        "Vary": "Accept-Language",
    }
    if frames == "'none'":
        common["X-Frame-Options"] = "DENY"
    if personal:
        return {**common, "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return {**common, "Cache-Control": assets.AGAIN}


def chosen_of(request: Request) -> Chosen:
    """Return the filters that a page's address names."""
    asked = request.query_params
    kw = asked.get("min_kw", "")
    plugs = [each for each in asked.getlist("connector") if each in PLUGS][:CONNECTORS]
    return Chosen(asked.get("free") == "true", int(kw) if re.fullmatch("[0-9]{1,4}", kw) else 0, plugs)


def _as_data(value: Any) -> Markup:
    """Return a value as JSON that no HTML parser takes for the end of its element."""
    return Markup(msgspec.json.encode(value).decode().replace("<", "\\u003c"))  # noqa: S704 (escaped here)
