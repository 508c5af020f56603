"""The load of scenarios: events to report, and their recipients."""

import asyncio
import itertools
import re
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from notifier.client import AsyncProducer
from notifier.domain.channels import channels
from notifier.domain.deliveries import Channel
from notifier.domain.errors import Problem
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.domain.regulation import FILE
from notifier.runtime.settings import Settings

PEOPLE = 200
WARM = 100  # events, within two seconds: a few for each process
FAR = 10**6  # where those events' numbers begin: nobody else's
FEE_IN = timedelta(minutes=15)  # time to live of an idle warning
OFTEN = 1000  # messages of one type in an hour to one of so few people
SLICE = 0.05  # seconds of events that travel together
LOCALES = ("en", "de", "fr", "es")

CHANNELS: Final = (Channel("push"), Channel("sms"), Channel("email"))
"""The channels that a payment's type speaks on, and on which people here can be reached."""

Event = dict[str, Any]
Make = Callable[[int], Event]


def templates(folder: Path, *, is_limited: bool = False) -> Path:
    """Make a folder with the product's types by `CHANNELS`, with caps raised so that few people can share a load, and
    without the limit on all types together unless it is to be there."""
    made = folder / "templates"
    shutil.copytree(Settings().templates, made)
    for other in set(channels()) - set(CHANNELS):
        for file in made.glob("*/*.toml"):
            text = re.sub(rf'(?<=channels = \[)(.*), "{other}"', r"\1", file.read_text("utf-8"))
            file.write_text(re.sub(rf"^\[{other}\]\n(?:(?!\[).*\n?)*", "", text, flags=re.MULTILINE), "utf-8")
    policy = (made / FILE).read_text()
    policy = re.sub(r"(?<=\[per_type\]\nmost = )\d+", str(OFTEN), policy)
    if not is_limited:
        policy = re.sub(r"\[per_person\]\nmost = .*\nwindow = .*\n", "", policy)
    (made / FILE).write_text(policy)
    return made


def people(by: Iterable[str] = CHANNELS, name: str = "driver") -> dict[str, RecipientDetails]:
    """Make drivers who can be reached on these channels only: `driver-0` and so on."""
    wanted = set(by)
    return {
        f"{name}-{number}": RecipientDetails(
            name=f"Driver {number}",
            email=f"{name}{number}@example.com" if "email" in wanted else None,
            phone=f"+493023125{number % 1000:03}" if "sms" in wanted else None,
            locale=LOCALES[number % len(LOCALES)],
            time_zone="Europe/Berlin",
            devices=[Device(value=f"{name}-token-{number}")] if "push" in wanted else [],
        )
        for number in range(PEOPLE)
    }


def payment(number: int, name: str = "driver") -> Event:
    """Make an urgent event on all of `CHANNELS`: three deliveries to a driver who has them."""
    return _event(
        "payment.failed",
        number,
        driver_id=f"{name}-{number % PEOPLE}",
        account_id=f"account-{number}",
        attempt=1,
        amount={"amount": 10 + number / 100, "currency": "EUR"},
        payment_method="Visa •••• 4242",
        blocked=False,
    )


def complete(number: int, name: str = "driver") -> Event:
    """Make an urgent event by push and SMS: two deliveries."""
    return _event(
        "charging.complete",
        number,
        driver_id=f"{name}-{number % PEOPLE}",
        session_id=f"session-{number}",
        kind="full",
        station=f"Gent Zuid, bay {number}",
        energy_kwh=41.12,
        completed_at=datetime.now(UTC).isoformat(),
    )


def idle(number: int, name: str = "driver") -> Event:
    """Make an event of the highest urgency by push and SMS: two deliveries."""
    return _event(
        "idle.warning",
        number,
        driver_id=f"{name}-{number % PEOPLE}",
        session_id=f"session-{number}",
        station=f"Gent Zuid, bay {number}",
        idle_fee_from=(datetime.now(UTC) + FEE_IN).isoformat(),
        fee_per_minute={"amount": 0.1, "currency": "EUR"},
    )


def numbered(make: Make, first: int = 0, count: int | None = None) -> Iterable[Event]:
    """Make `count` events with consecutive numbers, endless where `count` is None."""
    numbers = itertools.count(first) if count is None else range(first, first + count)
    return map(make, numbers)


async def report(
    producer: AsyncProducer, events: Iterable[Event], rate: float, until: asyncio.Event | None = None
) -> list[str]:
    """Report events at a rate a second until they end or the event is set; the ids of those accepted.

    A slow answer doesn't slow down what comes after it. Raises what the producer raises where one wasn't taken.
    """
    size = max(1, round(rate * SLICE))
    source = iter(events)
    begun = asyncio.get_running_loop().time()
    sending: list[asyncio.Task[list[str | Problem]]] = []
    async with asyncio.TaskGroup() as group:
        for number in itertools.count():
            batch = list(itertools.islice(source, size))
            if not batch or (until is not None and until.is_set()):
                break
            await asyncio.sleep(max(0.0, begun + number * size / rate - asyncio.get_running_loop().time()))
            sending.append(group.create_task(producer.send_many(batch)))
    return [_accepted(answer) for task in sending for answer in task.result()]


async def warm_up(producer: AsyncProducer) -> list[str]:
    """Report until every process has opened its connections and loaded its texts."""
    return await report(producer, numbered(payment, FAR, WARM), WARM / 2)


def _accepted(answer: str | Problem) -> str:
    if isinstance(answer, Problem):
        raise answer
    return answer


def _event(type_: str, number: int, **data: Any) -> Event:
    return {"type": type_, "id": f"{type_}/{number}", "time": datetime.now(UTC), "data": data}
