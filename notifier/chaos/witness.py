"""The sandbox over HTTP: faults on order, and the messages that arrived."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from notifier.domain.deliveries import Channel

PAGE = 10_000  # entries in one answer, the most that the sandbox gives
TIMEOUT = 60  # seconds for one answer


class _Content(msgspec.Struct, frozen=True):
    """An arrival's content, of which only a text's segments are read."""

    segments: int = 1


class Arrival(msgspec.Struct, frozen=True):
    """A message that reached a provider, accepted or refused; `received_at` in epoch milliseconds."""

    number: int
    channel: Channel
    reference: str
    verdict: str
    received_at: int
    code: str = ""
    content: _Content | None = None

    @property
    def segments(self) -> int:
        """Return the units that it counts towards a rate limit."""
        return self.content.segments if self.content is not None else 1

    @property
    def key(self) -> tuple[str, str]:
        return self.channel, self.reference


class _EntryPage(msgspec.Struct):
    entries: list[Arrival]
    next: int | None


class Witness:
    """A client of one sandbox's API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = f"{url}/sandbox"
        self._session = session

    async def arrivals(self) -> list[Arrival]:
        """Return all arrivals, oldest first."""
        found: list[Arrival] = []
        after: int | None = 0
        while after is not None:
            parameters = {"after": after, "limit": PAGE}
            async with self._session.get(f"{self._url}/ledger", params=parameters) as response:
                page = msgspec.json.decode(await response.read(), type=_EntryPage)
            found += page.entries
            after = page.next
        return found

    async def count(self) -> dict[str, int]:
        """Return the number of accepted messages by channel."""
        async with self._session.get(f"{self._url}/summary") as response:
            told: dict[str, dict[str, Any]] = await response.json()
        return {channel: counts["accepted"] for channel, counts in told.items()}

    async def order(self, *rules: Mapping[str, Any]) -> None:
        """Add faults, in the form of `notifier.sandbox.faults.FaultRule`."""
        async with self._session.post(f"{self._url}/faults", json=list(rules)) as response:
            response.raise_for_status()

    async def calm(self) -> None:
        """Remove all faults."""
        async with self._session.delete(f"{self._url}/faults") as response:
            response.raise_for_status()
