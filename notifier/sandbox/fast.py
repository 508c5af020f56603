"""Providers' HTTP APIs for benchmarks: sends are answered without validation, at a tenth of the cost.

A message is counted by its reference and accepted; no token, field or limit is checked, and no content is kept. Delays
on order apply. Any other request (a token, the sandbox's own API, a send while another fault is in force) goes to the
full server, and so does everything after it on the connection.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, cast

from httptools import HttpRequestParser

from notifier.domain.deliveries import Channel
from notifier.sandbox.faults import Faults
from notifier.sandbox.ledger import SandboxLedger
from notifier.sandbox.stand_in import Shortcut, stand_ins

_ANSWER: Final = b"HTTP/1.1 %b\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %d\r\n\r\n%b"

_numbers: Final = count(1)

Shortcuts = Sequence[tuple[Channel, Shortcut]]
"""The shortcuts of all channels that have one."""


def shortcuts() -> Shortcuts:
    """Return the shortcuts: sends that are recognised by their first bytes."""
    return [(channel, each.shortcut) for channel, each in stand_ins().items() if each.shortcut is not None]


class Fast(asyncio.Protocol):
    """A client's connection, listed in `connections` while open. `patient` makes a connection of the full server."""

    def __init__(
        self,
        ledger: SandboxLedger,
        faults: Faults,
        known: Shortcuts,
        patient: Callable[[], asyncio.Protocol],
        connections: "set[Fast]",
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._known = known
        self._patient = patient
        self._connections = connections
        self._requests = HttpRequestParser(self)
        self._send: tuple[Channel, Shortcut] | None = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._send is None:
            self._send = self._begun(data)
            if self._send is None:
                return self._hand_over(data)
        return self._requests.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        channel, shortcut = cast(tuple[Channel, Shortcut], self._send)
        found = shortcut.reference.search(b"".join(self._body))
        self._body.clear()
        self._send = None
        reference = found[1].decode() if found else ""
        trouble = self._faults.meet(channel, reference=reference)
        body = shortcut.body % next(_numbers)
        self._ledger.accept(channel, "", reference, None, "")
        answer = _ANSWER % (shortcut.status, len(body), body)
        if trouble.seconds:
            asyncio.get_running_loop().call_later(trouble.seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _begun(self, data: bytes) -> tuple[Channel, Shortcut] | None:
        """Return the send that begins with these bytes; None for any other request and under faults."""
        if any(rule.action != "delay" for rule in self._faults.rules):
            return None
        for send in self._known:
            if send[1].request.match(data):
                return send
        return None

    def _hand_over(self, data: bytes) -> None:
        self._connections.discard(self)
        patient = self._patient()
        self._transport.set_protocol(patient)
        patient.connection_made(self._transport)
        patient.data_received(data)
