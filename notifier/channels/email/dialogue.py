"""Mails on one SMTP connection, pipelined (RFC 2920).

    C: MAIL RCPT DATA           one write
    S: 250 250 354
    C: mail . MAIL RCPT DATA    the mail, and behind its final dot the next one's envelope
    S: 250 250 250 354

Replies come in the order of what was said, so each belongs to the mail in front. At most one mail is behind it, whose
content is written only when the server has asked for it: whatever ends the connection, a mail whose final dot was
written is unknown, and any other surely was not sent.

Where the server offers no pipelining, each command waits for the reply to the one before, and no mail is behind
another.
"""

import asyncio
import re
from collections import deque
from contextvars import copy_context
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from notifier.channels.email.codes import CODES
from notifier.domain.errors import SendError
from notifier.providers import fence

AT_ONCE: Final = 3
"""Mails in hand for a connection: the one that the server is taking, the one after it, and one that is ready to
follow."""
MAX_REPLY: Final = 32_768
"""Bytes of a reply: far more than any server sends."""

_REPLY: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?\n")
_ENHANCED: Final = re.compile(rb"([45]\.[0-9]{1,3}\.)[0-9]{1,3}(?![0-9])")
_SHUTTING_DOWN: Final = 421  # in reply to any command (RFC 5321 §3.8)


class SmtpTimeouts(NamedTuple):
    """Seconds for a free connection, and for a TCP connection; then RFC 5321's (§4.5.3.2), whatever they take of a
    lease, which is renewed meanwhile: for the greeting and what follows it (EHLO, TLS, AUTH), for MAIL and RCPT, for
    DATA, and for the answer to the final dot, before which a server may scan the mail.
    """

    wait: float = 2.0
    connect: float = 4.0
    greeting: float = 300.0
    envelope: float = 300.0
    data: float = 120.0
    mail: float = 600.0


class Step(IntEnum):
    """The command of a mail that the next reply answers; RSET makes the server forget a refused mail."""

    MAIL = 0
    RCPT = 1
    DATA = 2
    CONTENT = 3
    RSET = 4


class OutgoingMail:
    """A mail on its way: its commands, its content with the final dot, and its outcome, a SendError where it has one.

    It is made by the task that sends it, whose lease it keeps to.
    """

    __slots__ = ("commands", "content", "deadline", "dialogue", "failure", "outcome", "step", "task")

    def __init__(self, bounces_to: str, recipient: str, content: bytes, wait: float) -> None:
        loop = asyncio.get_running_loop()
        self.commands = (
            b"MAIL FROM:<%b>\r\n" % bounces_to.encode(),
            b"RCPT TO:<%b>\r\n" % recipient.encode(),
            b"DATA\r\n",
        )
        self.content = content + b".\r\n"
        self.step: int = Step.MAIL
        self.failure: SendError | None = None
        self.deadline = loop.time() + wait
        self.dialogue: Dialogue | None = None
        self.outcome: asyncio.Future[None] = loop.create_future()
        self.task = copy_context()

    def end(self, failure: Exception | None) -> None:
        """Set the mail's outcome, unless nobody waits for it any more."""
        if self.outcome.done():
            return
        if failure is None:
            self.outcome.set_result(None)
        else:
            self.outcome.set_exception(failure)


class Exchange(Protocol):
    """The source of a dialogue's mails."""

    def next_mail(self) -> OutgoingMail | None:
        """Return the mail that has waited longest; None where none waits."""
        ...

    def rest(self, dialogue: "Dialogue") -> bool:
        """Note that the dialogue is idle; return whether it should wait for more."""
        ...

    def left(self, dialogue: "Dialogue") -> None:
        """Note that the dialogue's connection has ended."""
        ...


class Dialogue(asyncio.Protocol):
    """The mails of one connection: at most `most` of them, closed after `idle` seconds without one.

    The transport is connected, encrypted and authenticated.
    """

    def __init__(
        self, transport: asyncio.Transport, exchange: Exchange, *, pipelining: bool, timeouts: SmtpTimeouts,
        idle: float, most: int,
    ) -> None:  # fmt: skip
        self._transport = transport
        self._exchange = exchange
        self._pipelining = pipelining
        self._timeouts = timeouts
        self._idle = idle
        self._left = most
        self._mails: deque[OutgoingMail] = deque()
        self._heard_so_far = b""
        self._first_line: bytes | None = None
        self._ended = False
        self._idle_until = 0.0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return not (self._ended or self._transport.is_closing())

    def begin(self, mail: OutgoingMail) -> None:
        """Send a mail's envelope; nothing else may be under way."""
        self._transport.write(self._announce(mail))
        self._await(mail, self._timeouts.envelope)

    def rest(self) -> None:
        """Take the next mail, wait for one, or hang up where none will come."""
        mail = self._next()
        if mail is not None:
            self.begin(mail)
        elif self._left > 0 and self._exchange.rest(self):
            self._idle_until = self._loop.time() + self._idle
            self._watch(self._idle_until)
        else:
            self.hang_up()

    def hang_up(self) -> None:
        """Send QUIT and close without waiting for the reply."""
        if self.is_open:
            self._transport.write(b"QUIT\r\n")
        self._end(quietly=True)

    def give_up(self, mail: OutgoingMail) -> None:
        """Abandon a mail that nobody waits for: the connection ends once the mail in front has its outcome."""
        if self._mails and self._mails[0] is mail:
            self._end()

    def data_received(self, data: bytes) -> None:
        said = self._heard_so_far + data if self._heard_so_far else data
        at = 0
        while not self._ended and (line := _REPLY.match(said, at)) is not None:
            at = line.end()
            if self._first_line is None:
                self._first_line = line[3] or b""
            if line[2] == b"-":
                continue
            text, self._first_line = self._first_line, None
            if self._mails:
                self._hear(self._mails[0], int(line[1]), text)
            else:
                self._end()  # unsolicited: the server is leaving, or sent one reply too many
        self._heard_so_far = said[at:]
        if b"\n" in self._heard_so_far or len(self._heard_so_far) > MAX_REPLY:
            self._end()

    def connection_lost(self, _: Exception | None) -> None:
        self._end()

    def _hear(self, mail: OutgoingMail, code: int, text: bytes) -> None:
        """Handle a reply to the mail in front."""
        refused = code // 100 != 2
        match mail.step:
            case Step.CONTENT:
                if refused:
                    mail.failure = _refusal(code, text)
                if refused and (code // 100 != 4 or code == _SHUTTING_DOWN):
                    # A server that refuses a mail in the middle as too big may answer again at its end.
                    return self._end()
                return self._done()
            case Step.RSET:
                return self._end() if refused else self._done()
            case Step.DATA if code == 354:
                return self._hand_over(mail) if mail.failure is None else self._end()  # a mail without recipients
            case Step.DATA:
                refused = True
        if refused and mail.failure is None:
            mail.failure = refusal_of_us(code) if mail.step == Step.MAIL else _refusal(code, text)
        if code == _SHUTTING_DOWN:
            return self._end()
        if mail.step == Step.DATA or (refused and not self._pipelining):
            # The server waits for the rest unless RSET ends the mail.
            mail.step = Step.RSET
            self._await(mail, self._timeouts.envelope)
            return self._transport.write(b"RSET\r\n")
        mail.step += 1
        self._await(mail, self._timeouts.data if mail.step == Step.DATA else self._timeouts.envelope)
        return None if self._pipelining else self._transport.write(mail.commands[mail.step])

    def _hand_over(self, mail: OutgoingMail) -> None:
        """Write the content that the server has asked for, followed by the next mail's envelope."""
        try:
            mail.task.run(fence.check, CODES.provider)
        except SendError as error:
            mail.failure = error
            return self._end()
        mail.step = Step.CONTENT
        self._await(mail, self._timeouts.mail)
        behind = self._next() if self._pipelining else None
        if behind is None:
            return self._transport.write(mail.content)
        self._transport.write(mail.content + self._announce(behind))
        return self._watch(behind.deadline)

    def _done(self) -> None:
        """Finish the mail in front, which has its outcome."""
        mail = self._mails.popleft()
        mail.end(mail.failure)
        if not self._mails:
            self.rest()
        elif self._mails[0].outcome.done():  # the server waits for an abandoned mail
            self._end()
        else:
            self._await(self._mails[0], self._timeouts.envelope)

    def _next(self) -> OutgoingMail | None:
        return self._exchange.next_mail() if self._left > 0 and self.is_open else None

    def _announce(self, mail: OutgoingMail) -> bytes:
        self._left -= 1
        self._mails.append(mail)
        mail.dialogue = self
        return b"".join(mail.commands) if self._pipelining else mail.commands[0]

    def _end(self, *, quietly: bool = False) -> None:
        """Close the connection: a reply still on its way would be mistaken for one to the next mail."""
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if quietly:
            self._transport.close()
        else:
            self._transport.abort()
        for place, mail in enumerate(self._mails):
            lost = "behind" if place else "lost_after_mail" if mail.step == Step.CONTENT else "lost"
            mail.end(mail.failure or CODES.classify(lost))
        self._mails.clear()
        self._exchange.left(self)

    def _await(self, mail: OutgoingMail, seconds: float) -> None:
        mail.deadline = self._loop.time() + seconds
        self._watch(mail.deadline)

    def _watch(self, deadline: float) -> None:
        """Check the deadline at a time; an earlier timer serves as well, and checks again."""
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        if not self._mails:
            return self.hang_up() if self._idle_until <= now else self._watch(self._idle_until)
        if self._mails[0].deadline <= now:
            return self._end()
        for mail in self._mails:
            if mail.deadline > now:
                self._watch(mail.deadline)
            else:
                mail.end(CODES.classify("busy"))
        return None


def refusal_of_us(code: int) -> SendError:
    """Return the error of a refusal before any recipient was named."""
    return CODES.classify(f"session {code}", f"session {code // 100}xx")


def _refusal(code: int, text: bytes) -> SendError:
    """Return the error of a refusal. Its enhanced code counts only where it is of the reply's own class."""
    told = str(code)
    enhanced = _ENHANCED.match(text)
    precise = (
        [enhanced[0].decode(), f"{enhanced[1].decode()}0"] if enhanced and enhanced[0][:1] == told[0].encode() else []
    )
    return CODES.classify(*precise, told, f"{told[0]}xx")
