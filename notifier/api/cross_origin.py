"""CORS: browsers let an app's page on another origin call the endpoints that are made for apps (Fetch, CORS protocol).

Every origin is allowed: such an endpoint answers by the token that the page sends, and never by a cookie.
"""

from collections.abc import Iterable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MARK: Final = "cross_origin"
"""The key in a request's scope that marks an endpoint which pages of other origins may call."""

REMEMBERED: Final = 7200
"""Seconds that a browser may cache the preflight's answer: the longest that any does."""
SENT: Final = "Authorization, Content-Type, Last-Event-ID"
"""Headers that a page may send."""

_ANSWERED: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, Retry-After, X-Request-Id"),
]


class CrossOrigin:
    """Adds the CORS headers to every answer of a cross-origin endpoint, refusals included, so that pages may read
    it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def allow(message: Message) -> None:
            if message["type"] == "http.response.start" and scope.get(MARK):
                message["headers"] = [*message["headers"], *_ANSWERED]
            await send(message)

        await self._app(scope, receive, allow if scope["type"] == "http" else send)


def preflight(methods: Iterable[str]) -> Response:
    """Answer a browser's preflight request, which asks what a page may send."""
    allowed = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": SENT,
        "Access-Control-Max-Age": str(REMEMBERED),
    }
    return Response(status_code=204, headers=allowed)
