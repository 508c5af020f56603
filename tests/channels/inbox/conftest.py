"""The application over each database, and Ada's app."""

from collections.abc import AsyncIterator

import pytest

from notifier.store.core.database import Database
from tests.api.server import Caller, application
from tests.browser.conftest import browser, screenshots
from tests.channels.inbox.app import App, app_of

__all__ = ["browser", "screenshots"]


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Caller]:
    """The served application, called with a key that may do everything."""
    async with application(database, valkey) as caller:
        yield caller


@pytest.fixture
async def app(api: Caller) -> App:
    """Ada's app, with a good token."""
    return await app_of(api)
