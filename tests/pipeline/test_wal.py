"""How much a delivery writes to the database's log: a count, so a busy machine doesn't matter."""

from dataclasses import replace

import pytest

from notifier.broker import LANES
from notifier.chaos.load import payment, people
from notifier.domain.cloudevents import EventReader
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.clock import FOLDED
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.local_dispatcher import LocalDispatcher
from notifier.providers.bulkheads import Bulkhead
from notifier.store.delivery import tallies
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.pipeline import wal
from tests.pipeline.samples import NOW

TOGETHER = 100  # events of one request, and of one decision
EVENTS = 4 * TOGETHER
MOST = 1_730
"""Bytes of log that a delivery of an event with three may write, its third of the event with it.

It writes 1,648, the same to three bytes in every run: 860 of them in deliveries and outcomes with their five indexes,
400 in the event until it is decided and what remembers that it was there, 180 in what was decided and why, 130 in its
third of the outcome that is awaited, the rest in leases, tallies and locks. A twentieth more has a reason, which the
list by tables and indexes shows; what saves as much should lower the figure.
"""


async def burst(engine: WorkerEngine) -> int:
    """Bring urgent events from their acceptance to the providers by push, text and mail; return how many messages."""
    worker = replace(engine, dispatcher=LocalDispatcher({queue: Bulkhead(float("inf")) for queue in LANES}))
    intake, reader = Intake(engine), EventReader(engine.catalog)
    for first in range(0, EVENTS, TOGETHER):
        told = [(str(number), payment(number)) for number in range(first, first + TOGETHER)]
        answers = await intake.accept(
            [reader.made(each["type"], "test", id_, id_, NOW, each["data"]) for id_, each in told]
        )
        await decide(worker, [answer.event for answer in answers if isinstance(answer, Accepted)])
    await intake.close()
    await worker.dispatcher.close()
    while await tallies.fold(engine.database, FOLDED):
        pass  # as an audit does: what it writes belongs to them
    books = await ledger.read(engine.database)
    assert books.balanced
    assert books.deliveries["sent"] == books.total == 3 * EVENTS
    return books.total


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_delivery_writes_so_many_bytes_to_the_log_and_no_more(engine: WorkerEngine) -> None:
    # Given people with a phone and a mailbox each
    await recipients.put(engine.database, people(), NOW)
    since = await wal.position(engine.database)

    # When each is told of some urgent events
    number = await burst(engine)

    # Then accepting, deciding and sending wrote no more than what one such delivery is known to take
    written = await wal.written(engine.database, since)
    told = [f"{each.bytes / number:7.0f} {each.records / number:7.2f}  {each.relation}" for each in written]
    per_delivery = sum(each.bytes for each in written) / number
    assert per_delivery <= MOST, "\n".join([f"{per_delivery:.0f} bytes a delivery:", "  bytes records  of", *told])
