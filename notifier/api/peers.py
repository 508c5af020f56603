"""How many connections one peer may have open: nobody alone takes all that a process can hold."""

from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from notifier.runtime.addresses import Network

SUBNET: Final = 8
"""Bytes of an IPv6 address that say whose it is: whoever has one address of a /64 has all of them."""


class Peers:
    """The open connections by peer.

    `limit` is the most that a peer may have, 0 for any number; proxies in `trusted` speak for many, and have no limit.
    """

    def __init__(self, limit: int = 0, trusted: Sequence[Network] = ()) -> None:
        self._limit = limit
        self._trusted = trusted
        self._open: Counter[bytes] = Counter()

    def enter(self, host: str) -> bytes | None:
        """Count a connection from an IP address; return what to `leave` by, None where the peer has its most."""
        told = ip_address(host.partition("%")[0])
        address = (told.ipv4_mapped or told) if isinstance(told, IPv6Address) else told
        peer = address.packed[:SUBNET]
        unlimited = not self._limit or any(told in network or address in network for network in self._trusted)
        if not unlimited and self._open[peer] >= self._limit:
            return None
        self._open[peer] += 1
        return peer

    def leave(self, peer: bytes) -> None:
        """Count a connection that has closed no more."""
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]
