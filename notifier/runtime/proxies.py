"""The way out for HTTPS, as the usual variables name it: a proxy that opens tunnels, and whom it is not for."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from notifier.runtime.addresses import host_name

PORT: Final = 80
"""The port of a proxy whose address names none."""

_SEPARATORS: Final = re.compile(r"[\s,]+")
_WITH_PORT: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*):(?P<port>[0-9]+)")


class HttpProxy(NamedTuple):
    """An HTTP proxy: where it listens, and what proves to it who we are, as a header's line."""

    host: str
    port: int
    authorization: str

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


class _Exempt(NamedTuple):
    """One that no proxy is for: a domain with all below it, or a network; at one port or at all."""

    domain: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    def covers(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return _within(host, self.network)
        return not self.domain or host == self.domain or host.endswith(f".{self.domain}")


@dataclass(frozen=True)
class Proxies:
    """Which server is reached through a proxy.

    `address` is one as `proxy_address` gives it, or empty for none; `exempt` is NO_PROXY: domains, addresses and
    networks with commas or spaces between them, `*` for all.
    """

    address: str = field(default="", repr=False)
    exempt: str = ""

    def for_url(self, url: str) -> str:
        """The proxy's address for a URL; empty where it is reached directly: over http, on this machine, or exempt."""
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or 443
        direct = parts.scheme != "https" or _on_this_machine(host) or any(each.covers(host, port) for each in self._all)
        return "" if direct else self.address

    def of(self, url: str) -> HttpProxy | None:
        """The proxy for a URL; None if the URL is reached directly."""
        address = self.for_url(url)
        if not address:
            return None
        parts = urlsplit(address)
        proof = ""
        if parts.username is not None:
            known = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            proof = f"Proxy-Authorization: Basic {b64encode(known.encode()).decode()}\r\n"
        return HttpProxy(parts.hostname or "", parts.port or PORT, proof)

    @property
    def _all(self) -> Sequence[_Exempt]:
        return [_exempt(each) for each in _SEPARATORS.split(self.exempt.lower()) if each.strip(".")]


DIRECT: Final = Proxies()
"""No proxy at all."""


def proxy_address(text: str) -> str:
    """A proxy's address in its one form, `http://[user:password@]host:port`; ValueError for what can't be one."""
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        port = url.port or PORT
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme != "http":
        raise ValueError("must begin with http://: the tunnel is requested in the clear, and its traffic is TLS")
    if not url.hostname or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be a host and a port, with nothing after them")
    host = host_name(url.hostname)
    user = f"{url.netloc.rpartition('@')[0]}@" if url.username is not None else ""
    return f"http://{user}{f'[{host}]' if ':' in host else host}:{port}"


def _exempt(text: str) -> _Exempt:
    found = _WITH_PORT.fullmatch(text)
    host, port = (text, None) if found is None else (found["host"], int(found["port"]))
    host = host.strip("[]")
    try:
        return _Exempt("", ip_network(host, strict=False), port)
    except ValueError:
        return _Exempt(host.removeprefix("*").strip("."), None, port)


def _within(host: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        return False


def _on_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
