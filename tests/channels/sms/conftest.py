"""A Twilio account at a stand-in."""

from collections.abc import AsyncIterator

import pytest

from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import ManualClock
from notifier.providers.http import HttpTimeouts
from tests.channels import canary
from tests.channels.provider import Provider, reply
from tests.channels.sms.samples import ACCOUNT, CREATE, SENDER, created


@pytest.fixture
async def twilio(provider: Provider, clock: ManualClock, timeouts: HttpTimeouts) -> AsyncIterator[TwilioTransport]:
    """A transport whose provider takes every text; tests say otherwise."""
    provider.answers(CREATE, reply(201, created()))
    transport = TwilioTransport(
        ACCOUNT,
        canary.SECRET,
        SENDER,
        clock=clock,
        callback_url="https://api.example/twilio",
        base_url=provider.url,
        connections=20,
        timeouts=timeouts,
    )
    yield transport
    await transport.close()
