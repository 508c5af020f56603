"""An id for each request (`X-Request-Id`): its caller's or a new one, in the answer and in every log line about it."""

import re
import secrets
from collections.abc import MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

REQUEST_ID: Final = "request_id"
"""The key in a request's scope, in log lines and in problem documents that holds the request's id."""
HEADER: Final = "X-Request-Id"

_NAME: Final = HEADER.lower().encode()
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._:/=-]{1,128}")
"""What proxies and tracers make: UUIDs, hex digits, Base64 for URLs. An address of a person is none."""


class RequestIds:
    """Gives each request an id, and tells it in the answer unless the answer has one.

    OCPI's answers have one where the request has: it has to come back as it is (OCPI 2.2.1 §4.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = scope[REQUEST_ID] = _given(scope) or secrets.token_hex(16)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _tell(message, request_id)
            await send(message)

        with bound_contextvars(**{REQUEST_ID: request_id}):
            return await self._app(scope, receive, answer)


def _given(scope: Scope) -> str | None:
    """The id that the caller gave; None where there is none, or not exactly one of the form that is taken."""
    given = [value for name, value in scope["headers"] if name == _NAME]
    return given[0].decode() if len(given) == 1 and _WELL_FORMED.fullmatch(given[0]) else None


def _tell(message: MutableMapping[str, Any], request_id: str) -> None:
    headers = message["headers"]
    if all(name.lower() != _NAME for name, _ in headers):
        message["headers"] = [*headers, (_NAME, request_id.encode())]
