"""Answers of the HTTP stand-ins, with the faults on order applied."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from notifier.sandbox.faults import Trouble

_JSON: Final = {"Content-Type": "application/json; charset=UTF-8"}


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON answer; `content` is anything msgspec can encode."""
    return web.Response(body=msgspec.json.encode(content), status=status, headers={**_JSON, **(headers or {})})


async def answer(request: web.Request, trouble: Trouble, response: web.Response) -> web.Response:
    """Return the response after the fault's delay, or close the connection without an answer."""
    if trouble.seconds:
        await asyncio.sleep(trouble.seconds)
    if trouble.silent and request.transport is not None:
        request.transport.close()  # aiohttp then finds no connection for the response
    return response
