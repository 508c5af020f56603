"""What a process answers on its port: whether it lives, whether it can work, and its metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import structlog

from notifier import metrics
from notifier.domain.clock import SECOND, Clock
from notifier.monitoring.listener import Answer, Page
from notifier.runtime.recent import Recent

GOOD_FOR: Final = SECOND
"""Milliseconds that an answer is remembered: the number of those who ask costs nothing."""
PATIENCE: Final = 3.0
"""Seconds that what a process needs has to answer: a database that takes longer is of no use."""

log = structlog.get_logger(__name__)

Question = Callable[[], Awaitable[object]]


class Readiness:
    """Whether all that a process needs answers: `needs` are questions by name, which raise where there is no answer."""

    def __init__(self, needs: Mapping[str, Question], clock: Clock) -> None:
        self._needs = needs
        self._recent = Recent(self._look, clock, GOOD_FOR)

    async def faults(self) -> Mapping[str, str]:
        """What doesn't answer, by name, and the kind of its error; empty where the process can work."""
        return await self._recent.get()

    async def _look(self) -> Mapping[str, str]:
        found = await asyncio.gather(*map(_fault, self._needs.values()))
        return {name: fault for name, fault in zip(self._needs, found, strict=True) if fault is not None}


def pages_of(readiness: Readiness, text: Callable[[], Awaitable[bytes]]) -> Mapping[str, Page]:
    """The pages of a process of its own. That it answers at all says that its event loop turns."""

    async def live() -> Answer:
        return status({})

    async def ready() -> Answer:
        return status(await readiness.faults())

    async def scrape() -> Answer:
        return Answer(200, await text(), metrics.MEDIA_TYPE)

    return {"/livez": live, "/readyz": ready, "/metrics": scrape}


def status(faults: Mapping[str, object], **more: object) -> Answer:
    """200 where nothing is wrong, and else 503 with what is."""
    told: dict[str, object] = {"status": "unavailable", "faults": faults} if faults else {"status": "ok"}
    return Answer(503 if faults else 200, msgspec.json.encode(told | more))


async def _fault(question: Question) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE):
            await question()
    except Exception as error:  # noqa: BLE001 (whatever it is, there is no answer)
        return type(error).__name__
    return None
