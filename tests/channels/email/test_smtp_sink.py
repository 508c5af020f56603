"""Mails to Postfix's smtp-sink, a server that nobody here wrote and that pipelines."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from notifier.channels.email.dialogue import SmtpTimeouts
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.clock import ManualClock
from notifier.domain.errors import Misconfigured, OutcomeUnknown, Refused, SendError, Unavailable
from notifier.domain.messages import Receipt
from tests.channels.email.samples import SENDER, mail
from tests.conftest import absent

SINK = os.environ.get("NOTIFIER_TEST_SMTP_SINK") or shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin")
LIBRARIES = {"LD_LIBRARY_PATH": str(Path(SINK or "/").resolve().parent.parent / "lib" / "postfix")}
Serve = Callable[..., AbstractAsyncContextManager[SmtpTransport]]


@pytest.fixture
def serve(clock: ManualClock, unused_tcp_port: int, tmp_path: Path) -> Serve:
    """Starts a sink with options, and gives a transport to it."""
    program = SINK or absent("no smtp-sink (Debian's postfix); name one by NOTIFIER_TEST_SMTP_SINK")

    @asynccontextmanager
    async def started(*options: str, connections: int = 2) -> AsyncIterator[SmtpTransport]:
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        address = f"127.0.0.1:{unused_tcp_port}"
        process = await asyncio.create_subprocess_exec(program, *user, *options, address, "100", env=LIBRARIES)
        try:
            async with asyncio.timeout(5):
                while not await _listens(unused_tcp_port):  # noqa: ASYNC110 (another process's)
                    await asyncio.sleep(0.05)
            timeouts = SmtpTimeouts(wait=5.0, connect=3.0, mail=3.0)
            transport = SmtpTransport(
                "127.0.0.1", unused_tcp_port, Security.NONE, SENDER, clock=clock, connections=connections,
                timeouts=timeouts,
            )  # fmt: skip
            yield transport
            await transport.close()
        finally:
            process.kill()
            await process.wait()

    return started


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_many_mails_are_taken(serve: Serve) -> None:
    async with serve() as smtp:
        receipts = await asyncio.gather(*(smtp.send(mail(reference=f"n{number}")) for number in range(500)))
    assert [receipt.reference for receipt in receipts] == [f"n{number}@voltline.example" for number in range(500)]


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        (["-f", "MAIL"], Misconfigured, "session 500"),
        (["-r", "RCPT"], Unavailable, "4.3.0"),
        (["-f", "RCPT"], Refused, "5.3.0"),
        (["-f", "DATA"], Refused, "5.3.0"),
        (["-f", "."], Refused, "5.3.0"),
        (["-q", "MAIL"], Unavailable, None),
        (["-q", "RCPT"], Unavailable, None),
        (["-q", "DATA"], Unavailable, None),
        (["-q", "."], OutcomeUnknown, "lost_after_mail"),
    ],
)
async def test_what_it_refuses_and_where_it_hangs_up_is_told_apart(
    serve: Serve, options: list[str], kind: type[SendError], code: str | None
) -> None:
    async with serve(*options, connections=1) as smtp:
        with pytest.raises(kind) as failed:
            await smtp.send(mail())
    assert code is None or failed.value.code == code


async def test_one_that_offers_no_pipelining_is_waited_for(serve: Serve) -> None:
    async with serve("-p") as smtp:
        receipts = await asyncio.gather(*(smtp.send(mail(reference=f"n{number}")) for number in range(50)))
    assert all(isinstance(receipt, Receipt) for receipt in receipts)
