"""The event loop's lag: seen where something holds the loop up."""

import asyncio
import time

from notifier.runtime import loop_lag
from notifier.runtime.background import cancelled, forever

HELD = 2 * loop_lag.LOOK_EVERY  # seconds: a look falls due in that time


def seen(at_least: float) -> float:
    """How often the loop was later than a bound of the histogram, in seconds."""
    (family,) = loop_lag.seconds.collect()
    counts = {each.labels["le"]: each.value for each in family.samples if each.name.endswith("_bucket")}
    return counts["+Inf"] - counts[str(at_least)]


async def test_a_loop_that_is_held_up_is_seen_to_be_late() -> None:
    # Given a loop that is watched
    before = seen(0.25)
    watching = forever("loop_lag", loop_lag.watch)

    # When something keeps the loop to itself until a look is long due
    await asyncio.sleep(0)
    time.sleep(HELD)  # noqa: ASYNC251 (that is what is to be seen)

    # Then it is told to have been late
    async with asyncio.timeout(10):
        while seen(0.25) == before:  # noqa: ASYNC110 (a count that nobody else tells of)
            await asyncio.sleep(0.01)
    await cancelled(watching)
