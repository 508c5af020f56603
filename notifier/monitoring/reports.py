"""What a worker process tells its supervisor when it is asked: what it can't reach, and its metrics.

They talk over a pair of sockets that the process inherits: a question is one byte, and a report has its length before
it. A process answers on its event loop, so a report also says that the loop turns.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from notifier.monitoring.pages import Readiness
from notifier.monitoring.totals import Family

QUESTION: Final = b"?"
LENGTH: Final = struct.Struct("!I")


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What a process tells: needs of it that don't answer, with their errors, and its metrics."""

    faults: Mapping[str, str]
    families: Sequence[Family]


async def answer(line: socket.socket, readiness: Readiness, told: Callable[[], Sequence[Family]]) -> None:
    """Answer every question, until the supervisor is gone."""
    reader, writer = await asyncio.open_unix_connection(sock=line)
    try:
        while await reader.read(len(QUESTION)):
            report = msgspec.msgpack.encode(Report(await readiness.faults(), told()))
            writer.write(LENGTH.pack(len(report)) + report)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Report:
    """Ask the process at the other end; raises EOFError or ConnectionError where it has ended."""
    writer.write(QUESTION)
    await writer.drain()
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return msgspec.msgpack.decode(await reader.readexactly(length), type=Report)
