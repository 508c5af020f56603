"""The settings of the map page whose values need a look: where its tiles come from, and who may frame it."""

import re
from typing import Final

_HOST: Final = r"https?://(\{s\}\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?"
_TILES: Final = re.compile(rf"({_HOST})/[^\s;,\"'<>]*")
_FRAME: Final = re.compile(r"https?://(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?")


def tile_template(value: str) -> str:
    """A template of the addresses of raster tiles; raises ValueError for another shape."""
    if not _TILES.fullmatch(value):
        raise ValueError("must be a web address without blanks, quotes, commas and semicolons")
    if missing := [each for each in ("{z}", "{x}", "{y}") if each not in value]:
        raise ValueError(f"lacks {', '.join(missing)}")
    return value


def tile_source(template: str) -> str:
    """The origin of tiles as a source of a content security policy: `https://*.tiles.example.com`."""
    found = _TILES.fullmatch(template)
    return "" if found is None else found[1].replace("{s}", "*")


def frame_sources(value: str) -> str:
    """Sites that may frame a page, as the sources of `frame-ancestors`; raises ValueError for what is none."""
    if value in ("*", "none"):
        return value
    if not all(_FRAME.fullmatch(each) for each in value.split()):
        raise ValueError("must be *, none, or sites with blanks between them")
    return " ".join(value.split())
