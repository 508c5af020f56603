"""A person who opens links that they were sent."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from notifier.api.http import FORM
from notifier.domain.deliveries import Channel
from notifier.domain.preferences import Preferences
from notifier.store.core.schema import consent, preference_change, recipient
from notifier.store.people import preferences
from tests.api.server import Answer, Caller
from tests.named import EMAIL
from tests.samples import LINKS, NOW


@dataclass(frozen=True)
class Person:
    """Opens pages as a browser does: without a key, with forms."""

    api: Caller
    id: str = "ada"

    def unsubscribe_path(self, category: str = "billing", channel: Channel = EMAIL) -> str:
        return "/u/" + LINKS.unsubscribe_url(self.id, category, channel).rpartition("/")[2]

    def centre_path(self, now: int = NOW) -> str:
        return "/p/" + LINKS.preference_url(self.id, now).rpartition("/")[2]

    async def open(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return await self.api.call(method, path, Authorization="", **headers)

    async def submit(self, path: str, *fields: tuple[str, str]) -> Answer:
        body = urlencode(fields).encode()
        return await self.api.call("POST", path, body, Content_Type=FORM, Authorization="")

    async def chosen(self) -> Preferences:
        found = await preferences.get(self.api.engine.database, self.id)
        assert found is not None
        return found

    async def kept(self) -> list[Any]:
        """All that choosing writes: the person's row, the history and the consents."""
        return [await self.api.rows(table) for table in (recipient, preference_change, consent)]


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    match = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert match, page
    return match[1]
