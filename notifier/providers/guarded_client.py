"""POSTs to URLs that strangers choose, each to an address that was checked and to no other.

A call looks the name up once, has all of its addresses checked (`notifier.providers.destinations`) and connects to one
of those: nothing between the check and the connection asks the resolver again. TLS, its certificate and the Host header
go by the name. A redirect is an error, and a connection serves one call.

Behind an HTTPS proxy a guard is worth nothing where the proxy looks the name up: it may be told another address than
we were. So the proxy is asked for a tunnel to the checked address, never to the name, and TLS by name goes on within.
A proxy that opens tunnels to names only refuses it, and where names can't be looked up here nothing is found: then no
request goes out, which is the safe side. Permitted networks are reached directly, never through the proxy: what
127.0.0.1 is to us, and what it is to the proxy, are two things.

`notifier.runtime.guard` lies beneath all this: in a process that keeps to its own machine no name but localhost is
looked up, and no other address connected to, whatever is permitted here.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import Final

from aiohappyeyeballs import AddrInfoType

from notifier.domain.errors import OutcomeUnknown, Refused, SendError, Unavailable
from notifier.providers import fence
from notifier.providers.destinations import (
    Address,
    Destination,
    UnsafeDestination,
    admit,
    parse_destination,
)
from notifier.providers.http import TIMEOUTS, HttpAnswer, HttpTimeouts
from notifier.providers.http_connection import Connection, Tunnel, begin, reach, tls_context, unreached
from notifier.runtime.addresses import Network
from notifier.runtime.proxies import DIRECT, Proxies

LOOKUP_TIMEOUT: Final = 3.0
"""Seconds for a DNS look-up: a working resolver answers in well under one."""
LOOKUPS: Final = 8
"""Concurrent DNS look-ups of webhook hosts."""
MAX_BODY: Final = 4_096
"""Bytes of an answer's body that are kept: enough for the words of an error. A receiver's status says the rest."""
MAX_READ: Final = 32_768
"""Bytes of an answer, head and body, that are read before its connection is closed: four times the head that common
servers send at the most."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Looks up all addresses of a name as text, the best one first; OSError where it has none."""


class NoAddresses(OSError):
    """A name wasn't looked up; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Lookups:
    """Looks names up by the system's resolver, in threads of its own.

    The event loop's threads look our providers' names up too. A stranger whose name server never answers holds a
    thread for as long as the resolver is patient, so it must be none of those.
    """

    def __init__(self, threads: int = LOOKUPS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def __call__(self, name: str) -> Sequence[str]:
        """All addresses of a name, in the order of RFC 6724; an OSError where it has none."""
        look_up = partial(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [str(sockaddr[0]) for *_, sockaddr in found]

    def close(self) -> None:
        """Begin no further look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedClient:
    """POSTs to URLs that strangers choose, on the running loop; whoever calls bounds how many at once.

    `headers` are sent with each. A host whose addresses all lie in `permitted` networks may be asked over http and on
    any port. `resolve` replaces the system's resolver, and `tls` its trust store. A server that `proxies` has one for
    is reached through it.
    """

    def __init__(
        self, provider: str, headers: Mapping[str, str], *, permitted: Sequence[Network] = (),
        resolve: Resolve | None = None, timeouts: HttpTimeouts = TIMEOUTS, tls: ssl.SSLContext | None = None,
        proxies: Proxies = DIRECT,
    ) -> None:  # fmt: skip
        self._provider = provider
        self._headers = headers
        self._permitted = permitted
        self._lookups = Lookups()
        self._resolve = resolve or self._lookups
        self._timeouts = timeouts
        self._tls = tls or tls_context()
        self._proxies = proxies
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to a POST, whatever its status but a redirect's; its body as far as `MAX_BODY`.

        Once the head of an answer is there it is the answer, whatever becomes of its body. Raises, each about the
        address: Refused for a URL that is unsafe, its code one of `destinations.FAULTS`, and for a redirect (code
        `redirect`), Unavailable where no connection could be made, and OutcomeUnknown where the request was written and
        no answer came. Raises Unavailable about ourselves where the lease has ended.
        """
        began = self._loop.time()
        try:
            destination = parse_destination(url, self._permitted)
            async with asyncio.timeout_at(began + self._timeouts.connect):
                connection = await self._connect(destination)
        except UnsafeDestination as error:
            failure: SendError = Refused(self._provider, error.code, f"the URL {error}", about="address")
        except (OSError, ValueError) as error:
            code = error.code if isinstance(error, NoAddresses) else unreached(error)
            failure = Unavailable(self._provider, code, "no connection, so nothing was sent", about="address")
        else:
            return await self._ask(connection, self._request(destination, body, headers), began)
        raise failure

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        self._lookups.close()
        for connection in tuple(self._open):
            connection.close()

    def _request(self, destination: Destination, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = {
            "Host": destination.authority, **self._headers, **headers,
            "Content-Length": str(len(body)), "Connection": "close",
        }  # fmt: skip
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {destination.target} HTTP/1.1\r\n{head}\r\n".encode() + body

    async def _ask(self, connection: Connection, request: bytes, began: float) -> HttpAnswer:
        try:
            fence.check(self._provider)
            answer = await connection.ask(request, began + self._timeouts.total)
        except OutcomeUnknown as error:
            failure: SendError = OutcomeUnknown(self._provider, error.code, error.detail, about="address")
        else:
            if not 300 <= answer.status < 400:
                return answer._replace(body=answer.body[:MAX_BODY])
            words = "the endpoint redirects, and redirects aren't followed: give the URL that it redirects to"
            failure = Refused(self._provider, "redirect", words, about="address")
        finally:
            connection.close()
        raise failure

    async def _connect(self, destination: Destination) -> Connection:
        addresses = await self._addresses(destination)
        inside = admit(destination, addresses, self._permitted)
        proxy = None if inside else self._proxies.of(destination.origin)
        # One of the checked addresses, the resolver's first: if the connection fails, the retry looks the name up
        # again.
        address = addresses[0]
        if proxy is None:
            opened = await reach([_literal(address, destination.port)], None)
        else:
            where = await self._loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
            opened = await reach(where, Tunnel(proxy, str(address), destination.port))
        connection = Connection(self._provider, self._open, most=MAX_READ, head_suffices=True)
        tls = self._tls if destination.scheme == "https" else None
        await begin(connection, opened, tls, destination.host)
        return connection

    async def _addresses(self, destination: Destination) -> Sequence[Address]:
        if destination.address is not None:
            return [destination.address]
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                found = await self._resolve(destination.host)
        except TimeoutError:
            code = "lookup_timeout"
        except OSError:
            code = "lookup_failed"
        else:
            if found:
                return [ip_address(each) for each in found]
            code = "lookup_failed"
        raise NoAddresses(code)


def _literal(address: Address, port: int) -> AddrInfoType:
    """An address as `getaddrinfo` gives it, without asking anybody."""
    family, more = (socket.AF_INET, ()) if address.version == 4 else (socket.AF_INET6, (0, 0))
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port, *more)
