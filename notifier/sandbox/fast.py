"""FCM and Twilio for benchmarks: sends that are answered without a closer look, at a tenth of the cost.

A push or a text is counted by its reference and answered as if it were well; no token, field or limit is checked, and
nothing of it is kept. Delays on order hold. Anything else on the connection (a token, the sandbox's own API, a send
while another fault is in force) goes to the server that looks, and so does all that follows on it.
"""

import asyncio
import re
from collections.abc import Callable
from itertools import count
from typing import Final, cast

from httptools import HttpRequestParser

from notifier.domain.deliveries import Channel
from notifier.sandbox.faults import Faults
from notifier.sandbox.ledger import Ledger

_PUSH: Final = re.compile(rb"POST /v1/projects/[^/ ]+/messages:send ")
_TEXT: Final = re.compile(rb"POST /2010-04-01/Accounts/[^/ ]+/Messages\.json ")
_REFERENCE: Final = {
    Channel.PUSH: re.compile(rb'"reference": ?"([^"]+)"'),  # within a text its quotes would be escaped
    Channel.SMS: re.compile(rb"reference%3D([A-Za-z0-9_-]+)"),  # in the StatusCallback's query, encoded as a form
}
_ANSWER: Final = b"HTTP/1.1 %b\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %d\r\n\r\n%b"

_numbers: Final = count(1)


class Fast(asyncio.Protocol):
    """A client's connection; adds itself to `connections` while it lives. `patient` makes a connection that looks."""

    def __init__(
        self, ledger: Ledger, faults: Faults, patient: Callable[[], asyncio.Protocol], connections: "set[Fast]"
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._patient = patient
        self._connections = connections
        self._requests = HttpRequestParser(self)
        self._channel: Channel | None = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._channel is None:
            self._channel = self._channel_of(data)
            if self._channel is None:
                return self._hand_over(data)
        return self._requests.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        channel = cast(Channel, self._channel)
        found = _REFERENCE[channel].search(b"".join(self._body))
        self._body.clear()
        self._channel = None
        reference = found[1].decode() if found else ""
        trouble = self._faults.meet(channel, reference=reference)
        number = next(_numbers)
        if channel is Channel.PUSH:
            status, body = b"200 OK", b'{"name":"projects/notifier-sandbox/messages/0:%d"}' % number
        else:
            status, body = b"201 Created", b'{"sid":"SM%032x","status":"queued","error_code":null}' % number
        self._ledger.accept(channel, "", reference, None, "")
        answer = _ANSWER % (status, len(body), body)
        if trouble.seconds:
            asyncio.get_running_loop().call_later(trouble.seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _channel_of(self, data: bytes) -> Channel | None:
        """The channel of the send that begins here; None for any other request, and where it has to be looked at."""
        if any(rule.action != "delay" for rule in self._faults.rules):
            return None
        return Channel.PUSH if _PUSH.match(data) else Channel.SMS if _TEXT.match(data) else None

    def _hand_over(self, data: bytes) -> None:
        self._connections.discard(self)
        patient = self._patient()
        self._transport.set_protocol(patient)
        patient.connection_made(self._transport)
        patient.data_received(data)
