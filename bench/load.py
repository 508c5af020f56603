"""People to tell, and events to tell them of."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from notifier.client import AsyncProducer
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails

PEOPLE = 1000
BATCH = 100  # events in one request
REQUESTS = 8  # under way at once
SLICE = 0.025  # seconds of events that travel together, where they come at a rate
LOCALES = ("en", "de", "fr", "es")
EVERYBODY = ("push", "sms", "email")

Event = dict[str, Any]
Reach = Callable[[int], Iterable[str]]
"""The channels of the person with a number."""


def everything(_number: int) -> Iterable[str]:
    """Everybody on every channel."""
    return EVERYBODY


def mixed(number: int) -> Iterable[str]:
    """Everybody by push, one in five by e-mail too, one in ten by text."""
    return ["push", *(["email"] if number % 5 == 0 else []), *(["sms"] if number % 10 == 1 else [])]


def people(reach: Reach = everything, count: int = PEOPLE) -> dict[str, RecipientDetails]:
    """Drivers by id, `driver-0` and so on, each with the addresses of the channels that reach them."""
    return {f"driver-{number}": _person(number, frozenset(reach(number))) for number in range(count)}


def _person(number: int, channels: frozenset[str]) -> RecipientDetails:
    return RecipientDetails(
        name=f"Driver {number}",
        email=f"driver{number}@example.com" if "email" in channels else None,
        phone=f"+4915112{number:06}" if "sms" in channels else None,
        locale=LOCALES[number % len(LOCALES)],
        time_zone="Europe/Berlin",
        devices=[Device(value=f"token-{number}")] if "push" in channels else [],
    )


def payload(number: int, count: int = PEOPLE) -> Event:
    """What an event with a number tells: a payment failed, to be said on every channel."""
    return {
        "driver_id": f"driver-{number % count}",
        "account_id": f"account-{number}",
        "attempt": 1,
        "amount": {"amount": 18.45 + number % 50, "currency": "EUR"},
        "payment_method": "Visa •••• 4242",
        "blocked": False,
    }


def event(number: int, count: int = PEOPLE) -> Event:
    """The event with a number, for one of so many people."""
    return {"type": "payment.failed", "id": str(number), "time": datetime.now(UTC), "data": payload(number, count)}


async def report(producer: AsyncProducer, numbers: range, count: int = PEOPLE) -> None:
    """Report events for so many people as fast as they are taken."""
    free = asyncio.Semaphore(REQUESTS)

    async def send(batch: Iterable[int]) -> None:
        async with free:
            await _send(producer, batch, count)

    await asyncio.gather(*(send(numbers[first : first + BATCH]) for first in range(0, len(numbers), BATCH)))


async def report_at(producer: AsyncProducer, numbers: range, rate: float, count: int = PEOPLE) -> None:
    """Report events for so many people at a rate a second; a slow answer doesn't slow down what comes after it."""
    size = max(1, round(rate * SLICE))
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for first in itertools.count(0, size):
            if not numbers[first:]:
                break
            await asyncio.sleep(max(0.0, began + first / rate - loop.time()))
            group.create_task(_send(producer, numbers[first : first + size], count))


async def _send(producer: AsyncProducer, numbers: Iterable[int], count: int) -> None:
    for result in await producer.send_many([event(number, count) for number in numbers]):
        if isinstance(result, Exception):
            raise result
