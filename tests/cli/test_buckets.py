"""The commands that read, on a database in buckets: each tells what is in all of them, once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.broker import QUEUES, make_broker
from notifier.broker.signals import Signals
from notifier.cli import main
from notifier.domain.buckets import bucket_of
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import DAY, ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core import buckets
from notifier.store.core.database import Database
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import open_events, seals, tallies
from notifier.store.people import on_call, recipients, topics
from tests import everywhere
from tests.conftest import BUCKETS
from tests.named import PUSH
from tests.pipeline.samples import AVAILABLE, COMPLETE, NOW
from tests.pipeline.steps import LATE_VAN
from tests.samples import LINKS, RENDERER
from tests.states import become_there

TEMPLATES = Path(__file__).parents[2] / "templates"
DATE = "2026-03-09"

pytestmark = pytest.mark.timeout(180)
"""Seconds: each test runs several commands, and the first of them makes a database."""


def living_in(bucket: int) -> str:
    return next(id_ for id_ in map("driver-{}".format, count()) if bucket_of(id_, BUCKETS) == bucket)


PEOPLE = sorted(map(living_in, range(BUCKETS)))
"""Somebody of each bucket."""


class Shell:
    """Runs commands on a database in buckets, in which things have happened.

    Of a station that is free again everybody hears (`free`), of the end of a session its driver (`session`), of another
    nobody (`unknown`), and one event was put aside.
    """

    def __init__(self, url: str, broker_url: str) -> None:
        self.environment = {"NOTIFIER_DATABASE_URL": url, "NOTIFIER_BROKER_URL": broker_url, "COLUMNS": "200"}
        assert f"has {BUCKETS} buckets" in self("db", "create", "--buckets", str(BUCKETS)).stdout
        asyncio.run(self._happen(url, broker_url))

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env=self.environment)

    def read(self, *arguments: str) -> Any:
        told = self(*arguments, "--json")
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)

    async def _happen(self, url: str, broker_url: str) -> None:
        broker = make_broker(broker_url)
        for queue in QUEUES:
            broker.declare_queue(queue)
        broker.flush_all()
        database = Database(url)
        await buckets.find(database)
        engine = WorkerEngine(
            database=database, catalog=load_catalog(TEMPLATES), renderer=RENDERER, signals=Signals(broker),
            clock=ManualClock(NOW), links=LINKS, transports={},
        )  # fmt: skip
        await recipients.put(database, {id_: RecipientDetails(devices=[Device(value=id_)]) for id_ in PEOPLE}, NOW)
        for id_ in PEOPLE:
            await topics.subscribe(database, AVAILABLE["topic"], id_)
        told: list[tuple[str, dict[str, Any]]] = [("station.available", AVAILABLE)]
        told += [("charging.complete", {**COMPLETE, "driver_id": id_}) for id_ in (PEOPLE[3], "nobody", PEOPLE[5])]
        reader, intake = EventReader(engine.catalog), Intake(engine)
        made = [reader.made(type_, "test", str(place), "s", NOW, data) for place, (type_, data) in enumerate(told)]
        accepted = [each.event for each in await intake.accept(made) if isinstance(each, Accepted)]
        self.free, self.session, self.unknown, self.aside = accepted
        await open_events.quarantine(engine.of(PEOPLE[5]).database, [self.aside], NOW)
        await everywhere.decide(engine, [self.free, self.session, self.unknown])
        self.sent = {row.id: row for row in await everywhere.rows(database, delivery) if row.state == "pending"}
        await become_there(database, list(self.sent), state="sent", next_check_at=None, attempts=1)
        await intake.close()
        await engine.signals.close()
        await database.close()

    def on_database(self, work: Callable[[Database], Awaitable[None]]) -> None:
        async def run() -> None:
            database = Database(self.environment["NOTIFIER_DATABASE_URL"], connections=2)
            await buckets.find(database)
            await work(database)
            await database.close()

        asyncio.run(run())

    def kill(self, number: int) -> list[str]:
        """Have so many deliveries fail, each of another bucket, one after the other; their ids, the last first."""
        ids = [row.id for row in self.sent.values() if (row.event_id, row.channel) == (self.free, PUSH)][:number]

        async def work(database: Database) -> None:
            for at, id_ in enumerate(ids):
                await become_there(database, [id_], state="failed", reason="refused", updated_at=NOW + at)

        self.on_database(work)
        return ids[::-1]


@pytest.fixture
def shell(buckets_url: str, valkey: str) -> Shell:
    return Shell(buckets_url, valkey)


def test_the_ledger_and_a_recount_add_up_all_buckets(shell: Shell) -> None:
    # When the books are read, and a day's rows are counted
    books, recount = shell.read("ledger"), shell.read("ledger", "--recount", DATE)

    # Then the event is counted once that everybody heard of, and its copies beside it
    assert (books["balanced"], books["imbalance"], books["events"], books["copies"]) == (True, 0, 4, BUCKETS - 1)
    assert (books["quarantined"], books["undecided"]) == (1, 0)
    assert books["deliveries"]["sent"] == len(shell.sent) >= BUCKETS + 1
    assert (books["days"]["open"], books["days"]["open_since"], books["days"]["sealed"]) == (1, DATE, 0)
    assert (recount["verdict"], recount["deliveries"]) == ("agrees", books["planned"])
    assert "The ledger balances." in shell("ledger").stdout


def test_a_day_is_sealed_once_it_is_in_every_bucket(shell: Shell) -> None:
    # Given a day that is sealed in all buckets but the one where an event was put aside
    async def seal(database: Database) -> None:
        for each in database.buckets:
            if each is not buckets.of(database, PEOPLE[5]):
                await seals.carry_over(each, tallies.day(NOW), NOW + DAY)

    shell.on_database(seal)

    # Then it is open, until it is sealed there too; the recount agrees
    days = shell.read("ledger")["days"]
    assert (days["open"], days["open_since"], days["sealed"], days["first_sealed"]) == (1, DATE, 0, None)
    assert shell.read("ledger", "--recount", DATE)["sealed_at"] is None

    async def seal_the_last(database: Database) -> None:
        await seals.carry_over(buckets.of(database, PEOPLE[5]), tallies.day(NOW), NOW + DAY)

    shell.on_database(seal_the_last)
    books = shell.read("ledger")
    assert (books["balanced"], books["events"]) == (True, 4)
    assert (books["days"]["open"], books["days"]["sealed"], books["days"]["last_sealed"]) == (0, 1, DATE)
    recount = shell.read("ledger", "--recount", DATE)
    assert (recount["verdict"], recount["sealed_at"]) == ("agrees", "2026-03-10T17:40:00+00:00")


def test_everybody_is_explained_once_page_by_page(shell: Shell) -> None:
    # When the event is explained that everybody heard of, by threes
    told: list[str] = []
    page = shell.read("explain", shell.free, "--limit", "3")
    while True:
        told += [made["recipient"] for made in page["decisions"]]
        if page["next"] is None:
            break
        page = shell.read("explain", shell.free, "--limit", "3", "--cursor", page["next"])

    # Then each is told once, in order, and a delivery leads to its own person
    assert told == PEOPLE
    id_, row = next(iter(shell.sent.items()))
    (made,) = shell.read("explain", "--delivery", id_)["decisions"]
    assert (made["recipient"], id_ in {sent["id"] for sent in made["deliveries"]}) == (row.recipient_id, True)


def test_who_was_not_meant_learns_why_and_that_there_was_nobody_is_told(shell: Shell) -> None:
    other = shell.read("explain", "--source", "test", "--id", "1", "--recipient", PEOPLE[0])
    assert other["decisions"] == []
    assert all("is in none of its audiences" in line for line in other["why_not"])
    unknown = shell.read("explain", shell.session, "--recipient", "nobody")
    assert unknown["why_not"] == ["Nobody with the id nobody is known here."]

    nobody = shell.read("explain", shell.unknown)
    assert {made["recipient"] for made in nobody["decisions"]} == {None}
    assert shell.read("explain", shell.aside)["state"] == "quarantined"


def test_a_simulation_reaches_whomever_the_event_would(shell: Shell) -> None:
    # Given that all but one subscribe again
    async def subscribe(database: Database) -> None:
        for id_ in PEOPLE[1:]:
            await topics.subscribe(database, AVAILABLE["topic"], id_)

    shell.on_database(subscribe)

    # When it is tried that the station is free again, for all and for two of them
    free = ("simulate", "station.available", "--data", json.dumps({**AVAILABLE, "since": "2026-03-09T18:38:00Z"}))
    everybody, one, other = (shell.read(*free, *who) for who in ((), *(("--recipient", id_) for id_ in PEOPLE[1::-1])))

    # Then each would hear once, but for the one who is asked for by name and wouldn't
    assert sorted(fate["recipient"] for fate in everybody["fates"]) == PEOPLE[1:]
    assert [fate["recipient"] for fate in one["fates"]] == [PEOPLE[1]]
    assert (other["fates"], len(other["why_not"])) == ([], 1)


def test_a_simulation_says_once_that_there_is_nobody(shell: Shell) -> None:
    nobody = shell.read("simulate", "charging.complete", "--data", json.dumps({**COMPLETE, "driver_id": "nobody"}))

    assert {fate["recipient"] for fate in nobody["fates"]} == {None}
    assert len({fate["type"] for fate in nobody["fates"]}) == len(nobody["fates"])


def test_people_of_several_buckets_are_asked_in_turn_in_a_simulation_too(shell: Shell) -> None:
    # Given a fleet's managers in several buckets, in an order
    managers = [PEOPLE[place] for place in (6, 1, 4)]

    async def write(database: Database) -> None:
        boss = RecipientDetails(kind="fleet_manager", fleets=["acme"], email="m@example.com")
        await recipients.put(database, dict.fromkeys(managers, boss), NOW)
        assert await on_call.put(database, "fleet:acme", managers) == []

    shell.on_database(write)

    # When an alert to them is tried
    told = shell.read("simulate", "vehicle.not_ready", "--data", json.dumps(LATE_VAN), "--at", "2026-03-09T17:40:00Z")

    # Then each would hear a turn after the one before
    due = {
        fate["recipient"]: min(answer["due_at"] for answer in fate["answers"] if answer["answer"] == "pending")
        for fate in told["fates"]
    }
    assert sorted(due, key=lambda id_: due[id_]) == managers
    assert len(set(due.values())) == len(managers)


def test_a_day_that_is_decided_again_differs_in_nothing(shell: Shell) -> None:
    told = shell.read("replay-day", DATE)

    assert (told["events"], told["differ"]) == (3, 0)
    assert told["decisions"] >= BUCKETS + 2


def test_dead_letters_are_listed_page_by_page_from_all_buckets(shell: Shell) -> None:
    # Given five deliveries that failed, each in another bucket, and an event that was put aside before
    ids = [*shell.kill(5), shell.aside]

    # When they are read by twos
    found: list[str] = []
    page = shell.read("dead", "list", "--limit", "2")
    while True:
        found += [letter["id"] for letter in page["letters"]]
        if page["next"] is None:
            break
        page = shell.read("dead", "list", "--limit", "2", "--cursor", page["next"])

    # Then each is there once, the newest first
    assert found[:4] == ids[:4]
    assert sorted(found) == sorted(ids)
    assert [shell.read("dead", "show", id_)["kind"] for id_ in ids] == ["delivery"] * 5 + ["event"]
    assert "Redrive 6 dead letters?" in shell("dead", "redrive", "--all").stderr


def test_the_archive_has_each_event_once_with_what_all_buckets_have_of_it(shell: Shell, tmp_path: Path) -> None:
    assert shell("db", "export", "--before", "2026-03-10", "--to", str(tmp_path / "all.ndjson")).exit_code == 0

    told = {each["id"]: each for each in map(json.loads, (tmp_path / "all.ndjson").read_text().splitlines())}
    assert list(told) == sorted([shell.free, shell.session, shell.unknown, shell.aside])
    assert sorted(made["recipient_id"] for made in told[shell.free]["decisions"]) == PEOPLE
    assert sorted({sent["recipient_id"] for sent in told[shell.free]["deliveries"]}) == PEOPLE
    assert [told[id_]["decided_at"] is None for id_ in (shell.free, shell.aside)] == [False, True]
    assert told[shell.aside]["quarantined_at"] is not None


def test_retention_says_what_goes_in_all_buckets_and_removes_it(shell: Shell) -> None:
    before = shell.read("retention", "--dry-run")["parts"]
    done = shell.read("retention")["parts"]
    after = shell.read("retention", "--dry-run")["parts"]

    # What is over is blanked in each bucket where it is, and an event that was put aside stays
    assert before["data"]["rows"] == BUCKETS + 2
    assert {part: each["rows"] for part, each in done.items()} == {part: each["rows"] for part, each in before.items()}
    assert {each["rows"] for each in after.values()} == {0}


def test_the_doctor_looks_into_every_bucket(shell: Shell) -> None:
    found = json.loads(shell("doctor", "--json").stdout)

    told = {each["part"]: each["told"] for each in found}
    assert f"{BUCKETS} buckets" in told["database"]
    assert told["ledger"].endswith("it balances")
