"""Programs that use a client as they are told: one for each language, driven by a line of JSON for each step.

A program answers each line on standard output:

    {"do": "open", "url", "key", "source", "timeout", "request_timeout", "spool", "spool_bytes"}  -> {} or {"error"}
    {"do": "start", "calls": [[event, …], …], "many"}    -> {} once all calls were made; an event is {"id", "padding",
                                                            "impossible", "half_character"}
    {"do": "finish"}                                     -> {"results": [[id, result], …]} of all calls since the last
    {"do": "close", "timeout"}                           -> {"unsent": [id, …]}
    {"do": "show"}                                       -> {"shown"}: the client as its language prints it
    {"do": "fork", "calls"}                              -> {"results"} of calls that a child process made

A result is {"accepted": id}, {"code", "status"} of a problem, or {"failed": "unavailable", "retry_after"}, {"failed":
"closed"} or {"failed": "invalid"}.
"""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from clients.judge import KEY, SOURCE, Result, judge, spooled
from clients.server import ScriptedServer, scripted
from clients.table import Case, Step

LANES: Final = 4
"""Programs that run at once: a case mostly waits."""
SHOWN: Final = 600
"""Characters of what a program wrote that are shown where it did something wrong."""
PATIENCE: Final = 240.0
"""Seconds that a case may take, on a machine that does much else."""
LOOK: Final = 0.01
"""Seconds between two looks into a spool."""
LINE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that a line of a program's answer may have."""


class Program:
    """A process that uses a client."""

    def __init__(self, process: Process, command: Sequence[str]) -> None:
        self.command = command
        self.said = b""
        self._process = process

    @classmethod
    async def begun(cls, command: Sequence[str]) -> "Program":
        """Start a program."""
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=LINE_LIMIT)
        return cls(process, command)

    async def told(self, **command: Any) -> dict[str, Any]:
        """Return what the program answers to a command."""
        self.tell(**command)
        return await self.heard()

    def tell(self, **command: Any) -> None:
        """Give a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def heard(self) -> dict[str, Any]:
        """Return the next answer."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        self.said += line
        if not line:
            await self.killed()
            raise AssertionError(f"the program ended: {self.said.decode()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def killed(self) -> None:
        """Kill the program, as a crash would."""
        if self._process.returncode is None:
            self._process.kill()
        rest, complaints = await self._process.communicate()
        self.said += rest + complaints


class Run:
    """A case with a client: the steps of its program, beside a scripted server.

    `program` runs already, and is None in the end where the case killed it.
    """

    def __init__(self, case: Case, program: Program, folder: Path, server: ScriptedServer) -> None:
        self.results: list[Result] = []
        self.unsent: list[str] | None = None
        self.said = ""
        self.spool = folder / "spool" if case.spool else None
        self._case = case
        self._command = program.command
        self._server = server
        self._program: Program | None = program
        self._pending = False

    async def whole(self) -> None:
        """Go through the program, and end it."""
        await self._open()
        for step in self._case.program:
            await self._do(step)
        if self._pending and not any(step.kill for step in self._case.program):
            await self._finish()
        shown = await self.program.told(do="show")
        assert shown["shown"], "the client prints as nothing"
        if self.unsent is None:
            await self.program.told(do="close", timeout=0)

    async def _open(self) -> None:
        if self._program is None:
            self._program = await Program.begun(self._command)
        assert await self._program.told(**self._opening()) == {}

    def _opening(self) -> dict[str, Any]:
        case = self._case
        return {
            "do": "open", "url": self._server.url, "key": KEY, "source": SOURCE, "timeout": case.timeout,
            "request_timeout": case.request_timeout, "spool": self.spool and str(self.spool),
            "spool_bytes": case.spool_bytes,
        }  # fmt: skip

    @property
    def program(self) -> Program:
        assert self._program is not None
        return self._program

    async def _do(self, step: Step) -> None:
        if step.deafen:
            await self._server.deafen()
        if step.listen:
            await self._server.listen()
        if step.answer is not None:
            self._server.answer(step.answer)
        if step.tear is not None and self.spool is not None:
            with self.spool.open("a") as file:
                file.write(step.tear)
        if step.kill:
            await self._kill()
        if step.open:
            await self._open()
        if step.fork is not None:
            self._note(await self.program.told(do="fork", calls=_events(step)))
        elif step.calls:
            await self.program.told(do="start", calls=_events(step), many=step.send_many is not None)
            self._pending = True
        await self._wait(step)

    async def _wait(self, step: Step) -> None:
        if step.until is not None:
            await self._server.until(step.until)
        if step.until_sent is not None:
            await self._server.until_sent(set(step.until_sent))
        while not self._spooled(step.until_spooled):  # noqa: ASYNC110 (a file tells nobody of its changes)
            await asyncio.sleep(LOOK)
        if step.second:
            second = await Program.begun(self._command)
            answer = await second.told(**self._opening())
            await second.killed()
            assert "error" in answer, answer
        if step.close is not None:
            self.program.tell(do="close", timeout=step.close)
        if step.release:
            self._server.released.set()
        if step.close is not None:
            self.unsent = (await self.program.heard())["unsent"]
        if step.finish or step.send is not None or step.send_many is not None:
            await self._finish()

    def _spooled(self, wanted: list[str] | int | None) -> bool:
        """Whether the spool holds these events, or so many."""
        if wanted is None or self.spool is None:
            return True
        held = set(spooled(self.spool))
        return len(held) >= wanted if isinstance(wanted, int) else held >= set(wanted)

    async def _finish(self) -> None:
        self._note(await self.program.told(do="finish"))
        self._pending = False

    def _note(self, answer: dict[str, Any]) -> None:
        self.results += [(id_, result) for id_, result in answer["results"]]

    async def _kill(self) -> None:
        if self._program is not None:
            await self._program.killed()
            self.said += self._program.said.decode()
            self._program = None


async def run(case: Case, program: Program, folder: Path) -> Program:
    """Run a case; return the program that goes on. Raises AssertionError where something else is seen than demanded."""
    async with scripted(case) as server:
        one = Run(case, program, folder, server)
        async with asyncio.timeout(PATIENCE):
            await one.whole()
        judge(case, server, one.results, one.unsent, one.said + one.program.said.decode())
    if case.spooled is not None and one.spool is not None:
        assert spooled(one.spool) == case.spooled
    return one.program


async def run_all(these: Sequence[Case], command: Sequence[str], folder: Path) -> dict[str, str]:
    """Run cases, a few at a time, each lane with a program of its own; return what is wrong by the case's name."""
    wrong: dict[str, str] = {}
    left = list(enumerate(these))

    async def lane() -> None:
        program = await Program.begun(command)
        while left:
            number, case = left.pop()
            own = folder / str(number)
            own.mkdir()
            try:
                program = await run(case, program, own)
            except (AssertionError, TimeoutError, IndexError, KeyError) as error:
                wrong[case.name] = f"{type(error).__name__}: {error}"
                await program.killed()
                wrong[case.name] += f"\n{program.said.decode()[-SHOWN:]}"
                program = await Program.begun(command)
        await program.killed()

    await asyncio.gather(*(lane() for _ in range(LANES)))
    return wrong


def _events(step: Step) -> list[list[dict[str, Any]]]:
    return [
        [
            {
                "id": id_, "padding": "x" * step.larger.get(id_, step.bytes), "impossible": id_ in step.impossible,
                "half_character": id_ in step.half_character,
            }
            for id_ in call
        ]
        for call in step.calls
    ]  # fmt: skip
