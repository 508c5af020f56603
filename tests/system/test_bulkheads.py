"""A provider that hangs holds up its own channel, and no other."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import sqlalchemy as sa

from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.schema import event, outcome
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests.named import PUSH

EVENTS = 60  # each a signal of its own: more than a process works on at once
HANG = 8  # seconds
QUICK = 5_000  # milliseconds, on a machine that may be busy: far less than a hanging text takes


async def test_pushes_go_out_while_texts_hang(tmp_path: Path) -> None:
    async with (
        LocalSystem(tmp_path, {"worker_processes": 1}) as system,
        aiohttp.ClientSession() as session,
        AsyncProducer(system.settings.public_url, system.key, "test") as producer,
    ):
        # Given drivers with an app and a number, and workers that are up
        drivers = {
            f"d{number}": RecipientDetails(phone="+4915123456789", devices=[Device(value=f"token-{number}")])
            for number in range(EVENTS + 1)
        }
        await recipients.put(system.database, drivers, system.clock.now())
        await producer.send("charging.complete", data(0))
        await until_sent(system, 1)

        # When Twilio falls silent, and events come one by one
        rule = {"channel": "sms", "action": "hang", "seconds": HANG}
        async with session.post(f"{system.sandbox_url}/sandbox/faults", json=rule) as response:
            assert response.status < 300
        for number in range(1, EVENTS + 1):
            await producer.send("charging.complete", data(number))
        pushes = await until_sent(system, 1 + EVENTS)

        # Then no push waited for a text
        assert max(pushes) < QUICK
        async with session.delete(f"{system.sandbox_url}/sandbox/faults") as response:
            assert response.status < 300


def data(number: int) -> dict[str, object]:
    completed_at = datetime.now(UTC).isoformat()
    return {
        "driver_id": f"d{number}", "session_id": str(number), "kind": "full", "station": "Mitte", "energy_kwh": 20.5,
        "completed_at": completed_at,
    }  # fmt: skip


async def until_sent(system: LocalSystem, pushes: int) -> list[int]:
    """Wait for so many pushes to be sent; the milliseconds from accepting each event to the provider taking it."""
    query = (
        sa.select(outcome.c.at - event.c.accepted_at)
        .join(delivery, delivery.c.id == outcome.c.delivery_id)
        .join(event, event.c.id == delivery.c.event_id)
        .where(delivery.c.channel == PUSH, outcome.c.answer == "sent")
        .order_by(event.c.accepted_at)
    )
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        async with system.database.engine.connect() as connection:
            took = list((await connection.execute(query)).scalars())
        if len(took) == pushes:
            return took[1:]
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{len(took)} of {pushes} pushes were sent")
