"""Keeps worker processes up: one that ends by itself is started again, and the others don't notice."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

import structlog

LOOK_EVERY = 0.2  # seconds
PAUSE = 1.0  # seconds before a process that ended soon after its start is started again
SOON = 5.0  # seconds
STOP_TIMEOUT = 29.0  # seconds for all to end after SIGTERM; then they are killed

log = structlog.get_logger(__name__)


def supervise(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> None:
    """Run a process of each command until SIGTERM or SIGINT; the signal is passed on, and so is a second one."""
    stopping: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    running = [_Process(command, environment) for command in commands]
    while not stopping:
        time.sleep(LOOK_EVERY)
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
        time.sleep(LOOK_EVERY / 4)


class _Process:
    """One process, and when it was started."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = dict(environment)
        self._start()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def keep(self) -> None:
        """Start it again where it ended, with a pause where it can't stay up."""
        if self.alive:
            return
        # Imported here: by now the processes' shared folder is named.
        from notifier import metrics

        metrics.worker_ends.inc()
        lived = time.monotonic() - self._started_at
        log.warning("worker.ended", status=self._child.returncode, lived=round(lived, 1))
        if lived < SOON:
            time.sleep(PAUSE)
        self._start()

    def signal(self, number: int) -> None:
        if self.alive:
            self._child.send_signal(number)

    def _start(self) -> None:
        self._started_at = time.monotonic()
        self._child = subprocess.Popen(self._command, env=self._environment)  # noqa: S603 (our own command)


def python(*arguments: str) -> list[str]:
    """A command that this Python runs."""
    return [sys.executable, *arguments]
