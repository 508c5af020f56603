"""The server of `notifier mcp`: the tools over standard input and output, with what a client may tell its user."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from notifier.mcp.service import connected
from notifier.mcp.tools import Tools

INSTRUCTIONS: Final = (
    "notifier decides who hears of the events of an EV charging network, on which channel and when. Use `explain` to "
    "say why somebody was or wasn't notified, `simulate` to say what an event would do, `dead_letters` for what failed "
    "for good, `ledger` to see whether everything is accounted for; texts are read, linted, compared, drafted, and "
    "published by somebody else than who drafted them. Each call has the powers of one API key: a refusal "
    "names the scope that is missing. Tell the person; don't look for a way around it."
)

READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
REACHES_PEOPLE: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)
DRAFTS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
ENDS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


async def serve(url: str, key: str) -> None:
    """Serve the tools until standard input ends, with the powers of an API key of the service at a URL."""
    async with connected(url, key) as service:
        await make_server(Tools(service)).run_stdio_async()


def make_server(tools: Tools) -> MCPServer[Any]:
    """Return a server of these tools."""
    server: MCPServer[Any] = MCPServer(
        "notifier", instructions=INSTRUCTIONS, version=version("notifier"), log_level="WARNING"
    )
    for run, annotations in _annotated(tools).items():
        server.add_tool(run, annotations=annotations)
    return server


def _annotated(tools: Tools) -> Mapping[Callable[..., Any], ToolAnnotations]:
    """Return each tool with what a client may say of it before a call."""
    return {
        tools.explain: READS,
        tools.simulate: READS,
        tools.replay_day: READS,
        tools.dead_letters: READS,
        tools.dead_letter: READS,
        tools.redrive_dead_letters: REACHES_PEOPLE,
        tools.discard_dead_letters: ENDS,
        tools.ledger: READS,
        tools.read_texts: READS,
        tools.lint_texts: READS,
        tools.diff_texts: READS,
        tools.draft_texts: DRAFTS,
        tools.publish_texts: REACHES_PEOPLE,
    }
