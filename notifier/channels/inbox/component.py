"""The web component `<notifier-inbox>` as served to browsers: one file, joined from the parts in `component/`."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

PATH: Final = "/inbox/notifier-inbox.js"

PARTS: Final = ("words.js", "style.js", "drawing.js", "message.js", "asking.js", "stream.js", "element.js")
SOURCE: Final = b"\n".join((Path(__file__).with_name("component") / name).read_bytes() for name in PARTS)
VERSION: Final = sha256(SOURCE).hexdigest()[:12]
"""The file's version, for `?v=` in its URL: browsers may then cache the file for ever."""

FRESH: Final = 300
"""Seconds that a browser caches the file where the URL names no version."""

_HEADERS: Final[Mapping[str, str]] = {
    "ETag": f'"{VERSION}"',
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def respond(request: Request) -> Response:
    """Answer with the file, or with 304 where the browser's copy is current."""
    pinned = request.query_params.get("v") == VERSION
    kept = "max-age=31536000, immutable" if pinned else f"max-age={FRESH}, must-revalidate"
    headers = {**_HEADERS, "Cache-Control": f"public, {kept}"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if headers["ETag"] in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(SOURCE, headers=headers, media_type="text/javascript")
