"""A guard for demo, tests and benchmarks: this process talks to this machine only.

Clients built late, a forgotten default or a proxy variable would otherwise reach real providers and real people. Python
tells audit hooks of every connect, datagram and name lookup of the `socket` module, and so of asyncio. uvloop's loop
does these in C, unseen; its five methods that do are wrapped on the `uvloop.Loop` class, so that loops already running
and loops yet to come are covered alike.

Not seen: sockets that a C library opens by itself (gRPC, libpq), and the lookup inside a bare `socket.connect` to a
name, whose connection is refused all the same.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, AF_UNIX, EAI_FAIL, gaierror
from typing import Any, Final

import uvloop


class OutboundError(ConnectionError):
    """Something tried to leave this machine. The message says what kind of address it was, never which."""


class OutboundLookupError(OutboundError, gaierror):
    """A name or address was to be looked up; a `gaierror` too, as callers expect of a lookup that fails."""


@cache
def refuse_everything_but_loopback() -> None:
    """Refuse from now on, in this whole process, what isn't loopback or a UNIX socket, with `OutboundError`.

    Lookups of names other than `localhost` are refused too: a DNS query is traffic. There is no way back (PEP 578:
    audit hooks stay); calling it again changes nothing. Child processes call it themselves.
    """
    for name, guarded in _uvloop_methods(uvloop.Loop).items():
        setattr(uvloop.Loop, name, guarded)
    sys.addaudithook(_watch)


def is_loopback(host: object) -> bool:
    """Whether a host, as text or bytes, is a loopback address (IPv4, IPv6, mapped) or `localhost`."""
    return _kind(host) is None


def _kind(host: object) -> str | None:
    """What kind of outside a host is, in words for a message; None where it is loopback."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return None if name.lower() == "localhost" else "a host name"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    return f"{'a private' if address.is_private else 'a public'} IPv{address.version} address"


def _refuse_outside(act: str, host: object) -> None:
    kind = _kind(host)
    if kind is not None:
        raise OutboundError(f"{act} {kind} was refused: this process may only talk to its own machine")


def _refuse_name(host: object) -> None:
    """A literal address or none at all needs no query; any name but `localhost` does."""
    if host and _kind(host) == "a host name":
        raise OutboundLookupError(EAI_FAIL, "looking up a host name was refused: it needs the network")


def _refuse_reverse(host: object) -> None:
    kind = _kind(host)
    if kind is not None:
        raise OutboundLookupError(EAI_FAIL, f"looking up {kind} was refused: it would ask the network")


def _connect(sock: Any, address: Any) -> None:
    if sock.family == AF_UNIX or address is None:  # sendmsg on a connected socket has no address argument
        return
    if sock.family not in (AF_INET, AF_INET6):
        raise OutboundError("connecting to an address that is neither IP nor UNIX was refused")
    _refuse_outside("connecting to", address[0])


_EVENTS: Final[Mapping[str, Callable[..., None]]] = {
    "socket.connect": _connect,
    "socket.sendto": _connect,
    "socket.sendmsg": _connect,
    "socket.getaddrinfo": lambda host, *_: _refuse_name(host),
    "socket.gethostbyname": _refuse_name,
    "socket.gethostbyaddr": _refuse_reverse,
    "socket.getnameinfo": lambda address: _refuse_reverse(address[0]),
}
"""The audit events of the `socket` module that leave the machine (docs.python.org, audit events table)."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    check = _EVENTS.get(event)
    if check is not None:
        check(*arguments)


def _uvloop_methods(loop_class: Any) -> dict[str, Any]:
    """The class's methods that reach out in C, each behind its check."""
    create_connection = loop_class.create_connection
    create_datagram_endpoint = loop_class.create_datagram_endpoint
    getaddrinfo = loop_class.getaddrinfo
    getnameinfo = loop_class.getnameinfo
    sock_connect = loop_class.sock_connect

    async def guarded_connection(loop: Any, factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
        if host is not None:
            _refuse_outside("connecting to", host)
        return await create_connection(loop, factory, host, port, **more)

    async def guarded_endpoint(
        loop: Any, factory: Any, local_addr: Any = None, remote_addr: Any = None, **more: Any
    ) -> Any:
        # An endpoint without a remote address may send anywhere, unless it is bound to loopback: then the kernel keeps
        # its datagrams on this machine.
        sock = more.get("sock")
        end = remote_addr or local_addr or (sock.getsockname() if sock else None)
        if isinstance(end, tuple):
            _refuse_outside("sending datagrams to", end[0])
        elif end is None and more.get("family") != AF_UNIX:
            raise OutboundError("a datagram socket that is not bound to loopback was refused")
        return await create_datagram_endpoint(loop, factory, local_addr=local_addr, remote_addr=remote_addr, **more)

    async def guarded_getaddrinfo(loop: Any, host: Any, port: Any, **more: Any) -> Any:
        _refuse_name(host)
        return await getaddrinfo(loop, host, port, **more)

    async def guarded_getnameinfo(loop: Any, sockaddr: Any, flags: int = 0) -> Any:
        _refuse_reverse(sockaddr[0])
        return await getnameinfo(loop, sockaddr, flags)

    async def guarded_sock_connect(loop: Any, sock: Any, address: Any) -> Any:
        _connect(sock, address)
        return await sock_connect(loop, sock, address)

    return {
        "create_connection": guarded_connection,
        "create_datagram_endpoint": guarded_endpoint,
        "getaddrinfo": guarded_getaddrinfo,
        "getnameinfo": guarded_getnameinfo,
        "sock_connect": guarded_sock_connect,
    }
