"""Digests under any interleaving of losses, returns, time, workers and their deaths: each item once, and none lost."""

import asyncio
import itertools
import random
import re
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from dramatiq.brokers.stub import StubBroker
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from notifier.broker.signals import Signals
from notifier.channels.email.messages import EmailMessage
from notifier.domain.clock import MINUTE, ManualClock, to_datetime
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import TOLD, State
from notifier.domain.errors import OutcomeUnknown, Refused, Unavailable
from notifier.domain.messages import Receipt
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline import clock
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.database import Database
from notifier.store.core.schema import event
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import leases
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.named import EMAIL
from tests.pipeline.samples import NOW
from tests.pipeline.steps import offline, online
from tests.pipeline.test_state_machine import CATALOG, RENDERER, empty
from tests.samples import LINKS

T = TypeVar("T")

OUTCOMES = {
    "sent": None,
    "later": Unavailable("mail", "451", "later"),
    "refused": Refused("mail", "552", "no"),
    "unknown": OutcomeUnknown("mail", "timeout", "no answer"),
}
ITEM = re.compile(r"^(?:Station: )?Station ([0-9]+)(?::|$)", re.MULTILINE)
"""A station in a mail: its row among others, or in a mail about it alone."""


class Mailbox:
    """A mail server on order, and what it has: the stations of each mail, by its reference."""

    def __init__(self) -> None:
        self.outcome = "sent"
        self.has: dict[str, list[str]] = {}

    async def send(self, message: EmailMessage) -> Receipt:
        error = OUTCOMES[self.outcome]
        if self.outcome in ("sent", "unknown"):
            self.has[message.reference] = ITEM.findall(message.content.text)
        if error is not None:
            raise error
        return Receipt("mail", message.reference)

    async def close(self) -> None:
        return


class Digests(RuleBasedStateMachine):
    """Decisions, claims, sends and deaths in hypothesis' order, over SQLite."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="notifier-")
        shutil.copy(empty(), Path(self.folder.name) / "notifier.db")
        self.clock = ManualClock(NOW)
        self.mailbox = Mailbox()
        self.numbers = itertools.count()
        self.engine = WorkerEngine(
            database=Database(f"sqlite:///{self.folder.name}/notifier.db", connections=2),
            catalog=CATALOG,
            signals=Signals(StubBroker(middleware=[])),
            clock=self.clock,
            renderer=RENDERER,
            links=LINKS,
            transports={EMAIL: self.mailbox},
            random=random.Random(1),  # noqa: S311 (pauses, the same in every run)
        )

        @sa.event.listens_for(self.engine.database.engine.sync_engine, "connect")
        def hurry(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF").close()  # nobody pulls the plug here

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        async def close() -> None:
            await self.engine.signals.close()
            await self.engine.database.close()

        try:
            self.run(self.drain())
            self.none_is_lost_and_none_is_told_twice()
        finally:
            self.run(close())
            self.runner.close()
            self.folder.cleanup()

    async def rows(self) -> list[Any]:
        async with self.engine.database.engine.connect() as connection:
            return list(await connection.execute(sa.select(delivery).order_by(delivery.c.created_at, delivery.c.id)))

    async def pending(self) -> list[str]:
        return [row.id for row in await self.rows() if row.state == State.PENDING]

    async def drain(self) -> None:
        """Let everything be decided and delivered by a mail server that takes all."""
        self.mailbox.outcome = "sent"
        async with self.engine.database.engine.connect() as connection:
            waiting = list((await connection.execute(sa.select(event.c.id))).scalars())
        await decide(self.engine, waiting)
        for _ in range(8):
            self.clock.advance(11 * MINUTE)
            await clock.tick(self.engine)
            await deliver(self.engine, EMAIL, await self.pending())

    @initialize()
    def there_is_an_operator(self) -> None:
        details = RecipientDetails(kind="site_operator", email="ada@example.com", sites=["gent"])
        self.run(recipients.put(self.engine.database, {"ada": details}, NOW))

    @rule(is_back=st.booleans(), station=st.integers(0, 3), decided=st.sampled_from([True, True, False]))
    def report(self, is_back: bool, station: int, decided: bool) -> None:
        number = next(self.numbers)
        at = to_datetime(self.clock.now()).isoformat(timespec="milliseconds")
        data = online(str(station), at) if is_back else offline(str(station), at)
        type_ = "station.online" if is_back else "station.offline"
        reader = EventReader(CATALOG)

        async def accept() -> None:
            intake = Intake(self.engine)
            (answer,) = await intake.accept([reader.made(type_, "test", str(number), "s", self.clock.now(), data)])
            await intake.close()
            assert isinstance(answer, Accepted)
            if decided:
                await decide(self.engine, [answer.event])

        self.run(accept())
        self.clock.advance(1)

    @rule(step=st.sampled_from([1, MINUTE, 5 * MINUTE, 10 * MINUTE, LEASE]))
    def time_passes(self, step: int) -> None:
        self.clock.advance(step)
        self.run(clock.tick(self.engine))

    @rule(outcome=st.sampled_from(["sent", *OUTCOMES]))
    def deliver(self, outcome: str) -> None:
        self.mailbox.outcome = outcome
        self.run(deliver(self.engine, EMAIL, self.run(self.pending())))

    @rule()
    def a_worker_dies_after_its_claim(self) -> None:
        now = self.clock.now()
        ids = self.run(self.pending())
        self.run(leases.claim(self.engine.database, ids, f"worker {next(self.numbers)}", now, now + LEASE))

    @invariant()
    def each_item_is_in_one_digest_that_holds_it(self) -> None:
        found = self.run(self.rows())
        digests = {row.id for row in found if row.digest_id == row.id}
        for row in found:
            if row.state == State.COLLECTED:
                assert row.digest_id in digests, "an item waits in a digest that is there"

    @invariant()
    def the_books_balance(self) -> None:
        assert self.run(ledger.read(self.engine.database)).imbalance == 0

    def none_is_lost_and_none_is_told_twice(self) -> None:
        found = self.run(self.rows())
        assert not [row for row in found if row.state in ("pending", "sending")]
        for digest in (row for row in found if row.digest_id == row.id):
            held = [row for row in found if row.digest_id == digest.id and row.state == State.COLLECTED]
            if digest.state in TOLD:
                # What a mail server may have got and got again carries one reference, and the last copy counts.
                assert len(self.mailbox.has[digest.id]) == len(held), "a mail tells each item it holds, once"
            elif not held:
                assert digest.state in ("suppressed", "failed", "expired", "unknown"), digest.state
            else:
                assert digest.state in ("failed", "expired", "unknown"), "what was not told has a dead letter"
        for closing in (row for row in found if row.type == "station-online" and row.state == State.SENT):
            before = [row for row in found if row.type == "station-offline" and row.created_at < closing.created_at]
            assert any(row.state == State.COLLECTED for row in before), "only who was told hears that it is over"


TestDigests = Digests.TestCase
TestDigests.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, phases=[Phase.generate, Phase.reuse],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
