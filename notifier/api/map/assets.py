"""What the map page loads from `/map/static/{version}/{name}`: Leaflet, our scripts, the style and the outlines.

The version in the address is that of all files together, so that scripts import each other by plain names and browsers
keep everything for ever.
"""

import gzip
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

HERE: Final = Path(__file__).with_name("static")
LEAFLET: Final = ("leaflet.js", "leaflet.css")
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".json": "application/json",
    ".svg": "image/svg+xml",
}  # fmt: skip
FOR_EVER: Final = "public, max-age=31536000, immutable"
AGAIN: Final = "no-cache"
"""For what keeps its address when it changes."""


class Asset:
    """A file that the page loads, as it is and compressed."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.content = content
        self.media_type = MEDIA_TYPES[Path(name).suffix]

    @cached_property
    def packed(self) -> bytes:
        """The content in gzip, the same each time."""
        return gzip.compress(self.content, 9, mtime=0)

    def answer(self, request: Request, caching: str) -> Response:
        """Return the file, compressed for those who take that."""
        headers = {"Cache-Control": caching, "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self.content, media_type=self.media_type, headers=headers)
        return Response(self.packed, media_type=self.media_type, headers={**headers, "Content-Encoding": "gzip"})


def _assets() -> dict[str, Asset]:
    leaflet = files("js_lib_leaflet") / "static" / "js_lib_leaflet"
    found = {name: (leaflet / name).read_bytes() for name in LEAFLET}
    found |= {file.name: file.read_bytes() for file in sorted(HERE.iterdir())}
    return {name: Asset(name, content) for name, content in found.items()}


ASSETS: Final[Mapping[str, Asset]] = _assets()
VERSION: Final = sha256(b"\0".join(each.content for each in ASSETS.values())).hexdigest()[:12]
