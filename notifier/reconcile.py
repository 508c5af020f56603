"""Compare our ledger with the providers' records, message by message: which messages were lost or sent twice.

For the demo, the benchmarks and the fault scenarios, where the sandbox's ledger tells what truly arrived.
"""

from collections.abc import Mapping

import aiohttp
import msgspec

from notifier.domain.deliveries import State
from notifier.store.core.database import Database
from notifier.store.delivery import deliveries
from notifier.store.reading.ledger import Ledger

HANDED_OVER = frozenset({State.SENT, State.DELIVERED, State.UNDELIVERED})
TIMEOUT = 60  # seconds: the sandbox's list of a million references takes a few


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """`lost`: deliveries that are sent by our ledger but never arrived, or that the ledger lacks. `duplicated`:
    arrivals after a delivery's first. `unrecorded`: arrivals of deliveries that we don't call sent or unknown."""

    lost: int
    duplicated: int
    unrecorded: int
    received: dict[str, int]


async def reconcile(database: Database, books: Ledger, sandbox_url: str) -> Reconciliation:
    """Compare every delivery with the sandbox's ledger."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{sandbox_url}/sandbox/references") as response,
    ):
        response.raise_for_status()
        arrived = msgspec.json.decode(await response.read(), type=dict[str, dict[str, int]])
    return compare(await deliveries.states(database), arrived, books.imbalance + books.undecided + books.quarantined)


def compare(
    states: Mapping[tuple[str, str], State], arrived: Mapping[str, Mapping[str, int]], missing: int
) -> Reconciliation:
    """Compare states with arrivals: `states` by channel and id, `arrived` counts by channel and reference.

    What goes to a channel that `arrived` doesn't name reaches no provider: only our own ledger records it.
    """
    times = {(channel, reference): count for channel, counts in arrived.items() for reference, count in counts.items()}
    handed_over = {key for key, state in states.items() if state in HANDED_OVER and key[0] in arrived}
    maybe = {key for key, state in states.items() if state == State.UNKNOWN}
    return Reconciliation(
        lost=len(handed_over - times.keys()) + missing,
        duplicated=sum(count - 1 for count in times.values()),
        unrecorded=len(times.keys() - handed_over - maybe),
        received={channel: sum(counts.values()) for channel, counts in arrived.items()},
    )
