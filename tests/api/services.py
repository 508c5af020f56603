"""Services that answer a producer as they are told, where the real one can't be made to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from notifier.client import AsyncProducer

Answering = Callable[[list[dict[str, Any]]], web.Response]


@asynccontextmanager
async def service(answer: Answering) -> AsyncIterator[tuple[AsyncProducer, list[list[dict[str, Any]]]]]:
    """A service that answers every batch as it is told, a producer for it, and the batches that came."""
    batches: list[list[dict[str, Any]]] = []

    async def take(request: web.Request) -> web.Response:
        batches.append(json.loads(await request.read()))
        return answer(batches[-1])

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/events", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with AsyncProducer(f"http://127.0.0.1:{runner.addresses[0][1]}/", "key", "billing") as opened:
            yield opened, batches
    finally:
        await runner.cleanup()


def taken(batch: list[dict[str, Any]]) -> web.Response:
    results = [
        {"status": "accepted", "source": "billing", "id": each["id"], "event": f"e-{each['id']}"} for each in batch
    ]
    return web.json_response({"accepted": len(batch), "refused": 0, "results": results}, status=202)


def problem(number: int, **headers: str) -> web.Response:
    told = {"type": f"/problems/{number}", "title": "no", "status": number // 100, "code": number, "detail": "why"}
    return web.json_response(told, status=number // 100, headers=headers, content_type="application/problem+json")


@asynccontextmanager
async def mute() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that reads and never answers: its address, and whether anything came."""
    came, end = asyncio.Event(), asyncio.Event()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        came.set()
        await end.wait()
        writer.close()

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
        finally:
            end.set()
