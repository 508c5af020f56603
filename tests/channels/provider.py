"""A provider's HTTP API on a real socket, which answers as each test says."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from notifier.providers.http import HttpTimeouts

PATIENT_HTTP = HttpTimeouts(connect=20.0, total=30.0)
"""How long a call may take where a test isn't about that: a machine under tests may stand still for seconds."""
QUICK_HTTP = HttpTimeouts(connect=0.5, total=0.6)
quick = pytest.mark.parametrize("timeouts", [QUICK_HTTP], ids=["quick"])
"""Marks a test whose provider never answers: its calls end soon."""

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Seen(NamedTuple):
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body, keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Provider:
    """What arrived, and what the next requests are answered by path; the last answer stands for all that follow."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    _answers: dict[str, list[Handler]] = field(default_factory=dict)

    def answers(self, path: str, *handlers: Handler) -> None:
        self._answers[path] = list(handlers)

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.path, request.headers, await request.text()))
        queue = self._answers[request.path]
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await (queue.pop(0) if len(queue) > 1 else queue[0])(request)
        finally:
            self.under_way -= 1


def reply(status: int, content: Any = None, headers: Mapping[str, str] | None = None) -> Handler:
    """Answers with this status and JSON."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(content, status=status, headers=headers)

    return answer


def reply_raw(status: int, body: bytes) -> Handler:
    """Answers with bytes that may be anything."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status)

    return answer


async def drop(request: web.Request) -> web.StreamResponse:
    """Resets the connection instead of an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silence(_: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def half(request: web.Request) -> web.StreamResponse:
    """Resets the connection in the middle of its answer."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"name": ')
    assert request.transport is not None
    request.transport.abort()
    return response


async def hold(request: web.Request) -> web.StreamResponse:
    """Answers 200 after one round of the loop's other work: long enough that requests overlap."""
    await asyncio.sleep(0.005)
    return await reply(200, {"name": "projects/p/messages/1", "sid": "SM1"})(request)
