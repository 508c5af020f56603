"""The demo of an experiment: drivers get one of two idle warnings and move their cars as the words make them, and in
about a minute the experiment has to find which words do more.

Half an hour of theirs takes `WITHIN`. How each driver reacts to which words is drawn from the seed, so that what the
experiment must find is known beforehand.
"""

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from notifier.demo.acn import dice
from notifier.demo.events import FEE_PER_MINUTE, SOURCE, TimedEvent
from notifier.demo.local import LocalSystem
from notifier.demo.people import people
from notifier.demo.run import Progress, ScheduledEvent, Summary, run
from notifier.domain.clock import HOUR, parse_duration
from notifier.domain.effects import hour_of
from notifier.domain.experiments import CONTROL, Experiment, ExperimentState
from notifier.domain.statistics import Finding
from notifier.experiments import keeping, results
from notifier.experiments.results import Result
from notifier.pipeline import counting
from notifier.runtime.settings import Settings
from notifier.store.console import experiments as store
from notifier.store.console import versions
from notifier.store.delivery import effects
from notifier.texts import publishing

TYPE: Final = "idle-warning"
ID: Final = "others-wait"
ARM: Final = "others"
"""The arm whose texts say that others are waiting."""
WORDS: Final = {"de": "Andere warten.", "en": "Others wait.", "es": "Otros esperan.", "fr": "D’autres attendent."}
"""What the arm's texts say first, by locale."""
LEAVE: Final = {CONTROL: 0.40, ARM: 0.65}
"""The share of drivers who move their car in time, by the words that they got."""
WITHIN: Final = "18 s"
"""The half hour within which a car has to leave, in the demo."""
SOONEST, LATEST = 0.45, 0.8  # of that time, in which those leave who do: a busy machine needs a moment to decide
PATIENCE: Final = 90.0
"""Seconds after the last message for every outcome to be counted."""
_BEGAN: Final = datetime(2026, 3, 9, 17, 40, tzinfo=UTC)  # what a driver's own time is told from


class TrialSummary(Summary, frozen=True, kw_only=True):
    """What `notifier demo --experiment --json` ends with: the books, what the experiment has found, and the version
    that went live for it."""

    result: Result
    live: int

    @property
    def ok(self) -> bool:
        """Whether the books balance, and the experiment has found what is true."""
        return super().ok and (self.result.finding, self.result.arm) == (Finding.WINNER, ARM)


def templates(folder: Path) -> Path:
    """Make a folder of the product's types, in which an idle warning's outcome is awaited for `WITHIN`."""
    made = folder / "templates"
    shutil.copytree(Settings().templates, made)
    file = made / TYPE / "type.toml"
    file.write_text(file.read_text("utf-8").replace('within = "30 min"', f'within = "{WITHIN}"'), "utf-8")
    return made


def drivers(count: int, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Drivers who have switched nothing off: all of them are told."""
    crowd = [(id_, details) for id_, details in people(count + count // 2, seed) if details["kind"] == "driver"]
    return [
        (id_, {name: value for name, value in details.items() if name != "preferences"})
        for id_, details in crowd[:count]
    ]


def reaction(driver: str, arm: str, seed: int) -> float | None:
    """The seconds after which a driver moves their car, by the words that they got; None where they don't."""
    chance = dice(f"{seed}/{driver}")
    if chance.random() >= LEAVE[arm]:
        return None
    return chance.uniform(SOONEST, LATEST) * parse_duration(WITHIN) / 1000


def schedule(experiment: Experiment, ids: Sequence[str], seconds: float, seed: int) -> list[ScheduledEvent]:
    """The warnings of all drivers, evenly spread over `seconds`, and the ends of the sessions of those who react."""
    due = []
    for number, driver in enumerate(ids):
        second = seconds * number / len(ids)
        fee_from = (_BEGAN + timedelta(minutes=15)).isoformat()
        facts: dict[str, Any] = {
            "idle_fee_from": fee_from,
            "fee_per_minute": {"amount": FEE_PER_MINUTE, "currency": "USD"},
        }
        due.append(ScheduledEvent(second, _event("idle.warning", driver, facts)))
        waits = reaction(driver, experiment.allocation.assignment(driver).arm, seed)
        if waits is not None:
            facts = {"ended_at": _BEGAN.isoformat(), "energy_kwh": 20.5}
            due.append(ScheduledEvent(second + waits, _event("session.ended", driver, facts)))
    return sorted(due, key=lambda each: each.second)


async def try_words(
    system: LocalSystem, count: int, seconds: float, seed: int, show: Callable[[Progress], None]
) -> TrialSummary:
    """Plan and start the experiment, have everybody warned, wait for the outcomes, and publish what has won."""
    crowd = drivers(count, seed)
    version = await _publish(system)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as session:
        plan = {
            "type": TYPE, "why": "Do more cars leave if the message says that others wait?",
            "arms": {CONTROL: {}, ARM: {"version": version}}, "weights": {CONTROL: 5_000, ARM: 5_000}, "gain": 0.2,
        }  # fmt: skip
        await _ask(system, session, "PUT", "", plan)
        await _ask(system, session, "POST", "/start")
        await asyncio.sleep(2 * keeping.REFRESH)  # every process knows of it by then
        (held,) = await store.every(system.database, ExperimentState.RUNNING)
        summary = await run(system, crowd, schedule(held, [id_ for id_, _ in crowd], seconds, seed), show)
        found = await _counted(system, held, len(crowd))
        if found.arm is not None and found.finding == Finding.WINNER:
            await _ask(system, session, "POST", "/end", {"why": found.words, "winner": found.arm, "publish": True})
    live = (await versions.live(system.database))[TYPE]
    return TrialSummary(**msgspec.structs.asdict(summary), result=found, live=live)


async def read(system: LocalSystem, held: Experiment) -> Result:
    """What the experiment has come to, once nothing is awaited any more: read as of the end of the hour, for which it
    would wait otherwise."""
    now = system.clock.now()
    counted = await effects.read(system.database, hour_of(now) - 1, hour_of(now) + 1, [TYPE])
    return results.result(held, system.catalog.types[TYPE], counted, now + 2 * HOUR)


async def _counted(system: LocalSystem, held: Experiment, people: int) -> Result:
    """The result when everybody is counted; what there is of it where that takes too long."""
    until = time.monotonic() + PATIENCE
    while True:
        found = await read(system, held)
        if sum(each.people for each in found.arms) >= people or time.monotonic() > until:
            return found
        await asyncio.sleep(counting.EVERY)


async def _publish(system: LocalSystem) -> int:
    """Publish texts that say that others wait, and after them the ones of before; returns the number of the first."""
    before, *_ = await versions.every(system.database, TYPE)
    number = before.number
    wording: dict[str, Any] = msgspec.json.decode(before.wording)
    others = {
        locale: json.loads(json.dumps(texts).replace("{{ brand }}: ", f"{{{{ brand }}}}: {WORDS[locale]} "))
        for locale, texts in wording.items()
    }
    for based_on, made in ((number, others), (number + 1, wording)):
        await publishing.publish(
            system.database, TYPE, publishing.decode(msgspec.Raw(msgspec.json.encode(made))), based_on=based_on,
            origin="import", actor="demo", why="to be tried", now=system.clock.now(),
        )  # fmt: skip
    return number + 1


async def _ask(
    system: LocalSystem, session: aiohttp.ClientSession, method: str, what: str, body: dict[str, Any] | None = None
) -> None:
    url = f"{system.settings.public_url}/v1/experiments/{ID}{what}"
    async with session.request(method, url, json=body) as answered:
        answered.raise_for_status()


def _event(type_: str, driver: str, facts: dict[str, Any]) -> TimedEvent:
    about = {"driver_id": driver, "session_id": f"S-{driver}", "station": "Mitte"}
    return TimedEvent(_BEGAN, type_, f"{driver}/{type_}", SOURCE, f"session/S-{driver}", about | facts)
