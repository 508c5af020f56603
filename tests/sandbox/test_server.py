import asyncio
import re
import signal
import sys
from email.message import EmailMessage

import aiosmtplib
import pytest
from aiohttp import ClientConnectionError, ClientSession, encode_basic_auth
from click.testing import CliRunner

from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.cli import main
from notifier.sandbox import FaultRule, Sandbox
from tests.stand_ins import service_account

SERVE = "import asyncio, sys; from notifier.sandbox import serve; asyncio.run(serve({}, callbacks=True))"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop_and_logs_no_address(number: signal.Signals) -> None:
    # Given
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVE, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    ready = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    url, port = re.findall(r"http://127\.0\.0\.1:\d+|(?<=smtp_port=)\d+", ready)

    # When
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = (
        "hello@volt.example",
        "anna@example.com",
        "<m1@volt.example>",
    )
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=int(port), start_tls=False, timeout=5) as smtp:
        await smtp.send_message(message)
    async with ClientSession() as http, http.get(f"{url}/sandbox/summary") as response:
        assert (await response.json())["email"]["accepted"] == 1
    process.send_signal(number)
    rest, _ = await asyncio.wait_for(process.communicate(), 10)

    # Then
    assert process.returncode == 0
    assert b"sandbox.stopped" in rest
    assert "anna" not in ready + rest.decode()


async def test_on_an_address_of_its_own_all_servers_are_there_and_its_credentials_lead_there() -> None:
    async with Sandbox(address="127.0.0.2") as sandbox:
        async with ClientSession() as http, http.get(f"{sandbox.http_url}/sandbox/service-account.json") as response:
            account = await response.json()
        async with aiosmtplib.SMTP(hostname="127.0.0.2", port=sandbox.ports["smtp"], start_tls=False, timeout=20):
            pass

    assert account["token_uri"] == f"{sandbox.http_url}/token"
    assert sandbox.http_url.startswith("http://127.0.0.2:")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "two words"])  # noqa: S104
def test_an_address_by_which_nobody_can_come_is_refused(host: str) -> None:
    told = CliRunner().invoke(main, ["sandbox", "--host", host])

    assert (told.exit_code, "--host" in told.output) == (2, True)


async def test_a_port_that_is_taken_leaves_nothing_behind(sandbox: Sandbox) -> None:
    # Given
    taken = int(sandbox.http_url.rpartition(":")[2])

    # When
    with pytest.raises(OSError, match="address already in use"):
        async with Sandbox({"http": taken}):
            pass
    with pytest.raises(OSError, match="address already in use"):
        async with Sandbox({"smtp": sandbox.ports["smtp"]}):
            pass

    # Then the one that had them still serves
    async with ClientSession() as http, http.get(f"{sandbox.http_url}/sandbox/summary") as response:
        assert response.status == 200


async def test_leaving_does_not_wait_for_requests_that_hang() -> None:
    # Given a request that has met its fault
    loop = asyncio.get_running_loop()
    async with Sandbox() as sandbox, ClientSession(sandbox.http_url) as http:
        sandbox.faults.add(FaultRule(channel="sms", action="hang", seconds=3_600, times=1))
        request = loop.create_task(
            http.post(
                f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
                data={"To": "+4915112345678", "From": "+15005550006", "Body": "Hello"},
                headers={"Authorization": encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)},
            )
        )
        while sandbox.faults.rules:
            async with http.get("/sandbox/faults") as response:
                assert response.status == 200

        # When
        started = loop.time()

    # Then
    assert loop.time() - started < 2
    with pytest.raises(ClientConnectionError):
        await request


async def test_two_sandboxes_are_strangers() -> None:
    async with Sandbox() as one, Sandbox() as other:
        assert one.http_url != other.http_url
        assert one.ports["smtp"] != other.ports["smtp"]
        assert service_account(one)["private_key"] != service_account(other)["private_key"]
