"""The web component `<notifier-inbox>` as browsers get it: one file, made of the parts beside this one."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

PATH: Final = "/inbox/notifier-inbox.js"

PARTS: Final = ("words.js", "style.js", "drawing.js", "stream.js", "element.js")
SOURCE: Final = b"\n".join((Path(__file__).with_name("component") / name).read_bytes() for name in PARTS)
VERSION: Final = sha256(SOURCE).hexdigest()[:12]
"""Stands in an address after `?v=`, so that browsers may keep the file for ever."""

FRESH: Final = 300
"""Seconds that a browser keeps it without asking, where the address names no version."""

_HEADERS: Final[Mapping[str, str]] = {
    "ETag": f'"{VERSION}"',
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


def respond(request: Request) -> Response:
    """The file, or 304 for who has it already."""
    pinned = request.query_params.get("v") == VERSION
    kept = "max-age=31536000, immutable" if pinned else f"max-age={FRESH}, must-revalidate"
    headers = {**_HEADERS, "Cache-Control": f"public, {kept}"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if headers["ETag"] in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(SOURCE, headers=headers, media_type="text/javascript")
