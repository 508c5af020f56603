"""Settings of webhooks: the networks beside the internet in which endpoints are permitted."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

from notifier.providers.destinations import Network
from notifier.runtime.settings import Setting, looked_at

NETS: Final = "webhook_nets"
"""The name of the setting with the permitted networks."""

_SEPARATORS: Final = re.compile(r"[\s,]+")


@lru_cache(8)
def read_nets(text: str) -> Sequence[Network]:
    """Parse a setting's networks; ValueError with the position of an invalid one."""
    return tuple(_network(position, each) for position, each in enumerate(filter(None, _SEPARATORS.split(text)), 1))


def nets(settings: Mapping[str, str]) -> Sequence[Network]:
    """Return the networks in which endpoints are permitted, from the channels' settings."""
    return read_nets(settings.get(NETS, ""))


def _network(position: int, text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"entry {position} is not a network in CIDR form, or has bits set after its prefix") from None


SETTINGS: Final[Mapping[str, Setting]] = {
    NETS: Setting(
        about="private networks that webhooks may go to, over http and on any port too; none unless set",
        example="10.20.0.0/16,192.168.7.4/32",
        read=looked_at(read_nets),
        several_lines=True,
    ),
}
