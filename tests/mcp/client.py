"""The protocol's own client, which starts `notifier mcp` and talks with it by standard input and output."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.api.server import Caller


class Answer(NamedTuple):
    """What a tool answered: its structured content, or the words of its refusal."""

    told: dict[str, Any]
    refusal: str


class Model:
    """Calls tools as a language model's client does."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool."""
        answer = await self.session.call_tool(tool, arguments)
        words = " ".join(getattr(each, "text", "") for each in answer.content)
        return Answer({}, words) if answer.is_error else Answer(answer.structured_content or {}, "")


@asynccontextmanager
async def model(api: Caller, key: str = "", url: str = "") -> AsyncIterator[Model]:
    """A client of `notifier mcp` with a key, by default the one that may do everything."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "notifier.cli", "mcp"],
        env={"NOTIFIER_PUBLIC_URL": url or api.url, "NOTIFIER_API_KEY": key or api.key},
    )  # fmt: skip
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        yield Model(session)
