"""Fixtures of all channels: a provider's HTTP API, a certificate for servers, and a clock that stands still at the
present."""

import datetime
import ipaddress
import logging
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import web
from aiohttp.test_utils import TestServer as Server
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from notifier.channels.sms import codes as sms
from notifier.channels.sms.messages import SmsMessage
from notifier.channels.sms.provider import segments
from notifier.channels.sms.settings import TwilioAccount
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import Clock, ManualClock, SystemClock
from notifier.pipeline.sharing import InDatabase
from notifier.providers import pool as providers
from notifier.providers.http import HttpTimeouts
from notifier.providers.shared import Shared
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import redis_url
from notifier.runtime.guard import refuse_everything_but_loopback
from notifier.store.core.database import Database
from tests.channels import canary
from tests.channels.accounts import Keep, Process
from tests.channels.provider import PATIENT_HTTP, Provider
from tests.named import SMS

PATIENT = 10.0  # seconds for what is shared to answer: a test's machine may be busy, and a database waits for its disk


@pytest.fixture(autouse=True, scope="session")
def guard() -> None:
    refuse_everything_but_loopback()


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def timeouts() -> HttpTimeouts:
    """How long calls wait; a test of just that is marked `provider.quick`."""
    return PATIENT_HTTP


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SystemClock().now())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and provider.example, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("provider.example")]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
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
async def provider() -> AsyncIterator[Provider]:
    stand_in = Provider()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", stand_in.handle)
    async with Server(application, shutdown_timeout=0, access_log=None) as server:
        stand_in.url = str(server.make_url("")).rstrip("/")
        yield stand_in


@pytest.fixture
async def empty_valkey(valkey: str) -> str:
    """The bundled Valkey, with nothing in it."""
    with redis.Redis.from_url(valkey) as client:
        client.flushdb()
    return valkey


@pytest.fixture
async def sqlite(empty_sqlite: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty SQLite."""
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    opened = Database(f"sqlite:///{tmp_path / 'notifier.db'}", connections=4)
    yield opened
    await opened.close()


@pytest.fixture(params=["redis", "database"])
def keep(request: pytest.FixtureRequest, empty_valkey: str, sqlite: Database) -> Keep:
    """What all processes share, empty: in Redis, and in a database."""
    if request.param == "redis":
        return lambda: InRedis(redis_url(empty_valkey), "notifier")
    return lambda: InDatabase(sqlite, SystemClock())


@pytest.fixture
async def process(provider: Provider, clock: ManualClock, timeouts: HttpTimeouts) -> AsyncIterator[Process]:
    opened: list[providers.Providers[SmsMessage]] = []

    def open_process(
        *, by: Keep | None = None, clock: Clock = clock, processes: int = 1, **accounts: Mapping[str, Any],
    ) -> providers.Providers[SmsMessage]:  # fmt: skip
        terms = providers.Terms(channel=SMS, codes=sms.CODES, cost=segments, processes=processes)
        shared = Shared(by(), clock, PATIENT) if by else None
        each = []
        for name, options in accounts.items():
            details: dict[str, Any] = {"sid": name, "token": canary.SECRET, "sender": "+1500", "url": provider.url}
            account = TwilioAccount(name=name, **{**details, **options})
            transport = TwilioTransport(
                account.sid, account.token, account.sender, clock=clock, base_url=account.url,
                timeouts=timeouts,
            )  # fmt: skip
            each.append(providers.Provider(account, transport, terms, shared, clock))
        opened.append(providers.Providers(each, shared))
        return opened[-1]

    yield open_process
    for process in opened:
        await process.close()
