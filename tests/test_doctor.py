"""The doctor tries what the workers do."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from notifier.doctor import Finding, examine
from notifier.sandbox import Sandbox
from notifier.settings import load_settings
from tests.conftest import absent


async def findings(tmp_path: Path, part: str, **settings: str) -> list[Finding]:
    given = {f"NOTIFIER_{name.upper()}": value for name, value in settings.items()}
    database = {"NOTIFIER_DATABASE_URL": f"sqlite:///{tmp_path / 'notifier.db'}"}
    return [each for each in await examine(load_settings(database | given)) if each.part == part]


async def test_a_mail_server_is_asked_whether_it_takes_our_sender(tmp_path: Path) -> None:
    async with Sandbox(http_port=0, smtp_port=0) as sandbox:
        found = await findings(
            tmp_path, "e-mail", email_providers=f"smtp://127.0.0.1:{sandbox.smtp_port}", public_url="http://h.example"
        )

    # Then it is good, and that mailbox providers want https is told
    assert [each.verdict for each in found] == ["good", "missing"]
    assert "RFC 8058" in found[1].told


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_mail_server_without_the_encryption_that_is_asked_for_is_wrong(tmp_path: Path, scheme: str) -> None:
    async with Sandbox(http_port=0, smtp_port=0) as sandbox:
        found = await findings(
            tmp_path, "e-mail", email_providers=f"{scheme}://u:p@127.0.0.1:{sandbox.smtp_port}",
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
def cluster_url(tmp_path: Path, unused_tcp_port: int) -> Iterator[str]:
    """A real node of a cluster, which has all the slots."""
    program = shutil.which("redis-server") or absent("needs redis-server (Debian's package of that name)")
    options = ["--cluster-enabled", "yes", "--save", "", "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    command = [program, "--port", str(unused_tcp_port), *options]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as node,
        redis.Redis(port=unused_tcp_port, retry=Retry(ConstantBackoff(0.1), 100)) as client,
    ):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
            pass
        yield f"redis://127.0.0.1:{unused_tcp_port}"
        node.terminate()


async def test_a_node_of_a_redis_cluster_is_wrong_and_said_to_be_one(tmp_path: Path, cluster_url: str) -> None:
    (found,) = await findings(tmp_path, "broker", broker_url=cluster_url)

    assert (found.verdict, "Redis Cluster" in found.told) == ("wrong", True)
