"""The app in the sandbox: a phone with the inbox of whoever the messages beside it went to.

No provider is behind this channel, so nothing stands in for one. What the sandbox plays is the network's own app and
the service behind the app, as docs/inbox.md tells their makers to build them.
"""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from notifier.channels.inbox.sandbox.app import PATH, App
from notifier.channels.inbox.sandbox.backend import Backend
from notifier.sandbox.column import Column, InboxColumn
from notifier.sandbox.service import Host, Service

__all__ = ["SERVICE", "STAND_IN", "AppService"]


class AppService(Service):
    """The app in a frame of its own, for that needs a script, which the sandbox's page never has."""

    page = Path(__file__).with_name("inbox.html")
    phone = True

    def __init__(self, host: Host) -> None:
        self._backend = None if host.access is None else Backend(host.access)
        self._app = None if self._backend is None else App(host, self._backend)

    def running(self) -> AbstractAsyncContextManager[object]:
        return nullcontext() if self._backend is None else self._backend.running()

    def routes(self) -> Iterable[web.RouteDef]:
        return () if self._app is None else self._app.routes()

    def column(self, look: InboxColumn) -> Column:
        if self._app is None:
            return Column({"app": None})
        chosen = {"app": look.query["app"]} if "app" in look.query else {}
        query = urlencode([*(("to", to) for to in sorted(look.picked)), *chosen.items()])
        return Column({"app": f"{PATH}?{query}"}, frames=True)


STAND_IN: Final = None
SERVICE: Final = AppService
