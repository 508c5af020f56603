"""A PostgreSQL of its own, on a port of 127.0.0.1."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from notifier.chaos.clusters.server import Server, folder_of, free_ports, program, run
from notifier.chaos.proxy import HOST
from notifier.chaos.servers import execute
from notifier.domain.errors import StoreUnavailable

USER = "postgres"


@asynccontextmanager
async def postgresql() -> AsyncIterator[str]:
    """Start a server and yield its URL; NotInstalled without Debian's postgresql."""
    binaries = Path(program("pg_controldata", "postgresql")).parent
    (port,) = free_ports(1)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of(USER))
        data = folder / "data"
        kept = ["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        await run([binaries / "initdb", "-D", data, "-U", USER, "-A", "trust", *kept], folder, USER)
        command: list[str | Path] = [binaries / "postgres", "-D", data, "-h", HOST, "-p", str(port), "-k", folder]
        server = await stack.enter_async_context(Server("postgresql", command, folder, USER))
        url = f"postgresql://{USER}@{HOST}:{port}/{USER}"
        await server.ready(partial(_answers, url))
        yield url
        os.kill(server.pid, signal.SIGINT)  # otherwise it would wait for its clients
        await server.ended()


async def _answers(url: str) -> bool:
    try:
        await execute(url, "SELECT 1")
    except (StoreUnavailable, sa.exc.SQLAlchemyError):
        return False
    return True
