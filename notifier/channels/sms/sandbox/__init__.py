"""Twilio in the sandbox: its Messages resource, its status callbacks, and a phone's thread of texts."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aiohttp import web

from notifier.channels.sms.sandbox import inbox
from notifier.channels.sms.sandbox.callbacks import Callbacks
from notifier.channels.sms.sandbox.twilio import VERSION, Sms, Twilio
from notifier.sandbox.column import Column, InboxColumn
from notifier.sandbox.service import Host, Service
from notifier.sandbox.stand_in import Shortcut, StandIn

__all__ = ["ACCOUNT_SID", "AUTH_TOKEN", "SERVICE", "STAND_IN", "Sms", "TwilioService"]

ACCOUNT_SID: Final = "AC" + "5a" * 16
"""The sandbox's Twilio account; it and its token are public and valid nowhere else."""
AUTH_TOKEN: Final = "sandbox-" + "token"
SENDER: Final = "+15005550006"
"""Twilio's test number, which can send texts."""


def account(_folder: Path, port: int) -> str:
    """Return the URL of the sandbox's Twilio account."""
    return f"twilio+http://{ACCOUNT_SID}:{AUTH_TOKEN}@127.0.0.1:{port}?from={SENDER.replace('+', '%2B')}"


def check_code(code: str | int) -> None:
    """Raise ValueError for a code that can't be one of Twilio's."""
    if not str(code).isdecimal():
        raise ValueError("code: Twilio's codes are numbers")


class TwilioService(Service):
    """A Twilio account; with callbacks it reports each text as sent, then delivered."""

    page = Path(__file__).with_name("inbox.html")
    phone = True

    def __init__(self, host: Host) -> None:
        self._host = host
        self._callbacks = Callbacks(host.faults, ACCOUNT_SID, AUTH_TOKEN)
        deliver = self._callbacks.deliver if host.callbacks else None
        self._twilio = Twilio(
            host.ledger, host.faults, ACCOUNT_SID, AUTH_TOKEN, deliver, self._callbacks.status
        )  # fmt: skip

    def running(self) -> Callbacks:
        return self._callbacks

    def routes(self) -> Iterable[web.RouteDef]:
        messages = f"/{VERSION}/Accounts/{{account}}/Messages"
        yield web.post(f"{messages}.json", self._twilio.create)
        if not self._host.fast:  # in fast mode no text is kept, so none can be looked up
            yield web.get(f"{messages}.json", self._twilio.list)
            yield web.get(f"{messages}/{{message}}.json", self._twilio.fetch)

    def column(self, look: InboxColumn) -> Column:
        return inbox.column(self._host.ledger, look)


STAND_IN: Final = StandIn(
    title="SMS",
    addresses="Numbers",
    account=account,
    stages=frozenset({"message", "delivery"}),  # once Twilio has the text, its failure comes as a callback
    check_code=check_code,
    shortcut=Shortcut(
        request=re.compile(rb"POST /2010-04-01/Accounts/[^/ ]+/Messages\.json "),
        reference=re.compile(rb"reference%3D([A-Za-z0-9_-]+)"),  # in the StatusCallback's query, encoded as a form
        status=b"201 Created",
        body=b'{"sid":"SM%032x","status":"queued","error_code":null}',
    ),
)
SERVICE: Final = TwilioService
