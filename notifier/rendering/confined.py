"""Texts written by users are compiled and tried in a child process, within limits, before they are sent.

The template language's checks refuse texts that could run away; the child contains what they miss. The child is warm: a
request costs a few milliseconds. A child that takes too long or too much memory is killed, and the next request has a
new one; the calling process is never affected.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from notifier.domain import channels
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Content
from notifier.runtime.background import once
from notifier.runtime.settings import Settings, to_environment

SECONDS = 0.45
"""Seconds of the child's CPU for each locale of a request: an editor's preview is ready within half a second, or
refused."""
PATIENCE = 5.0
"""Seconds of wall time: long enough for a busy machine, and an end for a child that hangs."""
LOOK_EVERY = 0.05
"""Seconds between two checks of a child's CPU and memory."""
MEMORY = 64 * 1024 * 1024
"""Bytes that a child may allocate beyond its warm size."""
START = 60.0
"""Seconds for a child to start on a busy machine; it is kept warm, so no request waits for the start."""
READY = b"ready\n"
"""A child's first line when it is warm; any other line is its error."""
MAX_LINE = 8 * 1024 * 1024
"""Bytes of one request or answer: every text of a type in every locale, with its previews."""


NOTHING = msgspec.Raw(b"null")
"""No content, as JSON."""


class RenderTrial(msgspec.Struct, frozen=True):
    """A message to try a wording with; a mail has an unsubscribe link where one is given."""

    channel: Channel
    locale: str
    time_zone: str
    data: dict[str, Any]
    unsubscribe_url: str | None = None


class TrialRequest(msgspec.Struct, frozen=True):
    """A type's wording, as `rendering.texts.encode` has it, and what to render with it."""

    type: str
    wording: msgspec.Raw
    trials: list[RenderTrial] = []


class TrialResult(msgspec.Struct, frozen=True):
    """The result of a trial: the content's JSON for its channel (`raw`, null where there is none), or the error."""

    channel: Channel
    raw: msgspec.Raw = NOTHING
    locale: str = ""
    error: str | None = None

    @property
    def content(self) -> Content | None:
        """Return the message's content; None where it can't be rendered."""
        content: Content | None = msgspec.json.decode(self.raw, type=channels.spec(self.channel).content | None)
        return content


class Fault(msgspec.Struct, frozen=True):
    """A part that can't be used, and the reason."""

    locale: str
    channel: str
    part: str
    error: str


class TrialAnswer(msgspec.Struct, frozen=True):
    """The child's answer. `faults` is empty where the wording is usable; only then are there trials."""

    faults: list[Fault] = []
    tried: list[TrialResult] = []
    end: Literal["done", "too slow", "ended"] = "done"


class Confined:
    """The handle of the child process, which is started by `warm_soon` or on first use, and again after it was
    killed."""

    def __init__(self, settings: Settings) -> None:
        chosen = {
            name: getattr(settings, name)
            for name in ("templates", "brand_name", "app_url", "postal_address", "loopback_only")
        }
        self._environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", **to_environment(chosen)}
        self._child: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    def warm_soon(self) -> None:
        """Start a child in the background, unless one is running or starting."""
        if self._warming is None:
            self._warming = once("console.child", self._warm_quietly)

    async def warm(self) -> None:
        """Start a child and wait until it is ready."""
        async with self._one_at_a_time:
            await self._ready()

    async def ask(self, request: TrialRequest) -> TrialAnswer:
        """Compile a wording and try it; a child that runs away is killed and reported in the answer, never raised."""
        async with self._one_at_a_time:
            child = await self._ready()
            assert child.stdin is not None  # noqa: S101 (it is a pipe)
            assert child.stdout is not None  # noqa: S101
            try:
                child.stdin.write(msgspec.json.encode(request) + b"\n")
                seconds = SECONDS * max(len({trial.locale for trial in request.trials}), 1)
                line = await _within_limits(child.pid, asyncio.create_task(child.stdout.readline()), seconds)
            except TimeoutError:
                return await self._give_up("too slow")
            except (OSError, ValueError):  # the child has ended, or its answer is longer than a line may be
                return await self._give_up("ended")
            if not line:
                return await self._give_up("ended")
            return msgspec.json.decode(line, type=TrialAnswer)

    async def close(self) -> None:
        """End the child, whether or not it is ready."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        await self._kill()

    async def _warm_quietly(self) -> None:
        with contextlib.suppress(ConfigurationError):  # the next caller gets the error
            await self.warm()

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._child is not None and self._child.returncode is None:
            return self._child
        self._child = child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "notifier.rendering.child", str(MEMORY), env=self._environment, limit=MAX_LINE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert child.stdout is not None  # noqa: S101 (it is a pipe)
        said = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START):
                said = await child.stdout.readline()
                if said == READY:
                    return child
                await child.wait()
        await self._kill()
        why = said.decode().strip() or "`notifier doctor` says what is wrong"
        raise ConfigurationError(f"the process that renders drafts doesn't start: {why}")

    async def _give_up(self, end: Literal["too slow", "ended"]) -> TrialAnswer:
        await self._kill()
        return TrialAnswer(end=end)

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _within_limits(pid: int, answer: asyncio.Task[bytes], seconds: float) -> bytes:
    """Return the child's answer; raises TimeoutError once the limit of CPU or of wall-clock time is reached."""
    began, allowed = asyncio.get_running_loop().time(), _cpu(pid) + seconds
    try:
        while True:
            done, _ = await asyncio.wait([answer], timeout=LOOK_EVERY)
            if done:
                return answer.result()
            if _cpu(pid) > allowed or asyncio.get_running_loop().time() > began + PATIENCE:
                raise TimeoutError
    finally:
        answer.cancel()


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used (proc_pid_stat(5): fields 14 and 15); 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
