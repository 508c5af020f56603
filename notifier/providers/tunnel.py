"""A tunnel through an HTTP proxy (CONNECT, RFC 9110 §9.3.6)."""

import asyncio
import re
import socket
from typing import Final

from notifier.runtime.proxies import HttpProxy

MAX_HEAD: Final = 16_384
"""Bytes of a proxy's answer to CONNECT: many times the longest known."""
A_READ: Final = 4_096

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
_END: Final = b"\r\n\r\n"


class NoTunnel(OSError):
    """The proxy opens no tunnel; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def open_tunnel(connected: socket.socket, proxy: HttpProxy, host: str, port: int) -> None:
    """Have the proxy at the other end of a socket pass on what is sent from now on; NoTunnel where it doesn't."""
    loop = asyncio.get_running_loop()
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{proxy.authorization}\r\n"
    await loop.sock_sendall(connected, request.encode())
    head = b""
    while _END not in head:
        read = await loop.sock_recv(connected, A_READ)
        if not read:
            raise NoTunnel("proxy_closed")
        head += read
        if len(head) > MAX_HEAD:
            raise NoTunnel("proxy_unreadable")
    status = _STATUS.match(head)
    if status is None:
        raise NoTunnel("proxy_unreadable")
    if not 200 <= int(status[1]) < 300:
        raise NoTunnel(f"proxy_{status[1].decode()}")
    if not head.endswith(_END):  # a TLS server sends nothing before the client does
        raise NoTunnel("proxy_unreadable")
