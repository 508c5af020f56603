"""Any interleaving of what workers, clocks, providers, crashes and people do: states go forward, and the books balance.
Every rule is a step that some process takes in one transaction or a few; hypothesis chooses their order."""

import asyncio
import itertools
import math
import random
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from dramatiq.brokers.stub import StubBroker
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notifier.broker import LANES
from notifier.broker.signals import Signals
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import DAY, MINUTE, SECOND, ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import DEAD, MOVES, TERMINAL, Channel, State
from notifier.domain.errors import OutcomeUnknown, Refused, SendError, Unavailable
from notifier.domain.messages import Device, Receipt, Report
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline import clock, dead, receipts, sealing
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import SIGNAL_AGAIN, WorkerEngine
from notifier.pipeline.local_dispatcher import LocalDispatcher
from notifier.pipeline.resolve import ask
from notifier.pipeline.settle import NOT_RENDERED, attempt, settle
from notifier.providers.bulkheads import Bulkhead
from notifier.rendering import Brand, Renderer
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.schema import event, lease, plan
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import leases, open_events, tallies, unknown_checks
from notifier.store.delivery.deliveries import Ready
from notifier.store.people import recipients
from notifier.store.reading import ledger
from notifier.store.reading.recount import recount
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.logged import Logged
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, WARNING, Dying
from tests.samples import LINKS

T = TypeVar("T")

TEMPLATES = Path(__file__).parents[2] / "templates"
CATALOG = load_catalog(TEMPLATES)
RENDERER = Renderer(CATALOG, TEMPLATES, Brand("Voltline", "https://app.example.com"))
REPORTED: dict[str, dict[str, Any]] = {
    "charging.complete": COMPLETE,
    "idle.warning": WARNING,
    "session.receipt": RECEIPT,
    "session.ended": {"session_id": "101"},
}
OUTCOMES: dict[str, SendError | None] = {
    "sent": None,
    "retry": Unavailable("provider", "503", "down"),
    "unknown": OutcomeUnknown("provider", "timeout", "no answer"),
    "refused": Refused("provider", "400", "no"),
}


@cache
def empty() -> Path:
    """A migrated SQLite file."""
    path = Path(tempfile.mkdtemp(prefix="notifier-")) / "empty.db"

    async def make() -> None:
        database = Database(f"sqlite:///{path}", connections=1)
        await migrate.upgrade(database)
        await database.close()

    asyncio.run(make())
    return path


def reachable() -> dict[State, set[State]]:
    """The states that may be seen later, however many moves lie between."""
    later: dict[State, set[State]] = {state: {state, *MOVES[state]} for state in State}
    for _ in State:
        later = {state: {further for each in nexts for further in later[each]} for state, nexts in later.items()}
    return later


LATER = reachable()


class Provider:
    """A provider on order: the outcome of the next sends, and what it says when it is asked."""

    def __init__(self) -> None:
        self.outcome = "sent"
        self.has: list[str] = []

    async def send(self, message: Any) -> Receipt:
        if self.outcome in ("sent", "unknown"):
            self.has.append(message.reference)
        error = OUTCOMES[self.outcome]
        if error is not None:
            raise error
        return Receipt("provider", message.reference)

    async def find(self, message: Any, since: int) -> Receipt | None:  # noqa: ARG002 (a message is found by its id here)
        if self.outcome == "retry":
            raise Unavailable("provider", "503", "down")
        return Receipt("provider", message.reference) if message.reference in self.has else None

    async def close(self) -> None:
        return


BY_RECEIPT = (State.SENT, State.DELIVERED, State.UNDELIVERED)


def stands(row: Any) -> tuple[Any, ...]:
    """What is to come of a delivery, beside what is known of it."""
    return row.state, row.reason, row.next_check_at


class Worker:
    """What a worker holds: its token, and what it claimed under it."""

    def __init__(self, token: str, held: list[Ready]) -> None:
        self.token = token
        self.held = held


subsets = st.none() | st.lists(st.integers(0, 15), min_size=1, max_size=3)
"""Which of the rows that are there, by number (those that a step is about come first), or all of them."""


class Deliveries(RuleBasedStateMachine):
    """The whole pipeline over SQLite, its clock and its provider in hypothesis' hands."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="notifier-")
        shutil.copy(empty(), Path(self.folder.name) / "notifier.db")
        self.clock = ManualClock(NOW)
        self.provider = Provider()
        self.random = random.Random(1)  # noqa: S311 (pauses, the same in every run)
        self.numbers = itertools.count()
        self.workers: list[Worker] = []
        self.found: list[Any] = []
        self.logged = Logged()
        self.engine = WorkerEngine(
            database=Database(f"sqlite:///{self.folder.name}/notifier.db", connections=2),
            catalog=CATALOG,
            signals=Signals(StubBroker(middleware=[])),
            clock=self.clock,
            links=LINKS,
            renderer=RENDERER,
            transports=dict.fromkeys((PUSH, SMS, EMAIL), self.provider),
            random=self.random,
        )

        @sa.event.listens_for(self.engine.database.engine.sync_engine, "connect")
        def hurry(connection: Any, _record: Any) -> None:
            # Nobody pulls the plug here.
            connection.execute("PRAGMA synchronous=OFF").close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        async def close() -> None:
            await self.engine.signals.close()
            await self.engine.database.close()

        self.run(close())
        self.runner.close()
        self.folder.cleanup()

    async def rows(self, table: sa.FromClause = delivery) -> list[Any]:
        order = table.primary_key if isinstance(table, sa.Table) else [table.c.id]
        async with self.engine.database.engine.connect() as connection:
            return list(await connection.execute(sa.select(table).order_by(*order)))

    def some(self, which: list[int] | None, *first: str) -> list[Any]:
        """The deliveries that numbers stand for, each once; those in the states `first` have the first numbers."""
        found = sorted(self.found, key=lambda row: row.state not in first)
        numbers = range(len(found)) if which is None else {number % len(found) for number in which}
        return [found[number] for number in numbers]

    def some_events(self, which: list[int] | None) -> list[str]:
        """The ids of events, undecided ones first."""
        decided = {row.event_id for row in self.run(self.rows(plan))}
        found = sorted(self.run(self.rows(event)), key=lambda row: row.id in decided)
        numbers = range(len(found)) if which is None else {number % len(found) for number in which}
        return [found[number].id for number in numbers]

    @initialize(outcomes=st.tuples(*[st.sampled_from(["not yet", "not yet", *OUTCOMES])] * 4))
    def some_were_told(self, outcomes: tuple[str, ...]) -> None:
        details = RecipientDetails(
            email="ada@example.com", phone="+4915123456789", devices=[Device(value="token-1")], tokens=["NL-TST-C1"]
        )
        self.run(recipients.put(self.engine.database, {"ada": details}, NOW))
        for session, outcome in enumerate(outcomes):
            self.report("charging.complete", session, known=True, decided=True)
            self.states_go_forward()
            if outcome != "not yet":
                self.deliver(None, outcome)

    # What services report, and what is decided

    @rule(type=st.sampled_from(sorted(REPORTED)), session=st.integers(0, 4), known=st.booleans(), decided=st.booleans())
    def report(self, type: str, session: int, known: bool, decided: bool) -> None:
        data = {**REPORTED[type], "session_id": str(session)}
        if not known:
            data = {**data, "driver_id": "nobody", "token": "nobody"}
        reader, number = EventReader(CATALOG), str(next(self.numbers))
        fields = {name: value for name, value in data.items() if type != "session.ended" or name == "session_id"}

        async def accept() -> str:
            intake = Intake(self.engine)
            (answer,) = await intake.accept([reader.made(type, "test", number, "101", self.clock.now(), fields)])
            await intake.close()
            assert isinstance(answer, Accepted)
            return answer.event

        id_ = self.run(accept())
        if decided:
            self.run(decide(self.engine, [id_]))

    @rule(which=subsets, tries=st.sampled_from([None, 0, 1]), dies=st.booleans())
    def decide(self, which: list[int] | None, tries: int | None, dies: bool) -> None:
        ids = self.some_events(which)
        if dies and tries is not None:
            self.run(open_events.begin_try(self.engine.database, ids, tries, self.clock.now() + SIGNAL_AGAIN))
        elif not dies:
            self.run(decide(self.engine, ids, tries=tries))

    @rule(which=subsets, outcome=st.sampled_from(["crash", *OUTCOMES]))
    def decide_and_deliver(self, which: list[int] | None, outcome: str) -> None:
        """A worker that has room decides, and sends what it took, or ends before it does."""
        ids = self.some_events(which)
        rooms = {queue: Bulkhead(math.inf) for queue in LANES}

        async def work() -> None:
            nearby = LocalDispatcher(rooms) if outcome != "crash" else Dying(rooms)
            await decide(replace(self.engine, dispatcher=nearby), ids)
            await nearby.close()

        if outcome != "crash":
            self.provider.outcome = outcome
        self.run(work())

    # Workers, whole or step by step

    @rule(which=subsets, outcome=st.sampled_from(sorted(OUTCOMES)))
    def deliver(self, which: list[int] | None, outcome: str) -> None:
        self.provider.outcome = outcome
        for channel in (PUSH, SMS, EMAIL):
            ids = [row.id for row in self.some(which, "pending") if row.channel == channel]
            self.run(deliver(self.engine, channel, ids))

    @precondition(lambda self: any(row.state == "pending" for row in self.found))
    @rule(which=subsets)
    def claim(self, which: list[int] | None) -> None:
        before = {row.id: row.state for row in self.found}
        token, now = f"worker {next(self.numbers)}", self.clock.now()
        ids = [row.id for row in self.some(which, "pending")]
        held = self.run(leases.claim(self.engine.database, ids, token, now, now + LEASE))
        assert {before[each.id] for each in held} <= {"pending"}, "what was claimed was nobody's"
        if held:
            self.workers.append(Worker(token, held))

    @precondition(lambda self: self.workers or any(row.state == "pending" for row in self.found))
    @rule(
        number=st.integers(0, 10), outcome=st.sampled_from(["crash", *OUTCOMES]),
        meanwhile=st.sampled_from(["nothing", "a receipt", "its lease ends", "another one claims"]),
    )  # fmt: skip
    def settle(self, number: int, outcome: str, meanwhile: str) -> None:
        if not self.workers:
            self.claim(None)
            self.states_go_forward()
        if not self.workers:
            return  # what is pending isn't due
        worker = self.workers.pop(number % len(self.workers))
        if outcome == "crash":
            return
        self.overtake(worker, meanwhile)
        own = {row.id for row in self.found if row.lease_token == worker.token}
        now = self.clock.now()
        result = OUTCOMES[outcome] or Receipt("provider", "reference")
        settled = [settle(ready, worker.token, result, NOT_RENDERED, now, self.random) for ready in worker.held]
        attempts = [attempt(ready, result, now, now) for ready in worker.held]
        recorded = self.run(leases.settle(self.engine.database, settled, attempts, [], now))
        after = self.run(self.rows())
        changed = {new.id for old, new in zip(self.found, after, strict=True) if stands(old) != stands(new)}
        assert changed == own, "an outcome counts under the lease's token alone"
        late = {each.id for each in worker.held} - own
        overtaken = [row for row in self.found if row.id in late and not row.lease_token and row.state in BY_RECEIPT]
        assert recorded == len(own) + len(overtaken)

    def overtake(self, worker: Worker, how: str) -> None:
        """What may happen to a worker's deliveries before it comes to settle them."""
        if how == "a receipt":
            told = [Report(delivery=each.id, channel=each.channel, state=State.DELIVERED) for each in worker.held]
            self.run(receipts.record(self.engine.database, told, self.clock.now()))
        elif how != "nothing":
            self.time_passes(LEASE)
            self.states_go_forward()
            if how == "another one claims":
                self.claim(None)
        self.states_go_forward()

    @rule(which=subsets, answers=st.sampled_from(["sent", "retry"]), dies=st.booleans())
    def ask(self, which: list[int] | None, answers: str, dies: bool) -> None:
        self.provider.outcome = answers
        now, ids = self.clock.now(), [row.id for row in self.some(which, "unknown") if row.channel == "sms"]
        if dies:
            self.run(unknown_checks.begin(self.engine.database, ids, now + SIGNAL_AGAIN, now + LEASE))
        else:
            self.run(ask(self.engine, ids))

    # The clock

    @rule(step=st.sampled_from([1, SECOND, SIGNAL_AGAIN, LEASE, LEASE, 10 * MINUTE, 31 * MINUTE]))
    def time_passes(self, step: int) -> None:
        self.clock.advance(step)
        self.run(clock.tick(self.engine))

    # Providers and people

    @rule(which=subsets, state=st.sampled_from([State.SENT, State.DELIVERED, State.UNDELIVERED]))
    def receipt(self, which: list[int] | None, state: State) -> None:
        told = self.some(which, "sending", "unknown")
        reports = [Report(delivery=row.id, channel=Channel(row.channel), state=state) for row in told]
        self.run(receipts.record(self.engine.database, reports, self.clock.now()))

    @rule(which=subsets, act=st.sampled_from([dead.redrive, dead.discard]))
    def handle(self, which: list[int] | None, act: Any) -> None:
        before = {row.id: row.state for row in self.found}
        ids = [*(row.id for row in self.some(which, *DEAD)), *self.some_events(which)]
        results: list[dead.Result] = self.run(act(self.engine, ids, "ada"))
        for result in results:
            assert result.delivery is None or before[result.id] in DEAD, "only what is dead is redriven"

    @rule(limit=st.integers(2, 50))
    def fold(self, limit: int) -> None:
        self.run(tallies.fold(self.engine.database, limit))

    @rule(days=st.sampled_from([0, 1, 1]))
    def seal(self, days: int) -> None:
        """Days that have ended are sealed, where all of them is over."""
        self.time_passes(days * DAY)
        self.run(sealing.seal(self.engine, asyncio.Event()))
        self.the_rows_are_as_many_as_the_books_say()

    # What holds, whatever happens

    @invariant()
    def states_go_forward(self) -> None:
        before = {row.id: State(row.state) for row in self.found}
        self.found = self.run(self.rows())
        for row in self.found:
            was = before.get(row.id, State(row.state))
            assert State(row.state) in LATER[was], f"{was} became {row.state}"
            assert was not in TERMINAL or row.state == was
        redriven = [row.redrive_of for row in self.found if row.redrive_of]
        assert len(redriven) == len(set(redriven)), "one id, one redrive"
        leased = {row.token for row in self.run(self.rows(lease))}
        for row in self.found:
            assert row.lease_token is not None or row.state != "sending", row
            is_scheduled = row.next_check_at is not None or row.batch_token in leased
            assert is_scheduled or row.state not in ("pending", "sending"), "the clock looks at what is open"
        self.run(self.logged.catch_up(self.engine.database, self.found))

    @invariant()
    def the_books_balance(self) -> None:
        books = self.run(ledger.read(self.engine.database))
        assert books.balanced, books

    def the_rows_are_as_many_as_the_books_say(self) -> None:
        for day in range(tallies.day(NOW), tallies.day(self.clock.now()) + 1):
            recounted = self.run(recount(self.engine.database, day))
            assert recounted.verdict == "agrees", recounted


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    phases=[Phase.generate, Phase.reuse],
    suppress_health_check=[HealthCheck.too_slow],
)
