"""A worker that stood still past its lease sends nothing more, wherever in a send it stood."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notifier.channels.email.transport import Security, SmtpTransport
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import SystemClock
from notifier.domain.errors import Unavailable
from notifier.providers.codes import DEFERRED
from notifier.providers.fence import begin_by, leased
from notifier.sandbox import Sandbox
from tests.channels.email.samples import SENDER, mail
from tests.channels.push.samples import push
from tests.channels.sms.samples import text
from tests.stand_ins import service_account

LEASE = 0.02  # seconds
STILL = 0.03  # seconds: longer than the lease
MESSAGES: dict[str, Any] = {"push": push, "sms": text, "email": mail}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as started:
        yield started


@pytest.fixture(params=MESSAGES)
async def sender(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncIterator[tuple[Any, Any]]:
    """A channel's transport to the sandbox, and what makes messages for it."""
    clock = SystemClock()
    transport: Any
    match request.param:
        case "push":
            transport = FcmTransport(service_account(sandbox), clock=clock, base_url=sandbox.http_url)
        case "sms":
            transport = TwilioTransport(
                ACCOUNT_SID, AUTH_TOKEN, "+15005550006", clock=clock, base_url=sandbox.http_url,
                callback_url="http://127.0.0.1/receipts",
            )  # fmt: skip
        case _:
            transport = SmtpTransport("127.0.0.1", sandbox.ports["smtp"], Security.NONE, SENDER, clock=clock)
    yield transport, MESSAGES[request.param]
    await transport.close()


async def test_all_that_one_lease_sends_has_the_same_time_to_begin() -> None:
    async def later() -> float:
        await asyncio.sleep(STILL)
        return begin_by()

    with leased(1):
        here = begin_by()
        there = asyncio.create_task(later())

    assert await there == here
    assert begin_by() > here  # without a lease as if it began now


async def test_a_worker_that_wakes_after_its_lease_sends_nothing(sender: tuple[Any, Any], sandbox: Sandbox) -> None:
    # Given a connection that is open already, and a send that is about to begin
    transport, message = sender
    await transport.send(message(reference="1" * 32))
    with leased(LEASE):
        sending = asyncio.create_task(transport.send(message(reference="2" * 32)))

        # When the process stands still: no timer of its is looked at meanwhile
        time.sleep(STILL)  # noqa: ASYNC251 (it is the point)

    # Then the message is not sent, which it says; and the connection is good for the next one
    with pytest.raises(Unavailable) as raised:
        await sending
    assert (raised.value.code, raised.value.retry_class) == ("lease_ended", DEFERRED)
    await transport.send(message(reference="3" * 32))
    assert [entry.reference[0] for entry in sandbox.ledger.entries] == ["1", "3"]
