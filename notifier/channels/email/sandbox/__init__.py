"""A mail server in the sandbox: SMTP with TLS and a login, and the mails as their readers see them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from notifier.channels.email.sandbox import inbox
from notifier.channels.email.sandbox.connection import SandboxConnection, make_certificate
from notifier.channels.email.sandbox.message import ReceivedMail
from notifier.channels.email.sandbox.session import EARLY_STAGES, SmtpSession
from notifier.sandbox.column import Column, InboxColumn
from notifier.sandbox.service import BACKLOG, Host, Service
from notifier.sandbox.stand_in import StandIn, StandInServer

__all__ = ["LOGIN", "SERVICE", "STAND_IN", "ReceivedMail", "SmtpService"]

SMTP: Final = StandInServer("smtp", 1025, "SMTP.")
LOGIN: Final = ("sandbox", "sandbox-" + "password")


def account(_folder: Path, port: int) -> str:
    """Return the URL of the sandbox's mail server, which requires no login."""
    return f"smtp://127.0.0.1:{port}"


class SmtpService(Service):
    """A mail server with a self-signed certificate made at start."""

    page = Path(__file__).with_name("inbox.html")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._tls, self.certificate = make_certificate(host.clock)
        self._connections: set[SandboxConnection] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        wanted, loop = self._host.ports.get(SMTP.name, 0), asyncio.get_running_loop()
        server = await loop.create_server(self._connection, self._host.address, wanted, backlog=BACKLOG)
        self._host.ports[SMTP.name] = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for connection in tuple(self._connections):
                connection.abort()
            await server.wait_closed()

    def routes(self) -> Iterable[web.RouteDef]:
        return (web.get("/sandbox/certificate.pem", self._pem),)

    def column(self, look: InboxColumn) -> Column:
        return inbox.column(self._host.ledger, look)

    def _connection(self) -> SandboxConnection:
        return SandboxConnection(
            SmtpSession(self._host.ledger, self._host.faults, *LOGIN), self._tls, self._connections
        )

    async def _pem(self, _: web.Request) -> web.Response:
        return web.Response(body=self.certificate, content_type="application/x-pem-file")


STAND_IN: Final = StandIn(
    title="E-mail",
    addresses="Mailboxes",
    account=account,
    server=SMTP,
    early_stages=EARLY_STAGES,
)
SERVICE: Final = SmtpService
