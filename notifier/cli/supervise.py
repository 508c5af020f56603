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
MOST = 15.0  # seconds of that pause, which doubles each time that a process can't open what it needs
SOON = 5.0  # seconds
LONG = 60.0  # seconds: what says so after these had opened what it needs
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
    """One process, when it was started, and when it is to be started again."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = dict(environment)
        self._pause = PAUSE
        self._again_at: float | None = None
        self._start()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def keep(self) -> None:
        """Start it again where it ended, after a pause where it can't stay up; the others aren't kept waiting."""
        if self.alive:
            return
        if self._again_at is None:
            self._again_at = time.monotonic() + self._ended()
        if time.monotonic() >= self._again_at:
            self._again_at = None
            self._start()

    def _ended(self) -> float:
        """Tell that it did; the seconds until it is to be started again."""
        # Imported here: by now the processes' shared folder is named.
        from notifier import metrics

        metrics.worker_ends.inc()
        lived = time.monotonic() - self._started_at
        says_it_cannot = self._child.returncode > 0
        soon = lived < (LONG if says_it_cannot else SOON)
        again_in = self._pause if soon else 0.0
        log.warning("worker.ended", status=self._child.returncode, lived=round(lived, 1), again_in=again_in)
        # What a signal ended may well start now; what says that it can't is asked ever more slowly.
        self._pause = min(2 * again_in, MOST) if soon and says_it_cannot else PAUSE
        return again_in

    def signal(self, number: int) -> None:
        if self.alive:
            self._child.send_signal(number)

    def _start(self) -> None:
        self._started_at = time.monotonic()
        self._child = subprocess.Popen(self._command, env=self._environment)  # noqa: S603 (our own command)


def python(*arguments: str) -> list[str]:
    """A command that this Python runs, with our modules: whatever lies in the folder where it is started (-P)."""
    return [sys.executable, "-P", *arguments]
