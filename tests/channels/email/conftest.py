"""Mail servers: one that does what a test says, and a certificate for those that encrypt."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from notifier.channels.email.transport import Security, SmtpTransport
from notifier.clock import ManualClock
from tests.channels.email.samples import QUICK, SENDER, Opener
from tests.channels.email.server import MailServer


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    scripted = MailServer()
    conversations: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(scripted.serve(reader, writer))
        conversations.add(task)
        task.add_done_callback(conversations.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    scripted.port = listening.sockets[0].getsockname()[1]
    yield scripted
    listening.close()
    for task in conversations:
        task.cancel()
    await asyncio.gather(*conversations, return_exceptions=True)
    await listening.wait_closed()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + built.public_bytes(Encoding.PEM)
    )
    return file


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's trust in that certificate and no other."""
    return ssl.create_default_context(cafile=str(certificate))


@pytest.fixture
async def transports(server: MailServer, clock: ManualClock) -> AsyncIterator[Opener]:
    """Opens transports to the server and closes them at the end."""
    opened = []

    def opener(**options: Any) -> SmtpTransport:
        transport = SmtpTransport(
            "127.0.0.1", server.port, Security.NONE, SENDER, **{"clock": clock, "timeouts": QUICK, **options}
        )
        opened.append(transport)
        return transport

    yield opener
    for transport in opened:
        await transport.close()


@pytest.fixture
def smtp(transports: Opener) -> SmtpTransport:
    return transports(connections=1)
