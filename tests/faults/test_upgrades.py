"""What a rolling upgrade is made of: connections go to the web that takes them, and the release before really runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.chaos.clusters.server import free_ports
from notifier.chaos.proxy import HOST, Balancer
from notifier.cli import main


@asynccontextmanager
async def serving(name: str, port: int) -> AsyncIterator[None]:
    """Serve a name to whoever connects to a port."""

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name.encode())
        writer.close()

    async with await asyncio.start_server(tell, HOST, port):
        yield


async def served_by(balancer: Balancer) -> str:
    """Return the name that a new connection is served, empty where nobody takes it."""
    reader, writer = await asyncio.open_connection(HOST, balancer.port)
    told = (await reader.read()).decode()
    writer.close()
    return told


async def test_new_connections_go_to_the_servers_in_turn_and_past_one_that_refuses() -> None:
    # Given two servers behind a balancer
    ports = free_ports(2)
    async with AsyncExitStack() as stack:
        balancer = await stack.enter_async_context(Balancer(ports))
        async with serving("first", ports[0]):
            async with serving("second", ports[1]):
                # When both listen, then each is asked in turn
                assert {await served_by(balancer) for _ in range(2)} == {"first", "second"}

            # When one has gone, then the other one is asked every time
            assert [await served_by(balancer) for _ in range(3)] == ["first"] * 3

        # When both have gone, then the connection is closed
        assert await served_by(balancer) == ""


@pytest.mark.parametrize("within", ["", "notifier"])
def test_a_folder_that_is_no_checkout_is_refused_by_name(tmp_path: Path, within: str) -> None:
    (tmp_path / within).mkdir(exist_ok=True)

    told = CliRunner().invoke(main, ["chaos", "rolling_upgrade", "--short", "--release", str(tmp_path)])

    assert told.exit_code == 78
    assert "--release" in told.output
    assert "is no checkout of notifier" in told.output
