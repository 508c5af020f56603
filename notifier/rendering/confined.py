"""Texts that people wrote are compiled and tried out in a child process, within limits, before anybody sends them.

The language's own checks refuse what could run away; this is for what they may not know of. The child is warm: one
request costs a few milliseconds. Where it takes too long or too much it is killed, and the next request has a new one;
the process that asks is never touched.
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
"""Of its CPU for each locale of a request: an editor's preview is there within half a second, or refused."""
PATIENCE = 5.0
"""Seconds by the clock: a child on a busy machine is not to blame, one that stands still is."""
LOOK_EVERY = 0.05
"""Seconds between two looks at what a child has used."""
MEMORY = 64 * 1024 * 1024
"""Bytes that a child may take beyond what it has when it is warm."""
START = 15.0
"""Seconds for a child to come up on a busy machine; it is kept warm, so nobody waits for it."""
READY = b"ready\n"
"""A child's first line when it is warm; any other says what keeps it from that."""
MAX_LINE = 8 * 1024 * 1024
"""Bytes of one request or answer: every text of a type in every locale, with its previews."""


NOTHING = msgspec.Raw(b"null")
"""No content, as JSON."""


class RenderTrial(msgspec.Struct, frozen=True):
    """One message to try a wording with; a mail has a link to unsubscribe where one is given."""

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
    """What came of one trial: on its channel the content's JSON (`raw`, null where there is none), or why not."""

    channel: Channel
    raw: msgspec.Raw = NOTHING
    locale: str = ""
    error: str | None = None

    @property
    def content(self) -> Content | None:
        """What the message says; None where it can't be made."""
        content: Content | None = msgspec.json.decode(self.raw, type=channels.spec(self.channel).content | None)
        return content


class Fault(msgspec.Struct, frozen=True):
    """One part that can't be used, and why."""

    locale: str
    channel: str
    part: str
    error: str


class TrialAnswer(msgspec.Struct, frozen=True):
    """`faults` are empty where the wording is good; only then are there trials."""

    faults: list[Fault] = []
    tried: list[TrialResult] = []
    end: Literal["done", "too slow", "ended"] = "done"


class Confined:
    """The child, started by `warm_soon` or when it is first needed, and again after it had to be killed."""

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
        """Have a child ready by the time that somebody needs it, where none is under way."""
        if self._warming is None:
            self._warming = once("console.child", self._warm_quietly)

    async def warm(self) -> None:
        """Have a child ready."""
        async with self._one_at_a_time:
            await self._ready()

    async def ask(self, request: TrialRequest) -> TrialAnswer:
        """Compile a wording and try it; what runs away is killed and told as such, never raised."""
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
            except (OSError, ValueError):  # it is gone, or answers more than a line may hold
                return await self._give_up("ended")
            if not line:
                return await self._give_up("ended")
            return msgspec.json.decode(line, type=TrialAnswer)

    async def close(self) -> None:
        """End the child, be it warm or not."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        await self._kill()

    async def _warm_quietly(self) -> None:
        with contextlib.suppress(ConfigurationError):  # whoever asks for it is told
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
        raise ConfigurationError(f"the process that tries texts out doesn't start: {why}")

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
    """The child's answer; TimeoutError once it has used up so much CPU, or everybody's patience."""
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
    """Seconds of CPU that a process has used (proc_pid_stat(5): fields 14 and 15); none where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
