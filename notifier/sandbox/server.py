"""The sandbox: servers on loopback that share one ledger and one set of faults."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final, cast

import structlog
from aiohttp import web

from notifier.domain.clock import Clock, SystemClock
from notifier.runtime.addresses import literal
from notifier.runtime.guard import refuse_everything_but_loopback
from notifier.sandbox.api import Api
from notifier.sandbox.fast import Fast, shortcuts
from notifier.sandbox.faults import Faults
from notifier.sandbox.inbox import Inbox
from notifier.sandbox.ledger import SandboxLedger
from notifier.sandbox.service import ADDRESS, BACKLOG, Access, Host, services
from notifier.sandbox.stand_in import HTTP

SHUTDOWN: Final = 0.1
"""Seconds that requests under way are given at shutdown; requests that hang by a rule would use any time given."""

log = structlog.get_logger()


class Sandbox:
    """Every channel's stand-in on one address, as an async context manager.

    `ports` gives the wanted port by server ("http", "smtp"); a server without one, or with 0, gets a free port. Once
    the sandbox runs, `ports` has all ports, `http_url` the HTTP server's URL, and `services` each channel's service.

    `callbacks` makes providers report the outcome of a message, as Twilio does to its StatusCallback. `fast` is for
    benchmarks: see `notifier.sandbox.fast`. `seed` seeds the dice for faults with a probability. With `access` to the
    notifier that sends here, the page shows people's inboxes in the app.
    """

    def __init__(
        self,
        ports: Mapping[str, int] | None = None,
        *,
        address: str = ADDRESS,
        callbacks: bool = False,
        fast: bool = False,
        seed: int = 0,
        clock: Clock | None = None,
        access: Access | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.ledger = SandboxLedger(clock, full=0) if fast else SandboxLedger(clock)
        self.faults = Faults(seed)
        self._host = Host(
            ledger=self.ledger, faults=self.faults, clock=clock, address=address, callbacks=callbacks, fast=fast,
            access=access, ports=dict(ports or {}),
        )  # fmt: skip
        self.services = services(self._host)
        self._connections: set[Fast] = set()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=SHUTDOWN)

    @property
    def ports(self) -> Mapping[str, int]:
        """Return the port of each server, by the server's name."""
        return self._host.ports

    @property
    def http_url(self) -> str:
        """Return the HTTP server's URL."""
        return self._host.http_url

    async def __aenter__(self) -> "Sandbox":
        async with AsyncExitStack() as stack:  # a port in use must leave no open server behind
            for service in self.services.values():
                await stack.enter_async_context(service.running())
            stack.push_async_callback(self._runner.cleanup)
            await self._runner.setup()
            await self._listen(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _listen(self, stack: AsyncExitStack) -> None:
        """Start the HTTP server."""
        wanted, loop = self._host.ports.get(HTTP.name, 0), asyncio.get_running_loop()
        server = await loop.create_server(self._connection(), self._host.address, wanted, backlog=BACKLOG)
        stack.callback(self._close, server)
        port: int = server.sockets[0].getsockname()[1]
        self._host.ports[HTTP.name] = port
        self._host.http_url = f"http://{literal(self._host.address)}:{port}"

    def _close(self, server: asyncio.Server) -> None:
        server.close()
        for connection in tuple(self._connections):  # the others are closed by the runner
            connection.abort()

    def _connection(self) -> Callable[[], asyncio.Protocol]:
        """Return the factory of the HTTP server's connections."""
        patient = self._runner.server
        if patient is None:
            raise RuntimeError("the runner has not been set up")
        if not self._host.fast:
            return cast(Callable[[], asyncio.Protocol], patient)
        known = shortcuts()
        return lambda: Fast(self.ledger, self.faults, known, patient, self._connections)

    def _app(self) -> web.Application:
        app = web.Application()
        for service in self.services.values():
            app.add_routes(service.routes())
        app.add_routes([*Api(self.ledger, self.faults).routes(), *Inbox(self._host, self.services).routes()])
        return app


async def serve(
    ports: Mapping[str, int],
    *,
    address: str = ADDRESS,
    callbacks: bool = True,
    fast: bool = False,
    access: Access | None = None,
) -> None:
    """Run a sandbox until cancelled, SIGTERM or SIGINT; this process can then connect to loopback only.

    Raises OSError where it can't listen.
    """
    refuse_everything_but_loopback()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Sandbox(ports, address=address, callbacks=callbacks, fast=fast, access=access) as sandbox:
        others = {f"{name}_port": port for name, port in sandbox.ports.items() if name != HTTP.name}
        log.info("sandbox.ready", http_url=sandbox.http_url, **others)
        await stop.wait()
    log.info("sandbox.stopped", **sandbox.ledger.summary())
