"""Hosts of their own as network namespaces, each with one cable to this machine, which can be unplugged.

On a host 127.0.0.1 is the host's own. A process there passes on what comes to the ports of our servers, through the
cable, so everything runs there with the settings of this machine.
"""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from notifier.chaos.clusters.server import READY_TIMEOUT, NotInstalled, program
from notifier.chaos.proxy import HOST, TcpProxy
from notifier.domain.errors import ConfigurationError

NETS = 200  # 10.201.*.* is where the first host's cable is
COMMAND_TIMEOUT = 20  # seconds for one command of `ip`


class Host:
    """A host that is up; `within` is the command that runs a command there."""

    def __init__(self, number: int) -> None:
        self.name = f"nt-{os.getpid()}-{number}"
        self.within = [program("ip", "iproute2"), "netns", "exec", self.name]
        net = f"10.{NETS + number}.{random.randrange(256)}"  # noqa: S311 (no secret)
        self.here, self.there = f"{net}.1", f"{net}.2"
        self._cable = f"nt{os.getpid()}h{number}"  # which Linux lets have 15 letters

    def plug(self) -> None:
        """Let the cable carry what is sent."""
        _ip("link", "set", self._cable, "up")

    def unplug(self) -> None:
        """Let nothing pass, in either direction; neither end hears of it."""
        _ip("link", "set", self._cable, "down")

    def set_up(self) -> None:
        """Make the host and its cable."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("address", "add", f"{self.here}/30", "dev", self._cable)
        _ip("-netns", self.name, "address", "add", f"{self.there}/30", "dev", "eth0")
        _ip("-netns", self.name, "link", "set", "eth0", "up")
        _ip("-netns", self.name, "link", "set", "lo", "up")
        self.plug()

    def take_down(self) -> None:
        """Remove the host, and its cable with it."""
        _ip("netns", "delete", self.name)


@asynccontextmanager
async def host(number: int, ports: Collection[int]) -> AsyncIterator[Host]:
    """Set up a host whose 127.0.0.1 leads to these ports of ours; NotInstalled without iproute2, or where we aren't
    root."""
    if os.geteuid() != 0:
        raise NotInstalled("hosts of their own are network namespaces, which only root can make: run it as root")
    made = Host(number)
    async with AsyncExitStack() as stack:
        made.set_up()
        stack.callback(made.take_down)
        for port in ports:
            await stack.enter_async_context(TcpProxy(HOST, port, listen=made.here, at=port))
        command = [*made.within, sys.executable, "-P", "-m", __name__, made.here, *map(str, ports)]
        passing = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220, S603 (our own command)
        stack.enter_context(passing)
        stack.callback(passing.kill)
        assert passing.stdout is not None  # noqa: S101 (it is a pipe)
        if not await asyncio.wait_for(asyncio.to_thread(passing.stdout.readline), READY_TIMEOUT):
            raise ConfigurationError(f"the host {made.name} passes nothing on")
        yield made


def _ip(*arguments: str) -> None:
    command = [program("ip", "iproute2"), *arguments]
    ran = subprocess.run(  # noqa: S603 (our own command)
        command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False
    )
    if ran.returncode:
        raise ConfigurationError(f"`ip {' '.join(arguments[:3])}` failed: {ran.stderr.strip()}")


async def pass_on(address: str, ports: Sequence[int]) -> None:
    """Pass on what comes to ports of 127.0.0.1 to the same ports of an address, until the process ends."""
    async with AsyncExitStack() as stack:
        for port in ports:
            await stack.enter_async_context(TcpProxy(address, port, at=port))
        print("ready", flush=True)  # noqa: T201 (who started us waits for it)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(pass_on(sys.argv[1], [int(port) for port in sys.argv[2:]]))
