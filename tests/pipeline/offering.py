"""A process that offers free ports at an instant (`argv`: the database's URL, epoch milliseconds), over and over, until
it is killed; it says that it has begun."""

import asyncio
import sys

from dramatiq.brokers.stub import StubBroker

from notifier.broker.signals import Signals
from notifier.domain.clock import ManualClock
from notifier.pipeline import availability, stations
from notifier.pipeline.engine import Engine
from notifier.store.core import buckets
from notifier.store.core.database import Database
from tests.samples import CATALOG, LINKS, RENDERER


async def main(url: str, now: str) -> None:
    """Offer, until somebody ends it."""
    database = Database(url, connections=2)
    await buckets.find(database)
    engine = Engine(
        database=database, catalog=CATALOG, renderer=RENDERER, signals=Signals(StubBroker(middleware=[])),
        clock=ManualClock(int(now)), links=LINKS,
    )  # fmt: skip
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    teller = availability.Teller(engine)
    while True:
        await stations.look(engine)
        await availability.look(engine)
        await teller.tell()
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
