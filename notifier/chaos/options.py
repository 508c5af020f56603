"""Options of a scenario's run."""

import asyncio
from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True):
    """The short form or the full one, on SQLite and a Redis of its own or on servers by their URLs.

    `release` is the folder of another release, for the scenario that replaces one by the other.

    Scenarios that run side by side by the same options start their systems in turn: a start takes all the CPU there is
    for some seconds, and of several at once none is ready in time.
    """

    short: bool = False
    database: str | None = None
    broker: str | None = None
    release: Path | None = None
    starting: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    @property
    def servers(self) -> str:
        """Return the servers that it runs on, in words."""
        named = self.database or "sqlite:", self.broker or "valkey:"
        return ", ".join(url.partition(":")[0] for url in named)
