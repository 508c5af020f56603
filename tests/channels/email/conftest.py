"""A mail server that does what a test says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.clock import ManualClock
from tests.channels.email.samples import PATIENT, SENDER, Opener
from tests.channels.email.server import MailServer


@pytest.fixture(params=[True, False], ids=["pipelining", "step by step"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[MailServer]:
    scripted = MailServer(pipelining=request.param)
    conversations: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(scripted.serve(reader, writer))
        conversations.add(task)
        task.add_done_callback(conversations.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    scripted.port = listening.sockets[0].getsockname()[1]
    yield scripted
    listening.close()
    for task in conversations:
        task.cancel()
    await asyncio.gather(*conversations, return_exceptions=True)
    await listening.wait_closed()


@pytest.fixture
async def transports(server: MailServer, clock: ManualClock) -> AsyncIterator[Opener]:
    """Opens transports to the server and closes them at the end."""
    opened = []

    def opener(**options: Any) -> SmtpTransport:
        transport = SmtpTransport(
            "127.0.0.1", server.port, Security.NONE, SENDER, **{"clock": clock, "timeouts": PATIENT, **options}
        )
        opened.append(transport)
        return transport

    yield opener
    for transport in opened:
        await transport.close()


@pytest.fixture
def smtp(transports: Opener) -> SmtpTransport:
    return transports(connections=1)
