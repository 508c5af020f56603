"""Stand-ins: what plays a channel's provider in the sandbox. A channel's folder declares one in its `sandbox`.

    STAND_IN   StandIn, what can be said of it while it doesn't run
    SERVICE    a `notifier.sandbox.service.Service` class, which plays the provider in a running sandbox

A channel whose messages reach no provider has neither.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from notifier.domain.channels import channels, part
from notifier.domain.deliveries import Channel


class StandInServer(NamedTuple):
    """A server of the sandbox: its protocol's name, its usual port, and what the command line says of it."""

    name: str
    port: int
    help: str


HTTP: Final = StandInServer("http", 8025, "Providers' HTTP APIs, the ledger and the inboxes.")


class Shortcut(NamedTuple):
    """How a send is told and answered without a closer look, for benchmarks (`notifier.sandbox.fast`).

    `request` matches the first bytes of a send, `reference` finds the message's reference in its body (group 1).
    `status` is of the answer ("200 OK"), and `body` its JSON with a `%d` or `%x` for the message's number.
    """

    request: re.Pattern[bytes]
    reference: re.Pattern[bytes]
    status: bytes
    body: bytes


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """What a stand-in is.

    `title` and `addresses` are its messages' and their addresses' names on the sandbox's page, `label` writes an
    address there. `page` is the template of its column; a style sheet of the same name beside it is added to the
    page's.

    `account` makes the URL of an account at a server on a port of this machine, None where the channel has no accounts;
    it finds the account's `files` in a folder, and the sandbox's API gives them by their names. `server` is the one
    that messages go to. `settings` are what leads there beside an account, or in its place.

    Faults can strike at `stages`, where a message's reference is known, and at `early_stages`, where it isn't yet.
    `check_code` raises ValueError for a code that the provider doesn't have.
    """

    title: str
    addresses: str
    page: Path
    account: Callable[[Path, int], str] | None = None
    files: Sequence[str] = ()
    server: StandInServer = HTTP
    settings: Mapping[str, str] = field(default_factory=dict)
    stages: frozenset[str] = frozenset({"message"})
    early_stages: frozenset[str] = frozenset()
    check_code: Callable[[str | int], object] = str
    label: Callable[[str], str] = str
    shortcut: Shortcut | None = None


@cache
def stand_ins() -> Mapping[Channel, StandIn]:
    """Every channel's stand-in, in the order in which people see channels; without those that have none."""
    found = {channel: part(channel, "sandbox", "STAND_IN") for channel in channels()}
    return {channel: each for channel, each in found.items() if each is not None}


def stand_in(channel: Channel) -> StandIn:
    """A channel's stand-in; KeyError where it has none."""
    return stand_ins()[channel]


def settings_of(folder: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """The settings by which the sandbox stands in for every channel's provider: its servers are on these ports, by
    their names, and keys of accounts in a folder."""
    found: dict[str, str] = {}
    for channel, each in stand_ins().items():
        found |= each.settings
        if each.account is not None:
            found[f"{channel}_providers"] = each.account(folder, ports[each.server.name])
    return found


def servers() -> Sequence[StandInServer]:
    """Every server that a sandbox runs, the HTTP server first."""
    return tuple(dict.fromkeys((HTTP, *(each.server for each in stand_ins().values()))))
