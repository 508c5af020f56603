"""The sandbox as one thing: servers on loopback around one ledger and one set of faults."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, cast

import structlog
from aiohttp import web

from notifier.domain.clock import Clock, SystemClock
from notifier.runtime.guard import refuse_everything_but_loopback
from notifier.sandbox.api import Api
from notifier.sandbox.callbacks import Callbacks
from notifier.sandbox.fast import Fast
from notifier.sandbox.faults import Faults
from notifier.sandbox.fcm import Fcm
from notifier.sandbox.inbox import Inbox
from notifier.sandbox.ledger import Ledger
from notifier.sandbox.oauth import Issuer
from notifier.sandbox.smtp import Connection, make_certificate
from notifier.sandbox.smtp_session import Session
from notifier.sandbox.twilio import VERSION, Twilio

HOST: Final = "127.0.0.1"
SHUTDOWN: Final = 0.1
"""Seconds that requests under way are given at the end; those that hang on order would take all they get."""
BACKLOG: Final = 1_024
"""Connections waiting to be accepted: a sender opens its whole pool at once."""

ACCOUNT_SID: Final = "AC" + "5a" * 16
"""The Twilio account that the sandbox plays, as well known as its token: they open nothing else."""
AUTH_TOKEN: Final = "sandbox-" + "token"
SMTP_LOGIN: Final = ("sandbox", "sandbox-" + "password")

log = structlog.get_logger()


class Sandbox:
    """Stand-ins of FCM, Twilio and SMTP on 127.0.0.1, as an async context manager; port 0 takes a free one.

    `callbacks` makes Twilio report each text sent, then delivered, to its StatusCallback. `fast` is for benchmarks: see
    `notifier.sandbox.fast`. `seed` is of the dice that faults with a probability roll.
    """

    def __init__(
        self,
        http_port: int = 0,
        smtp_port: int = 0,
        *,
        callbacks: bool = False,
        fast: bool = False,
        account_sid: str = ACCOUNT_SID,
        auth_token: str = AUTH_TOKEN,
        smtp_login: tuple[str, str] = SMTP_LOGIN,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.ledger = Ledger(clock, full=0) if fast else Ledger(clock)
        self.faults = Faults(seed)
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.smtp_login = smtp_login
        self._tls, self.certificate = make_certificate(clock)
        self._http_port = http_port
        self._smtp_port = smtp_port
        self._issuer = Issuer(clock)
        self._callbacks = Callbacks(self.faults, account_sid, auth_token)
        self._fast = fast
        self._connections: set[Any] = set()  # of Connection and Fast
        self._runner = web.AppRunner(self._app(clock, callbacks=callbacks), access_log=None, shutdown_timeout=SHUTDOWN)

    async def __aenter__(self) -> "Sandbox":
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:  # a port that is taken leaves nothing behind
            await stack.enter_async_context(self._callbacks)
            stack.push_async_callback(self._runner.cleanup)
            await self._runner.setup()
            http = await loop.create_server(self._http_connection(), HOST, self._http_port, backlog=BACKLOG)
            stack.callback(http.close)  # the runner closes its connections
            smtp = await loop.create_server(self._connection, HOST, self._smtp_port, backlog=BACKLOG)
            stack.push_async_callback(self._close_smtp, smtp)
            self.http_url = f"http://{HOST}:{http.sockets[0].getsockname()[1]}"
            self.smtp_port: int = smtp.sockets[0].getsockname()[1]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _close_smtp(self, server: asyncio.Server) -> None:
        server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await server.wait_closed()

    def service_account(self) -> dict[str, str]:
        """A service-account file's content for `firebase_admin.credentials.Certificate`; tokens come from here."""
        return self._issuer.service_account(self.http_url)

    def _connection(self) -> Connection:
        return Connection(Session(self.ledger, self.faults, *self.smtp_login), self._tls, self._connections)

    def _http_connection(self) -> Callable[[], asyncio.Protocol]:
        """What makes a connection of the HTTP server."""
        patient = self._runner.server
        if patient is None:
            raise RuntimeError("the runner has not been set up")
        if not self._fast:
            return cast(Callable[[], asyncio.Protocol], patient)
        return lambda: Fast(self.ledger, self.faults, patient, self._connections)

    def _app(self, clock: Clock, *, callbacks: bool) -> web.Application:
        fcm = Fcm(self.ledger, self.faults, clock, self._issuer)
        deliver = self._callbacks.deliver if callbacks else None
        twilio = Twilio(self.ledger, self.faults, self.account_sid, self.auth_token, deliver, self._callbacks.status)
        messages = f"/{VERSION}/Accounts/{{account}}/Messages"
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/projects/{project}/messages:send", fcm.send),
                web.post("/token", self._issuer.token),
                web.post(f"{messages}.json", twilio.create),
                *Api(self.ledger, self.faults, self.service_account, self.certificate).routes(),
                *Inbox(self.ledger, clock).routes(),
            ]
        )
        if not self._fast:  # what keeps no text can't say whether it has one
            app.add_routes(
                [web.get(f"{messages}.json", twilio.list), web.get(f"{messages}/{{message}}.json", twilio.fetch)]
            )
        return app


async def serve(http_port: int, smtp_port: int, *, callbacks: bool = True, fast: bool = False) -> None:
    """Run a sandbox until cancelled, SIGTERM or SIGINT; from then on this process reaches nothing but loopback."""
    refuse_everything_but_loopback()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Sandbox(http_port, smtp_port, callbacks=callbacks, fast=fast) as sandbox:
        log.info("sandbox.ready", http_url=sandbox.http_url, smtp_port=sandbox.smtp_port)
        await stop.wait()
    log.info("sandbox.stopped", **sandbox.ledger.summary())
