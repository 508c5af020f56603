"""Stand-ins of channels' providers in the sandbox. A channel's folder declares its own in its package `sandbox`.

    STAND_IN   StandIn, the stand-in's static description; None where no provider is behind the channel
    SERVICE    a `notifier.sandbox.service.Service` class, which plays the provider in a running sandbox and draws its
               column on the page

What arrives over the wire is counted for stand-ins alone. A channel with STAND_IN = None has a column on the page, and
nothing of it is in the ledger, the summary or the faults. A channel without the package has no place in the sandbox.
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
    """A server of the sandbox: its protocol's name, its default port, and its help text on the command line."""

    name: str
    port: int
    help: str


HTTP: Final = StandInServer("http", 8025, "Providers' HTTP APIs, the ledger and the inboxes.")


class Shortcut(NamedTuple):
    """How a send is recognised and answered without validation, for benchmarks (`notifier.sandbox.fast`).

    `request` matches the first bytes of a send, `reference` finds the message's reference in its body (group 1).
    `status` is the answer's ("200 OK"), and `body` its JSON with a `%d` or `%x` for the message's number.
    """

    request: re.Pattern[bytes]
    reference: re.Pattern[bytes]
    status: bytes
    body: bytes


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A stand-in's static description.

    `title` and `addresses` head its count and its addresses on the sandbox's page; `label` formats an address there.

    `account` makes the URL of an account from a folder and a port of this machine, None where the channel has no
    accounts; the folder holds the account's `files`, which the sandbox's API serves by name. `server` is the server
    that messages go to. `settings` are further settings that lead to it, beside an account or in its place.

    Faults can strike at `stages`, where a message's reference is known, and at `early_stages`, where it isn't yet.
    `check_code` raises ValueError for a code that the provider doesn't have.
    """

    title: str
    addresses: str
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
    """Return the stand-ins by channel, in the order in which people see channels; without a provider there is none."""
    found = {channel: part(channel, "sandbox", "STAND_IN") for channel in channels()}
    return {channel: each for channel, each in found.items() if each is not None}


def stand_in(channel: Channel) -> StandIn:
    """Return a channel's stand-in; raises KeyError where it has none."""
    return stand_ins()[channel]


def settings_of(folder: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the settings that point every channel at the sandbox: `ports` by the servers' names, and the accounts' key
    files in `folder`."""
    found: dict[str, str] = {}
    for channel, each in stand_ins().items():
        found |= each.settings
        if each.account is not None:
            found[f"{channel}_providers"] = each.account(folder, ports[each.server.name])
    return found


def servers() -> Sequence[StandInServer]:
    """Return every server that a sandbox runs, the HTTP server first."""
    return tuple(dict.fromkeys((HTTP, *(each.server for each in stand_ins().values()))))
