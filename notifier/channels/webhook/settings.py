"""What settings say of webhooks: the networks that endpoints may stand in beside the internet."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

from notifier.providers.destinations import Network
from notifier.runtime.settings import Setting, looked_at

NETS: Final = "webhook_nets"
"""The setting of the networks that are permitted."""

_SEPARATORS: Final = re.compile(r"[\s,]+")


@lru_cache(8)
def read_nets(text: str) -> Sequence[Network]:
    """The networks of a setting's value; ValueError, which tells its position, for one that is none."""
    return tuple(_network(position, each) for position, each in enumerate(filter(None, _SEPARATORS.split(text)), 1))


def nets(settings: Mapping[str, str]) -> Sequence[Network]:
    """The networks that endpoints may stand in, of the settings of channels."""
    return read_nets(settings.get(NETS, ""))


def _network(position: int, text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"number {position} is no network, or has bits set behind its prefix") from None


SETTINGS: Final[Mapping[str, Setting]] = {
    NETS: Setting(
        about="networks of your own that webhooks may go to, over http and on any port too; none unless set",
        example="10.20.0.0/16,192.168.7.4/32",
        read=looked_at(read_nets),
        several_lines=True,
    ),
}
