"""An SMTP server on a real socket that does at each step what a test says."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.channels import canary

DROP: Final = "drop"
HANG: Final = "hang"
USUAL: Final = {
    "greeting": "220 mail.example ESMTP",
    "EHLO": "250-mail.example\r\n250 8BITMIME",
    "HELO": "250 mail.example",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 End data with <CR><LF>.<CR><LF>",
    "mail": "250 2.0.0 Ok: queued as 4Zx",
    "nobody": "554 5.5.1 No valid recipients",
    "RSET": "250 2.0.0 Ok",
    "QUIT": "221 2.0.0 Bye",
}
PIPELINING: Final = "250-mail.example\r\n250-PIPELINING\r\n250 8BITMIME"


def refusing(reply: str) -> str:
    """The reply with a sentence that quotes the recipient, as servers like to do."""
    return f"{reply} <{canary.MAILBOX}>: {canary.TEXT}"


class MailServer:
    """What arrived, and the replies that the next steps get instead of the usual ones: a line, `DROP` or `HANG`.

    `steps` are those that it has come to; `gates` hold a step's reply back until they are set.
    """

    def __init__(self, *, pipelining: bool) -> None:
        self.pipelining = pipelining
        self.port = 0
        self.connections = 0
        self.open = 0
        self.commands: list[str] = []
        self.steps: list[str] = []
        self.mails: list[tuple[str, bytes]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.changed = asyncio.Event()
        self._replies: dict[str, deque[str]] = defaultdict(deque)

    def on(self, step: str, *replies: str) -> None:
        self._replies[step].extend(replies)

    async def until(self, condition: Callable[["MailServer"], bool]) -> None:
        """Wait until it holds, at most five seconds."""
        async with asyncio.timeout(5):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.changed.set()
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self.open -= 1
            self.changed.set()
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient, named = "", False
        going_on = await self._reply("greeting", writer)
        while going_on:
            line = (await reader.readuntil(b"\r\n")).decode().removesuffix("\r\n")
            self.commands.append(line)
            verb = line[:4].upper()
            if verb == "RCPT":
                recipient = line.removeprefix("RCPT TO:")
            if verb == "DATA" and not named and not self._replies[verb]:
                verb = "nobody"
            taking = verb == "DATA" and not self._replies[verb]
            named = (verb in ("MAIL", "RCPT") and not self._replies[verb] and (named or verb == "MAIL")) or taking
            going_on = await self._reply(verb, writer) and verb != "QUIT"
            if going_on and taking:
                data = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append((recipient, data.removesuffix(b".\r\n")))
                going_on = await self._reply("mail", writer)

    async def _reply(self, step: str, writer: asyncio.StreamWriter) -> bool:
        """Answer a step; whether the connection goes on."""
        self.steps.append(step)
        self.changed.set()
        usual = PIPELINING if step == "EHLO" and self.pipelining else USUAL[step]
        reply = self._replies[step].popleft() if self._replies[step] else usual
        if step in self.gates:
            await self.gates[step].wait()
        if reply == DROP:
            writer.transport.abort()
            return False
        if reply == HANG:
            await asyncio.Event().wait()
        writer.write(reply.encode() + b"\r\n")
        return not reply.startswith("421")
