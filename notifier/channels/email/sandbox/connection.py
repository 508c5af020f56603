"""The SMTP stand-in's connections: a session's turns on a transport, and TLS with a certificate made at start."""

import asyncio
import ssl
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from notifier.channels.email.sandbox.session import SmtpSession, Turn
from notifier.domain.clock import Clock, to_datetime
from notifier.runtime.background import once

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for a client's TLS handshake."""
CERTIFICATE_LIFE: Final = timedelta(days=30)
"""The certificate's validity: longer than any sandbox runs."""


class SandboxConnection(asyncio.Protocol):
    """A client's connection, listed in `connections` while open."""

    def __init__(self, session: SmtpSession, tls: ssl.SSLContext, connections: "set[SandboxConnection]") -> None:
        self._session = session
        self._tls = tls
        self._connections = connections
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._advance()

    def data_received(self, data: bytes) -> None:
        self._session.receive(data)
        self._advance()

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Close the connection at once, whatever is under way."""
        self._transport.abort()
        if self._handshake is not None:
            self._handshake.cancel()

    def _advance(self) -> None:
        """Carry out the session's turns until it waits for the client, or a turn is delayed."""
        replies = []
        while not self._busy and (turn := self._session.next_turn()) is not None:
            if turn.seconds:
                self._busy = True
                self._transport.pause_reading()
                self._timer = asyncio.get_running_loop().call_later(turn.seconds, self._late, turn)
            else:
                replies.append(turn.reply)
                if turn.close or turn.start_tls:
                    self._transport.write(b"".join(replies))
                    return self._end(turn)
        if replies:
            self._transport.write(b"".join(replies))
        return None

    def _late(self, turn: Turn) -> None:
        """Carry out a delayed turn."""
        self._busy = False
        self._transport.write(turn.reply)
        if turn.close:
            return self._end(turn)
        self._transport.resume_reading()
        return self._advance()

    def _end(self, turn: Turn) -> None:
        """Close the connection, or switch it to TLS, as the turn says."""
        self._busy = True
        if turn.close:
            self._transport.close()
        else:
            self._transport.pause_reading()  # the client's first TLS bytes are for the TLS layer
            self._handshake = once("sandbox.tls", self._start_tls)

    async def _start_tls(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._transport, self, self._tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_TIMEOUT
            )
        except OSError:  # OSError includes ssl.SSLError and time-outs
            return self._transport.abort()
        if transport is None:
            return None
        self._transport = transport
        self._busy = False
        return self._advance()


def make_certificate(clock: Clock) -> tuple[ssl.SSLContext, bytes]:
    """Return a server's TLS context with a self-signed certificate for localhost and 127.0.0.1, and it as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "notifier sandbox")])
    now = to_datetime(clock.now())
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + CERTIFICATE_LIFE)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    ).public_bytes(Encoding.PEM)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with TemporaryDirectory() as folder:  # the ssl module reads keys from files only
        path = Path(folder, "sandbox.pem")
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
        context.load_cert_chain(path)
    return context, certificate
