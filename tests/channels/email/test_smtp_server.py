"""Mails to Nodemailer's smtp-server, another one that nobody here wrote: on Node, by npm, with quirks of its own."""

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from notifier.channels.email.dialogue import SmtpTimeouts
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.clock import ManualClock
from notifier.domain.errors import AddressGone, Misconfigured, OutcomeUnknown, SendError, Unavailable
from notifier.domain.messages import Receipt
from tests.channels import canary
from tests.channels.email.samples import SENDER, mail
from tests.conftest import absent

VERSION = "3.13.6"  # for the Node of Debian, too; it pins what it needs itself
INSTALLED = 120  # seconds for npm
SCRIPT = Path(__file__).with_name("smtp_server.cjs")
PATIENT = SmtpTimeouts(wait=5.0, connect=5.0)
AGAIN = "451 4.7.1 Greylisted"
GONE = "550 5.1.1 No such mailbox"

Started = tuple[Callable[..., SmtpTransport], asyncio.Queue[dict[str, Any]]]
Serve = Callable[..., AbstractAsyncContextManager[Started]]


@pytest.fixture(scope="session")
def modules(pytestconfig: pytest.Config) -> Path:
    """The folder that npm has installed it into, once for all runs."""
    npm = shutil.which("npm") or absent("needs npm (Debian's nodejs and npm), to install smtp-server")
    cache = pytestconfig.cache
    assert cache is not None
    folder = cache.mkdir(f"smtp-server-{VERSION}")
    if not (folder / "whole").exists():
        options = ("--no-save", "--no-audit", "--no-fund", "--ignore-scripts")
        command = [npm, "install", *options, "--prefix", str(folder), f"smtp-server@{VERSION}"]
        ended = subprocess.run(command, timeout=INSTALLED, capture_output=True, text=True)
        if ended.returncode != 0:
            absent(f"npm could not install smtp-server {VERSION}: {ended.stderr.strip()[-200:]}")
        (folder / "whole").touch()
    return folder


@pytest.fixture
def serve(clock: ManualClock, modules: Path) -> Serve:
    """Starts a server with options; gives what opens transports to it, and the mails that it takes."""
    node = shutil.which("node") or absent("needs node (Debian's nodejs)")

    @asynccontextmanager
    async def started(**options: Any) -> AsyncIterator[Started]:
        told = json.dumps({"pipelining": True, **options})
        process = await asyncio.create_subprocess_exec(
            node, str(SCRIPT), str(modules), told, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        taken: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        opened: list[SmtpTransport] = []

        async def listen(said: asyncio.StreamReader) -> None:
            async for line in said:
                taken.put_nowait(json.loads(line))

        try:
            async with asyncio.timeout(30):
                port = json.loads(await process.stdout.readline())["port"]
            listening = asyncio.create_task(listen(process.stdout))

            def connect(security: Security = Security.NONE, **more: Any) -> SmtpTransport:
                chosen = {"connections": 1, "timeouts": PATIENT, **more}
                opened.append(SmtpTransport("127.0.0.1", port, security, SENDER, clock=clock, **chosen))
                return opened[-1]

            yield connect, taken
            listening.cancel()
        finally:
            for transport in opened:
                await transport.close()
            process.kill()
            await process.wait()

    return started


async def first(taken: asyncio.Queue[dict[str, Any]]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        return await taken.get()


async def test_mails_by_starttls_and_auth(serve: Serve, certificate: Path, trusting: ssl.SSLContext) -> None:
    # Given a server that wants both, when mails are sent
    async with serve(certificate=str(certificate), password=canary.SECRET) as (connect, taken):
        smtp = connect(Security.STARTTLS, tls_context=trusting, username="notifier", password=canary.SECRET)
        receipts = await asyncio.gather(*(smtp.send(mail(reference=f"n{number}")) for number in range(20)))

        # Then each arrived from its own return path, encrypted and by name
        arrived = [await first(taken) for _ in receipts]
    assert sorted(each["from"] for each in arrived) == sorted(f"no-reply+n{n}@voltline.example" for n in range(20))
    assert {(each["tls"], each["user"]) for each in arrived} == {(True, "notifier")}


async def test_a_wrong_password_needs_a_person(serve: Serve, certificate: Path, trusting: ssl.SSLContext) -> None:
    async with serve(certificate=str(certificate), password=canary.SECRET) as (connect, taken):
        smtp = connect(Security.STARTTLS, tls_context=trusting, username="notifier", password="another")
        with pytest.raises(Misconfigured) as failed:
            await smtp.send(mail())
    assert (failed.value.code, taken.qsize()) == ("session 535", 0)


@pytest.mark.parametrize("pipelining", [True, False])
async def test_each_recipient_has_the_reply_that_is_about_them(serve: Serve, pipelining: bool) -> None:
    # Given a server that takes some recipients, puts others off and knows others not, at RCPT and at the end
    expected = {"good": Receipt, "gone": AddressGone, "later": Unavailable, "deferred": Unavailable}
    people = {f"{name}{number}@example.com": name for number in range(3) for name in expected}
    recipients = {who: GONE if name == "gone" else AGAIN for who, name in people.items() if name in ("gone", "later")}
    deferred = {who: "451 4.3.0 Try again" for who, name in people.items() if name == "deferred"}

    # When all of them are written to over one connection
    async with serve(pipelining=pipelining, recipients=recipients, mails=deferred) as (connect, taken):
        smtp = connect()
        sends = (smtp.send(mail(to=who, reference=f"n{place}")) for place, who in enumerate(people))
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
        arrived = {(await first(taken))["to"] for _ in range(3)}

    # Then every one has their own
    for (who, name), outcome in zip(people.items(), outcomes, strict=True):
        assert isinstance(outcome, expected[name]), (who, outcome)
    assert arrived == {who for who, name in people.items() if name == "good"}


@pytest.mark.parametrize("pipelining", [True, False])
async def test_one_that_looks_at_a_mail_for_a_while_after_its_final_dot_is_waited_for(
    serve: Serve, pipelining: bool
) -> None:
    async with serve(pipelining=pipelining, pause=500) as (connect, taken):
        smtp = connect()
        receipts = await asyncio.gather(*(smtp.send(mail(reference=f"n{number}")) for number in range(3)))
        assert len(receipts) == len([await first(taken) for _ in receipts])


async def test_one_that_looks_at_a_mail_for_longer_than_it_may_leaves_it_unknown(serve: Serve) -> None:
    async with serve(pause=60_000) as (connect, _):
        with pytest.raises(OutcomeUnknown) as failed:
            await connect(timeouts=PATIENT._replace(mail=0.5)).send(mail())
    assert failed.value.code == "lost_after_mail"


async def test_a_relay_that_takes_only_its_own_sender_needs_a_person_or_no_return_paths(serve: Serve) -> None:
    # Given a relay that takes no other address than the one of our account
    async with serve(sender=SENDER) as (connect, taken):
        # When a mail has a return path of its own, then it waits until somebody has mended that
        with pytest.raises(SendError) as failed:
            await connect().send(mail())
        assert isinstance(failed.value, Misconfigured)
        assert (failed.value.code, failed.value.retry) == ("session 553", True)
        assert taken.qsize() == 0

        # When it is told to send without (`verp=false`), then it goes through
        assert isinstance(await connect(verp=False).send(mail()), Receipt)
        assert (await first(taken))["from"] == SENDER
