"""Fixtures of all channels: a provider's HTTP API, and a clock that stands still at the present."""

import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as Server

from notifier.clock import ManualClock, SystemClock
from notifier.guard import refuse_everything_but_loopback
from tests.channels.provider import Provider


@pytest.fixture(autouse=True, scope="session")
def guard() -> None:
    refuse_everything_but_loopback()


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SystemClock().now())


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    stand_in = Provider()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", stand_in.handle)
    async with Server(application, shutdown_timeout=0, access_log=None) as server:
        stand_in.url = str(server.make_url("")).rstrip("/")
        yield stand_in
