"""How late a process's event loop is: the time by which a task that is due at an instant runs after it."""

import asyncio
from typing import Final

from prometheus_client import Histogram

LOOK_EVERY: Final = 0.5
"""Seconds between two looks. A loop that is held up for longer is always seen; shorter ones by their share of time."""

seconds: Final = Histogram(
    "notifier_event_loop_lag_seconds", "Time by which the event loop runs what is due too late",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0), registry=None,
)  # fmt: skip


async def watch() -> None:
    """Look how late the running loop is, again and again."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOK_EVERY
        await asyncio.sleep(LOOK_EVERY)
        seconds.observe(max(loop.time() - due, 0.0))
