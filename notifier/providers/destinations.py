"""URLs that strangers choose, and which of them a request of ours may go to: the guard against SSRF.

A recipient's endpoint is anybody's text. Nothing of it may lead a request to this machine, to the network that it
stands in or to the metadata of its cloud (CWE-918). So a URL is read strictly, its name is looked up once, and every
address that the name has must be one that the whole internet reaches. `notifier.providers.guarded_client` then
connects to these addresses and looks nothing up again: a name that answers differently the next time gains nothing.

`permitted` networks are the operator's exception, for endpoints that stand within the own network, and for tests: a
name all of whose addresses lie in them may be asked on any port, and over http.

What the guard can't see: a network that is reached under global addresses and trusts whoever asks from within, and a
NAT64 whose prefix is the network's own (RFC 6052 §2.2). A firewall in front of the workers can.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

import idna

from notifier.runtime.addresses import Network, networks

Address = IPv4Address | IPv6Address

NETS: Final = "webhook_nets"
"""The name of the setting with the permitted networks."""

PORTS: Final = frozenset({443, 4443, 8443, 9443, 10443})
"""Ports on which HTTPS is conventionally served and no other public service is."""
MAX_URL: Final = 2048
"""Characters of a URL: what every client and proxy takes."""
MAX_NAME: Final = 253
"""Characters of a host's name without a dot at its end (RFC 1035 §2.3.4, less the lengths of its first and last
label)."""

FAULTS: Final[Mapping[str, str]] = {
    "not_a_url": "must begin with https:// and a host, and have no space and no other character that must be encoded",
    "url_too_long": f"has more than {MAX_URL} characters",
    "user_info": "contains a user name or password",
    "fragment": "contains a #; end it with the path or the query",
    "bad_port": "has a port that is not a number from 1 to 65535",
    "bad_host": "has a host that is neither a name nor an IP address",
    "name_too_long": f"has a host's name of more than {MAX_NAME} characters",
    "zone_id": "has an IPv6 address with a zone, which is valid on one machine only",
    "ipv4_notation": "has an IPv4 address that is not written as four decimal numbers",
    "not_https": "must begin with https://",
    "port_not_allowed": f"has an invalid port of {', '.join(map(str, sorted(PORTS)))}",
    "no_address": "has a host without an address",
    "metadata": "leads to the metadata service of a cloud",
    "unspecified": "leads to an address that means this network or machine",
    "loopback": "leads to the machine itself",
    "private": "leads to a private network",
    "link_local": "leads to a link-local address",
    "shared": "leads to the shared addresses behind a carrier's NAT",
    "multicast": "leads to a multicast address",
    "documentation": "leads to an address that is for documentation only",
    "benchmarking": "leads to an address that is for benchmarks only",
    "embedded": "leads to an IPv6 address that maps an IPv4 address",
    "reserved": "leads to an address that is not globally reachable",
}
"""The faults of a URL by their code, in words that follow "the URL"."""


class UnsafeDestination(ValueError):
    """A URL that no request may go to; `code` is one of `FAULTS`, and the words hold nothing of the URL."""

    def __init__(self, code: str) -> None:
        super().__init__(FAULTS[code])
        self.code = code


@dataclass(frozen=True)
class Destination:
    """A URL in its one form. `host` is a name in ASCII and small letters, or an IP address without brackets.

    `address` is that address, None for a name; `target` the path with the query. Its repr leaves out the target: it
    may be what proves to the endpoint that it is we who ask.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None = None

    @property
    def authority(self) -> str:
        """The host, in brackets where it needs them, and the port where it isn't the scheme's own: a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _OWN_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The destination's origin: its URL without path and query."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The destination's whole URL."""
        return f"{self.origin}{self.target}"

    def __repr__(self) -> str:
        return f"Destination({self.origin})"


_OWN_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}

# Browsers read a backslash as a slash, and RFC 3986 doesn't: it is refused like every character outside RFC 3986.
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#\s\\]+)(?P<target>[/?][!-~]*)?")
_NOT_IN_TARGET: Final = re.compile(r'["<>\\^`{|}]')
_LITERAL: Final = re.compile(r"\[(?P<host>[^\]]*)\](?::(?P<port>.*))?", re.DOTALL)
_NAMED: Final = re.compile(r"(?P<host>[^:\[\]]+)(?::(?P<port>.*))?", re.DOTALL)
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"  # host names within Docker may have a "_"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""Matches the last label of a host that a resolver may read as an IPv4 address (WHATWG URL, "ends in a number")."""


def nets(settings: Mapping[str, str]) -> Sequence[Network]:
    """The networks that the operator permits, from the channels' settings."""
    return networks(settings.get(NETS, ""))


def parse_destination(url: str, permitted: Sequence[Network] = ()) -> Destination:
    """The destination that a URL names; UnsafeDestination where it can be told, without a look-up, to be unsafe.

    An international name is brought into its ASCII form (UTS 46, IDNA 2008), and a dot at a name's end is left out.
    """
    destination = _read(url)
    if destination.address is not None:
        admit(destination, [destination.address], permitted)
    elif not permitted:
        _check_public(destination)
    return destination


def admit(destination: Destination, addresses: Sequence[Address], permitted: Sequence[Network] = ()) -> bool:
    """Whether a destination with these addresses, all that it has, lies wholly within the permitted networks.

    Raises UnsafeDestination where it doesn't, and one address isn't global, the scheme isn't https, or the port is
    none of `PORTS`. A cloud's metadata is never permitted: it lies in networks that a whole company uses (fc00::/7).
    """
    if not addresses:
        raise UnsafeDestination("no_address")
    faults = [fault_of(address) for address in addresses]
    if "metadata" in faults:
        raise UnsafeDestination("metadata")
    if all(any(address in network for network in permitted) for address in addresses):
        return True
    for fault in faults:
        if fault is not None:
            raise UnsafeDestination(fault)
    _check_public(destination)
    return False


def fault_of(address: Address) -> str | None:
    """Why the internet doesn't reach an address, as one of `FAULTS`; None where it is globally reachable.

    By IANA's registries of special-purpose addresses, and of IPv6 only what is given out as global unicast (2000::/3).
    `ipaddress.is_global` alone won't do: on Python 3.11 multicast, 192.0.0.0/24, 6to4, NAT64, 3fff::/20 and more are
    global to it. An address of NAT64's well-known prefix is what its IPv4 address is (RFC 6052 §3.1).
    """
    if address in _NAT64:
        return fault_of(IPv4Address(int(address) & 0xFFFF_FFFF))
    for fault, special in _SPECIAL.items():
        if any(address in network for network in special):
            return fault
    unicast = address.version == 4 or address in _GLOBAL_UNICAST
    return None if address.is_global and unicast else "reserved"


def _networks(*texts: str) -> Sequence[Network]:
    return [ip_network(text) for text in texts]


_NAT64: Final = ip_network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_SPECIAL: Final[Mapping[str, Sequence[Network]]] = {
    # AWS, Azure, Google and most others; AWS's containers; Alibaba; Azure's agent (global, and within Azure only);
    # Oracle; AWS and Google by IPv6
    "metadata": _networks(
        "169.254.169.254/32", "169.254.170.0/24", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
        "fd00:ec2::/32", "fd20:ce::254/128",
    ),
    "unspecified": _networks("0.0.0.0/8", "::/128"),
    "loopback": _networks("127.0.0.0/8", "::1/128"),
    "private": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "link_local": _networks("169.254.0.0/16", "fe80::/10"),
    "shared": _networks("100.64.0.0/10"),
    "multicast": _networks("224.0.0.0/4", "ff00::/8"),
    "documentation": _networks(
        "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"
    ),
    "benchmarking": _networks("198.18.0.0/15", "2001:2::/48"),
    # compatible, mapped, translated; NAT64 of a network's own; Teredo; 6to4
    "embedded": _networks(
        "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"
    ),
    # protocol assignments; relays of 6to4; class E with the broadcast
    "reserved": _networks("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "2001::/23"),
}  # fmt: skip
"""Networks to which webhooks may not go, by fault. The first network that contains an address gives its fault."""


def _read(url: str) -> Destination:
    if len(url) > MAX_URL:
        raise UnsafeDestination("url_too_long")
    if "#" in url:
        raise UnsafeDestination("fragment")
    parts = _URL.fullmatch(url)
    if parts is None or _NOT_IN_TARGET.search(parts["target"] or ""):
        raise UnsafeDestination("not_a_url")
    scheme = parts["scheme"].lower()
    if scheme not in _OWN_PORTS:
        raise UnsafeDestination("not_https")
    if "@" in parts["authority"]:
        raise UnsafeDestination("user_info")
    pair = _LITERAL.fullmatch(parts["authority"]) or _NAMED.fullmatch(parts["authority"])
    if pair is None:
        raise UnsafeDestination("bad_host")
    host, address = _read_literal(pair["host"]) if pair.re is _LITERAL else _read_name(pair["host"])
    target = parts["target"] or "/"
    return Destination(
        scheme, host, _read_port(pair["port"], scheme), target if target[0] == "/" else f"/{target}", address
    )


def _read_port(text: str | None, scheme: str) -> int:
    if text is None:
        return _OWN_PORTS[scheme]
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65_536:
        raise UnsafeDestination("bad_port")
    return int(text)


def _read_literal(text: str) -> tuple[str, Address]:
    if "%" in text:
        raise UnsafeDestination("zone_id")
    try:
        address = IPv6Address(text)
    except ValueError:
        raise UnsafeDestination("bad_host") from None
    return str(address), address


def _read_name(text: str) -> tuple[str, Address | None]:
    name = _in_ascii(text).lower().removesuffix(".")
    if len(name) > MAX_NAME:
        raise UnsafeDestination("name_too_long")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            return name, IPv4Address(name)
        except ValueError:
            raise UnsafeDestination("ipv4_notation") from None
    if not _NAME.fullmatch(name):
        raise UnsafeDestination("bad_host")
    return name, None


def _in_ascii(name: str) -> str:
    if name.isascii():
        return name
    if len(name) > MAX_NAME:
        raise UnsafeDestination("name_too_long")
    try:
        return idna.encode(name, uts46=True).decode()
    except ValueError:
        raise UnsafeDestination("bad_host") from None


def _check_public(destination: Destination) -> None:
    if destination.scheme != "https":
        raise UnsafeDestination("not_https")
    if destination.port not in PORTS:
        raise UnsafeDestination("port_not_allowed")
