"""The supervisor of worker processes: restarts one that dies, without affecting the others."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:  # imported by the caller, after the processes' shared metrics folder has been set
    from notifier.monitoring.group import Group, Member

LOOK_EVERY = 0.2  # seconds
PAUSE = 1.0  # seconds before a process that ended soon after its start is restarted
# the longest such pause in seconds; it doubles each time that a process can't open its database, broker or port
MOST = 15.0
SOON = 5.0  # seconds
LONG = 60.0  # seconds after which a process that reports a failed start had already opened everything
STOP_TIMEOUT = 29.0  # seconds for all processes to end after SIGTERM; then they are killed

log = structlog.get_logger(__name__)


def supervise(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], group: "Group | None" = None, listen: str = ""
) -> None:
    """Run a process of each command until SIGTERM or SIGINT, which is passed on, as is a second one.

    A `group`, of as many members, answers for them on the address `listen`. Raises ConfigurationError where it can't.
    """
    asyncio.run(_supervise(commands, environment, group, listen))


async def _supervise(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], group: "Group | None", listen: str
) -> None:
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.append, number)
    async with AsyncExitStack() as opened:
        members: Sequence[Member | None] = [None] * len(commands)
        if group is not None:
            from notifier.monitoring.listener import listening

            await opened.enter_async_context(listening(listen, group.pages()))
            opened.push_async_callback(group.close)
            members = group.members
        running = [_Process(*each, environment) for each in zip(commands, members, strict=True)]
        while not stopping:
            await asyncio.sleep(LOOK_EVERY)
            for process in running:
                process.keep()
        passed_on = 0
        deadline = time.monotonic() + STOP_TIMEOUT
        while any(process.alive for process in running):
            if len(stopping) > passed_on:
                passed_on = len(stopping)
                for process in running:
                    process.signal(signal.SIGTERM)
            if time.monotonic() > deadline:
                for process in running:
                    process.signal(signal.SIGKILL)
            await asyncio.sleep(LOOK_EVERY / 4)


class _Process:
    """A supervised process, when it was started, and when to restart it; a `member` hears its reports."""

    def __init__(self, command: Sequence[str], member: "Member | None", environment: Mapping[str, str]) -> None:
        self._command = command
        self._member = member
        self._environment = dict(environment)
        self._pause = PAUSE
        self._again_at: float | None = None
        self._start()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def keep(self) -> None:
        """Restart the process where it ended, after a pause where it can't stay up; the other processes don't wait."""
        if self.alive:
            return
        if self._again_at is None:
            self._again_at = time.monotonic() + self._ended()
        if time.monotonic() >= self._again_at:
            self._again_at = None
            self._start()

    def _ended(self) -> float:
        """Log the end of the process; return the seconds until its restart."""
        # Imported here, after the processes' shared metrics folder has been set.
        from notifier import metrics

        metrics.worker_ends.inc()
        lived = time.monotonic() - self._started_at
        says_it_cannot = self._child.returncode > 0
        soon = lived < (LONG if says_it_cannot else SOON)
        again_in = self._pause if soon else 0.0
        log.warning("worker.ended", status=self._child.returncode, lived=round(lived, 1), again_in=again_in)
        # A process that a signal ended may well start again now; one that reports a failed start is restarted ever more
        # slowly.
        self._pause = min(2 * again_in, MOST) if soon and says_it_cannot else PAUSE
        return again_in

    def signal(self, number: int) -> None:
        if self.alive:
            self._child.send_signal(number)

    def _start(self) -> None:
        self._started_at = time.monotonic()
        if self._member is None:
            self._child = subprocess.Popen(self._command, env=self._environment)  # noqa: S603 (our own command)
            return
        with self._member.begin() as line:
            self._child = subprocess.Popen(  # noqa: S603 (as above)
                [*self._command, "--report-to", str(line.fileno())], env=self._environment, pass_fds=[line.fileno()]
            )


def python(*arguments: str) -> list[str]:
    """Return a command for this Python that imports our modules, whatever is in the working directory (-P)."""
    return [sys.executable, "-P", *arguments]
