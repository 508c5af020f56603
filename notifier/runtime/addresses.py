"""Addresses as settings hold them, each read into the one form that everything else counts on.

What is read here is told by ValueErrors in words that hold nothing of it: settings hold secrets.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

MAX_ADDRESS: Final = 254
"""Characters of a mailbox's address (RFC 5321 §4.5.3.1.3)."""
MAX_LOCAL: Final = 64
"""Characters before the @ of a mailbox's address (RFC 5321 §4.5.3.1.1)."""
MAX_VERP_LOCAL: Final = 31
"""Characters before the @ in the sender's address: the return path adds a plus and a delivery's id to it."""
MAX_WEB_ADDRESS: Final = 100
"""Characters of a web address: with a signed link's 800 it stays on one line of a mail's header (RFC 5322 §2.1.1)."""
MAX_PORT: Final = 65_535

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAILBOX: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_NAMED: Final = re.compile(r"(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>[^<>\"]*?))\s*<(?P<address>[^<>]*)>")
_HOST: Final = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?"
)  # host names within Docker may have a "_"
_PATH: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")  # RFC 3986 §3.3
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SEPARATORS: Final = re.compile(r"[\s,]+")

Network = IPv4Network | IPv6Network


class Mailbox(NamedTuple):
    """A bare address in ASCII, and the name that goes before it; None where there is none."""

    address: str
    name: str | None = None

    def __str__(self) -> str:
        if self.name is None:
            return self.address
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.address}>'


def web_address(text: str) -> str:
    """An http or https address in its one form: scheme and host in small letters, and no slash at its end."""
    if not re.fullmatch("[!-~]+", text):
        raise ValueError("contains a space or a non-ASCII character; write an international host in its xn-- form")
    if len(text) > MAX_WEB_ADDRESS:
        raise ValueError(f"has more than {MAX_WEB_ADDRESS} characters")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must begin with https:// or http:// and a host")
    if url.username is not None:
        raise ValueError("contains a user name; remove it")
    if "?" in text or "#" in text:
        raise ValueError("contains a ? or a #; end it with the path")
    if not _PATH.fullmatch(url.path):
        raise ValueError("has a character in the path that must be percent-encoded")
    host = f"[{_address_of(url.hostname)}]" if ":" in url.hostname else host_name(url.hostname)
    return f"{url.scheme}://{host}{'' if port is None else f':{port}'}{url.path.rstrip('/')}"


def host_name(text: str) -> str:
    """A host's name in small letters, or its IP address; one of version 6 without its brackets."""
    if text.startswith("[") or ":" in text:
        return _address_of(text.removeprefix("[").removesuffix("]"))
    if not _HOST.fullmatch(text):
        raise ValueError("is neither a host's name nor an IP address")
    return text.lower()


def listen_address(text: str) -> str:
    """An address to listen on in its one form, `host:port`; `:port` is every address of the machine."""
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > MAX_PORT:
        raise ValueError("must be host:port, or :port for every address of the machine")
    if not host:
        return f":{int(port)}"
    if ":" in host and not host.startswith("["):
        raise ValueError("has an IPv6 address without brackets: [::1]:9464")
    return f"{literal(host_name(host))}:{int(port)}"


def literal(host: str) -> str:
    """A host as it stands in a URL: an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    return f"[{host}]" if ":" in host else host


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of what `listen_address` wrote; the host is empty where it is every address."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _address_of(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("is neither a host's name nor an IP address") from None


def mailbox(text: str) -> Mailbox:
    """A mailbox, bare or with its name: `name@example.com`, `Name <name@example.com>`."""
    named = _NAMED.fullmatch(text)
    if named is None:
        name, address = None, text
    else:
        quoted = named["quoted"]
        name = named["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        address = named["address"].strip()
    found = ascii_mailbox(address)
    if found is None:
        raise ValueError("must be one address: name@example.com or Name <name@example.com>")
    if len(found.rpartition("@")[0]) > MAX_LOCAL:
        raise ValueError(f"has more than {MAX_LOCAL} characters before the @")
    if name and _CONTROL.search(name):
        raise ValueError("has a control character in the name")
    return Mailbox(found, (name or "").strip() or None)


def ascii_mailbox(address: str) -> str | None:
    """The address in ASCII, an international domain in its A-label form (RFC 5891); None for anything but one dot-atom
    before an @ and a domain behind: no lists, names, quotes or literals."""
    if not address.isascii():
        address = _with_ascii_domain(address)
    return address if len(address) <= MAX_ADDRESS and _MAILBOX.fullmatch(address) else None


def _with_ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    try:
        # Validates with a made-up local part: the validator's error would quote the real one.
        checked = validate_email(f"a@{domain}", check_deliverability=False)
    except EmailNotValidError:
        return ""
    return f"{local}@{checked.ascii_domain}"


@lru_cache(8)
def networks(text: str) -> Sequence[Network]:
    """Networks and single addresses, with commas or blanks between them; ValueError with the position of a bad one."""
    return tuple(_network(position, each) for position, each in enumerate(filter(None, _SEPARATORS.split(text)), 1))


def _network(position: int, text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"entry {position} is not a network in CIDR form, or has bits set after its prefix") from None
