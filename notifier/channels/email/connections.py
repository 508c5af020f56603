"""SMTP connections, kept open from mail to mail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from aiosmtplib import SMTP, SMTPException

from notifier.channels.email import CODES

IDLE: Final = 30.0
"""Seconds a connection waits for the next mail: well below the five minutes after which a server may hang up (RFC 5321
§4.5.3.2.7)."""
MAILS: Final = 100
"""Mails a connection carries, so that a relay behind a load balancer gets its share anew."""


@dataclass(slots=True, eq=False)
class _Link:
    """An open connection, the mails it has carried, and the timer that ends its idling."""

    smtp: SMTP
    mails: int = 0
    retiring: asyncio.TimerHandle | None = None


class Connections:
    """At most `size` connections; each serves one task at a time, for a reply belongs to whoever sent the last command.

    They are opened when needed, used last-in-first-out, and closed after `idle` seconds or `mails` mails.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[SMTP]], *, size: int, wait: float, idle: float = IDLE, mails: int = MAILS
    ) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(size)
        self._wait = wait
        self._idle_for = idle
        self._most_mails = mails
        self._idle: list[_Link] = []
        self._closed = False

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[SMTP]:
        """A connection for one mail. It is closed if the block is left by an exception, a cancellation included.

        Raises Unavailable where none is free within `wait` seconds, and what connecting raises.
        """
        await self._take_place()
        try:
            link = self._reuse() or _Link(await self._connect())
            try:
                yield link.smtp
            except BaseException:
                # A reply may still be on its way: it would be taken for the answer to the next mail's command.
                link.smtp.close()
                raise
            self._put_back(link)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close those that are idle now, and the others when they come back."""
        self._closed = True
        while (link := self._reuse()) is not None:
            _hang_up(link.smtp)

    async def _take_place(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._places.acquire()
        except TimeoutError:
            raise CODES.classify("busy") from None

    def _reuse(self) -> _Link | None:
        while self._idle:
            link = self._idle.pop()
            if link.retiring is not None:
                link.retiring.cancel()
            if link.smtp.is_connected:
                return link
        return None

    def _put_back(self, link: _Link) -> None:
        link.mails += 1
        if self._closed or link.mails >= self._most_mails:
            _hang_up(link.smtp)
        elif link.smtp.is_connected:
            link.retiring = asyncio.get_running_loop().call_later(self._idle_for, self._retire, link)
            self._idle.append(link)

    def _retire(self, link: _Link) -> None:
        self._idle.remove(link)
        _hang_up(link.smtp)


def _hang_up(smtp: SMTP) -> None:
    """Say QUIT and close, without waiting for the server's good-bye."""
    if smtp.protocol is not None:
        with suppress(SMTPException):
            smtp.protocol.write(b"QUIT\r\n")
    smtp.close()
