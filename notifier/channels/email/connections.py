"""A pool of SMTP connections, kept open between mails."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from notifier.channels.email.codes import CODES
from notifier.channels.email.dialogue import Dialogue, OutgoingMail
from notifier.runtime.background import once

IDLE: Final = 30.0
"""Seconds a connection waits for the next mail: well below the five minutes after which a server may hang up (RFC 5321
§4.5.3.2.7)."""
MAILS: Final = 100
"""Mails per connection, so that each relay behind a load balancer gets its share."""


class Connections:
    """At most `size` connections, opened when needed and used last in, first out.

    A mail goes to an idle connection, else to a new one; at the limit, behind the first mail whose content the server
    has asked for (`notifier.channels.email.dialogue`).
    """

    def __init__(self, connect: Callable[["Connections"], Awaitable[Dialogue]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._open = 0
        self._idle: list[Dialogue] = []
        self._waiting: deque[OutgoingMail] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False

    async def send(self, mail: OutgoingMail) -> None:
        """Send a mail; raises a SendError where it was not accepted, of class `deferred` where no connection was free
        in time.

        A cancelled mail is not sent unless it already was, and its connection ends.
        """
        self._waiting.append(mail)
        self._serve()
        try:
            await mail.outcome
        except asyncio.CancelledError:
            if mail.dialogue is not None:
                mail.dialogue.give_up(mail)
            raise

    def close(self) -> None:
        """Close idle connections now, and the others when they have no more mail."""
        self._closed = True
        while self._idle:
            self._idle.pop().hang_up()

    def next_mail(self) -> OutgoingMail | None:
        while self._waiting:
            mail = self._waiting.popleft()
            if not mail.outcome.done():
                return mail
        return None

    def rest(self, dialogue: Dialogue) -> bool:
        if not self._closed:
            self._idle.append(dialogue)
        return not self._closed

    def left(self, dialogue: Dialogue) -> None:
        self._open -= 1
        if dialogue in self._idle:
            self._idle.remove(dialogue)
        self._serve()

    def _reuse(self) -> Dialogue | None:
        while self._idle:
            dialogue = self._idle.pop()
            if dialogue.is_open:  # otherwise the connection is about to report its end
                return dialogue
        return None

    def _serve(self) -> None:
        """Assign connections to waiting mails."""
        while self._waiting:
            dialogue = self._reuse()
            if dialogue is not None:
                dialogue.rest()  # the connection takes the next mail
            elif self._open < self._size and (mail := self.next_mail()) is not None:
                self._open += 1
                task = once("email.open", partial(self._open_for, mail))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            else:
                break
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._waiting[0].deadline, self._look)

    async def _open_for(self, mail: OutgoingMail) -> None:
        try:
            dialogue = await self._connect(self)
        except Exception as error:  # noqa: BLE001 (it belongs to who waits for the mail)
            mail.end(error)
            self._open -= 1
            return self._serve()
        return dialogue.rest() if mail.outcome.done() else dialogue.begin(mail)

    def _look(self) -> None:
        """Fail the mails that have waited too long."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0].deadline <= now:
            self._waiting.popleft().end(CODES.classify("busy"))
        self._serve()
