"""FCM in the sandbox: Google's token endpoint, messages:send, and a phone's lock screen."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiohttp import web

from notifier.channels.push.sandbox import inbox
from notifier.channels.push.sandbox.fcm import Fcm, Push
from notifier.channels.push.sandbox.oauth import PROJECT, Issuer
from notifier.sandbox.answers import json_answer
from notifier.sandbox.column import Column, InboxColumn
from notifier.sandbox.service import Host, Service
from notifier.sandbox.stand_in import Shortcut, StandIn

__all__ = ["PROJECT", "SERVICE", "STAND_IN", "FcmService", "Push"]

KEY: Final = "service-account.json"


def account(folder: Path, port: int) -> str:
    """Return the URL of the sandbox's Firebase project."""
    return f"fcm://{quote(str(folder / KEY))}?url=http://127.0.0.1:{port}"


class FcmService(Service):
    """A Firebase project with one service account."""

    page = Path(__file__).with_name("inbox.html")
    phone = True

    def __init__(self, host: Host) -> None:
        self._host = host
        self._issuer = Issuer(host.clock)
        self._fcm = Fcm(host.ledger, host.faults, host.clock, self._issuer)

    def service_account(self) -> dict[str, str]:
        """Return a service-account file's content for `firebase_admin.credentials.Certificate`, with our token URL."""
        return self._issuer.service_account(self._host.http_url)

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.post("/v1/projects/{project}/messages:send", self._fcm.send),
            web.post("/token", self._issuer.token),
            web.get(f"/sandbox/{KEY}", self._key),
        )

    def column(self, look: InboxColumn) -> Column:
        return inbox.column(self._host.ledger, look)

    async def _key(self, _: web.Request) -> web.Response:
        return json_answer(self.service_account())


STAND_IN: Final = StandIn(
    title="Push",
    addresses="Devices",
    label=inbox.shorten,
    account=account,
    files=(KEY,),
    shortcut=Shortcut(
        request=re.compile(rb"POST /v1/projects/[^/ ]+/messages:send "),
        reference=re.compile(rb'"reference": ?"([^"]+)"'),  # inside a JSON string its quotes would be escaped
        status=b"200 OK",
        body=b'{"name":"projects/notifier-sandbox/messages/0:%d"}',
    ),
)
SERVICE: Final = FcmService
