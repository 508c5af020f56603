"""The processes of a worker as its supervisor sees them: it asks each every few seconds and whenever somebody wants to
know, and answers for all.

A process is *starting* until its first report, then *working*; it is *stuck* where its event loop gives none for longer
than a lease lasts, and *ended* until it is started again. A stuck one makes the group not live: nothing here mends it.
One that has ended doesn't, since it is started again; it makes the group not ready.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Literal, get_args

from notifier import metrics
from notifier.domain.clock import SystemClock, elapsed
from notifier.monitoring.listener import Answer, Page
from notifier.monitoring.pages import GOOD_FOR, status
from notifier.monitoring.reports import Report, ask
from notifier.monitoring.totals import Counts, Gauges, Told, by_state, families, together
from notifier.runtime.background import cancelled, once
from notifier.runtime.recent import Recent

ASK_EVERY: Final = 5.0
"""Seconds between two questions while nobody wants to know: what a process counted since then ends with it."""
PATIENCE: Final = 5.0
"""Seconds that a process has for a report: its database and its broker have three of them."""
STUCK_AFTER: Final = 30.0
"""Seconds without a report after which an event loop is stuck: the leases of what it sends have ended by then."""
START_WITHIN: Final = 120.0
"""Seconds for a process to start: it reads all texts, and waits for its database and its broker."""

State = Literal["working", "starting", "stuck", "ended"]


class Member:
    """One of a group's processes, through all its lives; `now` is in seconds, and so is `patience`, for a report."""

    def __init__(self, now: Callable[[], float], patience: float) -> None:
        self._now = now
        self._patience = patience
        self.past = Counts()
        self.gauges = Gauges()
        self.report: Report | None = None
        self._since = now()
        self._line: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._heard = asyncio.Event()

    @property
    def state(self) -> State:
        """The state of the process now."""
        if self._line is None or self._line.done():
            return "ended"
        silent = self._now() - self._since
        if self.report is None:
            return "starting" if silent < START_WITHIN else "stuck"
        return "working" if silent < STUCK_AFTER else "stuck"

    def begin(self) -> socket.socket:
        """Prepare for the process that is about to start; returns the socket that it is to inherit."""
        ours, theirs = socket.socketpair()
        self._since = self._now()
        self._line = once("worker.reports", partial(self._listen, ours, self._line))
        self._line.add_done_callback(lambda _: ours.close())  # also of one that is cancelled before it began
        return theirs

    async def look(self) -> bool:
        """Have a report of now; whether the process gave one in time. Of one that is stuck there is nothing to wait
        for."""
        if self.state != "working":
            return False
        self._wanted.set()
        try:
            async with asyncio.timeout(self._patience):
                await self._heard.wait()
        except TimeoutError:
            return False
        return self.report is not None

    async def close(self) -> None:
        """Ask no more."""
        if self._line is not None:
            await cancelled(self._line)

    async def _listen(self, line: socket.socket, before: asyncio.Task[None] | None) -> None:
        if before is not None:  # the end of the process before this one is seen first
            await asyncio.wait({before})
        reader, writer = await asyncio.open_unix_connection(sock=line)
        try:
            while True:
                self._hear(await ask(reader, writer))
                self._wanted.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(ASK_EVERY):
                        await self._wanted.wait()
        except (EOFError, ConnectionError):
            self._retire()
        finally:
            writer.close()

    def _hear(self, report: Report) -> None:
        self.report, self._since = report, self._now()
        self.gauges.see(report.families, self._since)
        self._heard.set()
        self._heard = asyncio.Event()

    def _retire(self) -> None:
        """Keep what the process has counted, now that it has ended."""
        if self.report is not None:
            self.past.add(self.report.families)
        self.report, self.gauges = None, Gauges()
        self._heard.set()
        self._heard = asyncio.Event()


class Group:
    """The processes of a worker, and the pages that tell of them; see `Member` for `now` and `patience`."""

    def __init__(self, size: int, now: Callable[[], float] = elapsed, patience: float = PATIENCE) -> None:
        self.members = [Member(now, patience) for _ in range(size)]
        clock = SystemClock()
        self._looked = Recent(self._look, clock, GOOD_FOR)
        self._text = Recent(self._tell, clock, GOOD_FOR)

    def pages(self) -> Mapping[str, Page]:
        """The pages of the group, by path."""
        return {"/livez": self.live, "/readyz": self.ready, "/metrics": self.scrape}

    async def live(self) -> Answer:
        """503 where a process is stuck."""
        states = self._states()
        return status({"processes": "stuck"} if states["stuck"] else {}, processes=states)

    async def ready(self) -> Answer:
        """503 where a process doesn't work, or can't reach what it needs."""
        all_answer = await self._looked.get()
        faults = {name: fault for each in self._reports() for name, fault in each.faults.items()}
        if not all_answer:
            faults["processes"] = "not all answer"
        return status(faults, processes=self._states())

    async def scrape(self) -> Answer:
        """The metrics of all, and of the supervisor."""
        return Answer(200, await self._text.get(), metrics.MEDIA_TYPE)

    async def close(self) -> None:
        """Ask no more."""
        for each in self.members:
            await each.close()

    async def _look(self) -> bool:
        return all(await asyncio.gather(*(each.look() for each in self.members)))

    async def _tell(self) -> bytes:
        await self._looked.get()
        counts = Counts()
        counts.add(families(metrics.REGISTRY))
        for member in self.members:
            counts.add(member.past.families.values())
        for report in self._reports():
            counts.add(report.families)
        told = together(counts, [each.gauges for each in self.members])
        return metrics.render(Told([*told, by_state(self._states())]))

    def _states(self) -> dict[str, int]:
        found = Counter(each.state for each in self.members)
        return {state: found[state] for state in get_args(State)}

    def _reports(self) -> Sequence[Report]:
        return [each.report for each in self.members if each.report is not None]
