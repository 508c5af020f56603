"""Calls of the HTTP API on behalf of a tool: an answer's JSON, or a refusal in words that say what to do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec
from mcp.server.mcpserver.exceptions import ToolError

from notifier.domain.problems import TITLES, UNDECODABLE

TIMEOUT: Final = 60.0
"""Seconds for a call: checks of texts try every language."""


class Service:
    """The service at a URL, called with an API key. Raises ToolError, in words, for whatever it refuses."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask for a path with these parameters, without those that are None."""
        given = {name: str(value) for name, value in (asked or {}).items() if value is not None}
        return await self._call("GET", path, params=given)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post a document."""
        return await self._call("POST", path, json=body)

    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Put a document."""
        return await self._call("PUT", path, json=body)

    async def _call(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        try:
            async with self._session.request(method, self._url + path, allow_redirects=False, **sent) as answered:
                body = await answered.read()
                told = _decoded(body)
                if answered.status < 300:
                    return told
                raise ToolError(refusal(answered.status, told))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ToolError(
                f"{self._url} does not answer ({type(error).__name__}). Nothing is known of what became of the call; "
                "check NOTIFIER_PUBLIC_URL, and try again later."
            ) from None


@asynccontextmanager
async def connected(url: str, key: str) -> AsyncIterator[Service]:
    """Open the service at a URL for the holder of a key."""
    headers = {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield Service(session, url.rstrip("/"))
        await asyncio.sleep(0)  # connections are closed in the loop's next round


def refusal(status: int, told: Mapping[str, Any]) -> str:
    """Put a problem document (RFC 9457) into words, with the way out that belongs to its number."""
    code = told.get("code")
    if not isinstance(code, int):
        return f"The service answered {status} without a reason; is NOTIFIER_PUBLIC_URL that of a notifier?"
    at = f" at {told['pointer']}" if "pointer" in told else ""
    _, way_out = TITLES.get(code, ("", ""))
    request = f" (request {told['request_id']})" if "request_id" in told else ""
    return f"{told.get('title')} ({code}){at}: {told.get('detail')}. {way_out}{request}"


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body) if body else {}
    except UNDECODABLE:
        return {}
    return told if isinstance(told, dict) else {}
