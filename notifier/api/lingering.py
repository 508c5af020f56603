"""The close of a connection whose client may still be sending."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

LINGER: Final = 10.0  # seconds that a refused client may go on sending: on a common line several megabytes


class LingeringTransport:
    """A transport that, closed while its client is sending, ends what we send and drops what arrives.

    It closes when the client does, or after `limit` seconds. Where bytes are unread when a socket closes, or arrive
    later, TCP resets the connection, and the client may lose the answer that it hasn't read yet (RFC 9112 §9.6).
    """

    def __init__(self, transport: asyncio.Transport, is_sending: Callable[[], bool], limit: float) -> None:
        self._transport = transport
        self._is_sending = is_sending
        self._limit = limit
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._timer is not None or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if self._timer is None:
            self._transport.write(data)

    def close(self) -> None:
        if not self._is_sending():
            self._transport.close()
        elif not self.is_closing():
            self._timer = asyncio.get_running_loop().call_later(self._limit, self._transport.abort)
            self._transport.write_eof()
            self._transport.resume_reading()

    def on_lost(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
