"""A receiver of webhooks at a stand-in, and what sends to it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from notifier.channels.webhook.transport import WebhookTransport
from notifier.domain.clock import ManualClock
from notifier.providers.http import HttpTimeouts
from tests.channels.provider import LOOPBACK

Connect = Callable[..., WebhookTransport]


@pytest.fixture
async def connect(clock: ManualClock, timeouts: HttpTimeouts) -> AsyncIterator[Connect]:
    """Opens transports to which this machine is permitted; tests say otherwise."""
    opened: list[WebhookTransport] = []

    def transport(**options: Any) -> WebhookTransport:
        known = {"permitted": LOOPBACK, "timeouts": timeouts} | options
        opened.append(WebhookTransport(clock, **known))
        return opened[-1]

    yield transport
    for each in opened:
        await each.close()
