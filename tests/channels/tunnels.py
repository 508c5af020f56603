"""An HTTP proxy that opens tunnels, and servers that hold one conversation on each connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class TunnelProxy:
    """A proxy that says one thing to whoever asks, and passes on to one port of this machine where that is OK."""

    says: bytes = OK
    leads_to: int = 0
    url: str = ""
    heads: list[str] = field(default_factory=list)

    @property
    def asked(self) -> list[str]:
        """The first lines of what it was asked."""
        return [head.partition("\r\n")[0] for head in self.heads]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self.says)
        if self.says == OK:
            inner = await asyncio.open_connection("127.0.0.1", self.leads_to)
            await asyncio.gather(_copy(reader, inner[1]), _copy(inner[0], writer))
        elif not self.says:
            await reader.read()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def listening(
    converse: Conversation, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """The port of a server whose every connection has this conversation."""
    conversations: set[asyncio.Task[None]] = set()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await converse(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(asyncio.create_task(hold(reader, writer)))

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
