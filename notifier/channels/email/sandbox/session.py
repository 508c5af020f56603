"""An SMTP session without I/O: bytes in, turns out.

Commands and replies as in RFC 5321, with PIPELINING (RFC 2920), 8BITMIME (6152), SIZE (1870), SMTPUTF8 (6531), STARTTLS
(3207), AUTH PLAIN and LOGIN (4954) and ENHANCEDSTATUSCODES (2034).
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

from notifier.channels.email.sandbox.message import MESSAGE_BYTES, ReceivedMail, flaw, reference_of, unstuffed
from notifier.domain.deliveries import Channel
from notifier.sandbox.faults import CALM, FaultRule, Faults
from notifier.sandbox.ledger import SandboxLedger

CHANNEL: Final = Channel("email")
EARLY_STAGES: Final = frozenset({"connect", "mail", "rcpt", "data"})
"""Stages of the dialogue before the message with its reference has been read."""
COMMAND_BYTES: Final = 2_048
"""Bytes of a command line: RFC 5321's 512 octets, with a margin for AUTH's and MAIL's parameters."""
RECIPIENTS: Final = 100
"""Recipients of one message, the least a server must take (RFC 5321 §4.5.3.1.8)."""

_MAIL: Final = re.compile(rb"FROM: ?<([^<>\x00-\x20]*)>(.*)", re.IGNORECASE)
_RCPT: Final = re.compile(rb"TO: ?<([^<>\x00-\x20]+@[^<>\x00-\x20]+)>(.*)", re.IGNORECASE)
_PARAMETERS: Final = frozenset({b"SIZE", b"BODY", b"SMTPUTF8", b"AUTH"})
_EXTENSIONS: Final = ("PIPELINING", f"SIZE {MESSAGE_BYTES}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")

_numbers: Final = count(1)


class Turn(NamedTuple):
    """The server's next action: after `seconds`, send `reply`, then perhaps close or start TLS."""

    reply: bytes = b""
    seconds: float = 0.0
    close: bool = False
    start_tls: bool = False


_BAD_SEQUENCE: Final = Turn(b"503 5.5.1 Bad sequence of commands\r\n")
_NEEDS_UTF8: Final = Turn(b"553 5.6.7 Say SMTPUTF8 for such an address\r\n")
_OK: Final = Turn(b"250 2.0.0 Ok\r\n")


@dataclass(slots=True, repr=False)
class _Envelope:
    """The mail being received. `scanned` is how far its content has been searched for its end."""

    sender: str
    utf8: bool
    recipients: list[str] = field(default_factory=list)
    scanned: int = 0
    oversized: bool = False


class SmtpSession:
    """An SMTP session with one client. Faults match by recipient and, once the message is read, by reference."""

    def __init__(self, ledger: SandboxLedger, faults: Faults, user: str, password: str) -> None:
        self._ledger = ledger
        self._faults = faults
        self._login = (user.encode(), password.encode())
        self._buffer = bytearray()
        self._step: Callable[[], Turn | None] = self._greet
        self._encrypted = False
        self._hello = False
        self._envelope: _Envelope | None = None

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._buffer += data

    def next_turn(self) -> Turn | None:
        """Return the next turn, or None until the client sends more."""
        return self._step()

    def _greet(self) -> Turn:
        self._step = self._command
        return self._stage("connect", b"220 sandbox.localhost ESMTP\r\n")

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return bytes(self._buffer) if len(self._buffer) > COMMAND_BYTES else None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _command(self) -> Turn | None:
        line = self._line()
        if line is None:
            return None
        if len(line) > COMMAND_BYTES:
            return Turn(b"500 5.5.2 Line too long\r\n", close=True)
        verb, _, rest = line.partition(b" ")
        rest = rest.strip()
        match verb.upper():
            case b"MAIL":
                return self._mail(rest)
            case b"RCPT":
                return self._rcpt(rest)
            case b"DATA":
                return self._data()
            case b"EHLO":
                return self._ehlo(rest)
            case b"HELO":
                return self._helo(rest)
            case b"STARTTLS":
                return self._start_tls()
            case b"AUTH":
                return self._auth(rest)
            case b"RSET":
                self._envelope = None
                return _OK
            case b"NOOP":
                return _OK
            case b"VRFY":
                return Turn(b"252 2.5.0 Send it and see\r\n")
            case b"QUIT":
                return Turn(b"221 2.0.0 Bye\r\n", close=True)
            case _:
                return Turn(b"500 5.5.2 Command not known\r\n")

    def _helo(self, name: bytes) -> Turn:
        if not name:
            return Turn(b"501 5.5.4 Say who you are\r\n")
        self._hello = True
        self._envelope = None
        return Turn(b"250 sandbox.localhost\r\n")

    def _ehlo(self, name: bytes) -> Turn:
        turn = self._helo(name)
        if not turn.reply.startswith(b"2"):
            return turn
        lines = ["sandbox.localhost", *_EXTENSIONS, *([] if self._encrypted else ["STARTTLS"])]
        return Turn("".join(f"250-{line}\r\n" for line in lines).encode() + b"250 AUTH PLAIN LOGIN\r\n")

    def _start_tls(self) -> Turn:
        if self._encrypted:
            return _BAD_SEQUENCE
        # Commands pipelined in the clear after STARTTLS must be discarded (RFC 3207 §6).
        self._buffer.clear()
        self._encrypted = True
        self._hello = False
        self._envelope = None
        return Turn(b"220 2.0.0 Go ahead\r\n", start_tls=True)

    def _auth(self, rest: bytes) -> Turn:
        mechanism, _, initial = rest.partition(b" ")
        match mechanism.upper():
            case b"PLAIN" if initial:
                return self._plain(initial)
            case b"PLAIN":
                return self._ask(b"", self._plain)
            case b"LOGIN" if initial:
                return self._ask(b"UGFzc3dvcmQ6", lambda password: self._check(initial, password))
            case b"LOGIN":
                return self._ask(b"VXNlcm5hbWU6", lambda user: self._auth(b"LOGIN " + user))
            case _:
                return Turn(b"504 5.5.4 Mechanism not known\r\n")

    def _ask(self, challenge: bytes, perform: Callable[[bytes], Turn]) -> Turn:
        """Send an AUTH challenge, and read the next line as its answer."""

        def answer() -> Turn | None:
            line = self._line()
            if line is None:
                return None
            self._step = self._command
            return Turn(b"501 5.7.0 Cancelled\r\n") if line in (b"*", b"") else perform(line)

        self._step = answer
        return Turn(b"334 " + challenge + b"\r\n")

    def _plain(self, encoded: bytes) -> Turn:
        try:
            _, user, password = b64decode(encoded, validate=True).split(b"\0")
        except ValueError:  # binascii.Error is a ValueError, too
            return Turn(b"501 5.5.2 Not a PLAIN answer\r\n")
        return self._verdict(user, password)

    def _check(self, user: bytes, password: bytes) -> Turn:
        try:
            return self._verdict(b64decode(user, validate=True), b64decode(password, validate=True))
        except Base64Error:
            return Turn(b"501 5.5.2 Not base64\r\n")

    def _verdict(self, user: bytes, password: bytes) -> Turn:
        if (user, password) != self._login:
            return Turn(b"535 5.7.8 User or password wrong\r\n")
        return Turn(b"235 2.7.0 Welcome\r\n")

    def _mail(self, rest: bytes) -> Turn:
        if not self._hello or self._envelope is not None:
            return _BAD_SEQUENCE
        found = _MAIL.fullmatch(rest)
        if found is None:
            return Turn(b"501 5.5.4 Syntax: MAIL FROM:<address>\r\n")
        address, parameters = found[1], dict(word.partition(b"=")[::2] for word in found[2].upper().split())
        if not parameters.keys() <= _PARAMETERS:
            return Turn(b"555 5.5.4 Parameter not known\r\n")
        size = parameters.get(b"SIZE", b"0")
        if size.isdigit() and int(size) > MESSAGE_BYTES:
            return Turn(b"552 5.3.4 Message too large\r\n")
        envelope = _Envelope(address.decode("utf-8", "replace"), utf8=b"SMTPUTF8" in parameters)
        if not (envelope.utf8 or address.isascii()):
            return _NEEDS_UTF8
        turn = self._stage("mail", b"250 2.1.0 Ok\r\n")
        if turn.reply.startswith(b"2"):
            self._envelope = envelope
        return turn

    def _rcpt(self, rest: bytes) -> Turn:
        if self._envelope is None:
            return _BAD_SEQUENCE
        found = _RCPT.fullmatch(rest)
        if found is None:
            return Turn(b"501 5.1.3 Syntax: RCPT TO:<address>\r\n")
        if found[2].strip():
            return Turn(b"555 5.5.4 Parameter not known\r\n")
        if not (self._envelope.utf8 or found[1].isascii()):
            return _NEEDS_UTF8
        if len(self._envelope.recipients) >= RECIPIENTS:
            return Turn(b"452 4.5.3 Too many recipients\r\n")
        address = found[1].decode("utf-8", "replace")
        turn = self._stage("rcpt", b"250 2.1.5 Ok\r\n", address)
        if turn.reply.startswith(b"2"):
            self._envelope.recipients.append(address)
        return turn

    def _data(self) -> Turn:
        envelope = self._envelope
        if envelope is None:
            return _BAD_SEQUENCE
        if not envelope.recipients:
            return Turn(b"554 5.5.1 No valid recipients\r\n")
        turn = self._stage("data", b"354 End with a dot on a line of its own\r\n", envelope.recipients[0])
        if turn.reply.startswith(b"3"):
            self._step = lambda: self._content(envelope)
        return turn

    def _content(self, envelope: _Envelope) -> Turn | None:
        """Handle the message once its final dot has arrived."""
        if self._buffer.startswith(b".\r\n") and not envelope.oversized:
            end = 0
        elif (found := self._buffer.find(b"\r\n.\r\n", envelope.scanned)) >= 0:
            end = found + 2
        else:
            if len(self._buffer) > MESSAGE_BYTES:
                envelope.oversized = True
                del self._buffer[:-4]
            envelope.scanned = max(0, len(self._buffer) - 4)
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 3]
        self._step = self._command
        self._envelope = None
        reply = "552 5.3.4 Message too large" if envelope.oversized else flaw(raw)
        if reply is not None:
            return self._refuse(reply, 0.0, *envelope.recipients)
        return self._take(envelope, unstuffed(raw))

    def _take(self, envelope: _Envelope, raw: bytes) -> Turn:
        reference = reference_of(raw)
        troubles = (self._faults.meet(CHANNEL, "message", to, reference) for to in envelope.recipients)
        trouble = next((trouble for trouble in troubles if trouble != CALM), CALM)
        if trouble.fails is not None:
            return self._refuse(_reply(trouble.fails), trouble.seconds, *envelope.recipients, reference=reference)
        provider_id = f"{next(_numbers):012X}"
        if not trouble.not_taken:
            mail = ReceivedMail(sender=envelope.sender, raw=raw, encrypted=self._encrypted)
            for to in envelope.recipients:
                self._ledger.accept(CHANNEL, to, reference, mail, provider_id)
        if trouble.silent:
            return Turn(seconds=trouble.seconds, close=True)
        return Turn(f"250 2.0.0 Ok: queued as {provider_id}\r\n".encode(), trouble.seconds)

    def _stage(self, stage: str, reply: bytes, to: str = "") -> Turn:
        """Return a stage's regular reply, or the turn that a fault makes of it."""
        trouble = self._faults.meet(CHANNEL, stage, to)
        if trouble.fails is not None:
            return self._refuse(_reply(trouble.fails), trouble.seconds, to, close=stage == "connect")
        return Turn(b"" if trouble.silent else reply, trouble.seconds, close=trouble.silent)

    def _refuse(self, reply: str, seconds: float, *to: str, reference: str = "", close: bool = False) -> Turn:
        for address in to:
            self._ledger.refuse(CHANNEL, reply[:3], address, reference)
        return Turn(f"{reply}\r\n".encode(), seconds, close=close or reply.startswith("421"))


def _reply(rule: FaultRule) -> str:
    """Return the refusal that a rule orders."""
    usual = "421 4.3.2" if rule.stage == "connect" else "451 4.3.0"
    return rule.reply or f"{rule.code or usual} Refused on order"
