"""Scenarios of databases whose leader dies: another server takes its place, and what was answered 202 is there."""

import asyncio
import contextlib

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.chaos import ledger
from notifier.chaos.clusters.galera import GaleraCluster, galera
from notifier.chaos.clusters.patroni import PatroniCluster, patroni
from notifier.chaos.failover import FailOver, fail_over, outcome, resumed
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome
from notifier.domain.errors import StoreUnavailable
from notifier.store.core.database import Database

ADDED = 100  # transactions that each of two nodes commits to one row


async def postgresql_failover(options: Options) -> ScenarioOutcome:
    """The leader of two PostgreSQL servers dies, with a synchronous standby (Patroni)."""
    async with patroni(synchronous=True) as cluster:
        return outcome(await _fails_over(options, cluster))


async def postgresql_failover_async(options: Options) -> ScenarioOutcome:
    """The same with a standby that need not have what is committed: the last of it is lost, and the books tell what."""
    async with patroni(synchronous=False) as cluster:
        return _with_losses(await _fails_over(options, cluster, again=True))


async def galera_node(options: Options) -> ScenarioOutcome:
    """The node that is written to dies, of three MariaDB servers (Galera)."""
    async with galera() as cluster:
        total, again = await _conflicts(cluster)
        told = outcome(await _fails_over(options, cluster))
    return ScenarioOutcome(
        told.figures | {"conflicts": again},
        told.demands
        | {
            "transactions of two nodes conflicted": again > 0,
            "each was run again whole, and committed once": total == 2 * ADDED,
        },
    )


async def _fails_over(options: Options, cluster: PatroniCluster | GaleraCluster, *, again: bool = False) -> FailOver:
    """Run the fail-over of a database that the scenario brings itself, whatever database the options name."""
    without = msgspec.structs.replace(options, database=None)
    return await fail_over(without, cluster, {"database_url": cluster.url}, again=again)


def _with_losses(found: FailOver) -> ScenarioOutcome:
    """Return the outcome of a fail-over that may lose what was committed last, but nothing by halves."""
    assert found.again is not None  # noqa: S101 (it was asked for)
    missing = set(found.accepted) - found.seen.ledger.events.keys()
    told = [answer.answered for answer in found.answers if missing & set(answer.ids)]
    kept = [id_ for id_ in found.accepted if id_ not in missing] + found.repeated
    rest = ledger.compare(found.seen.ledger, found.seen.arrivals, kept, each=3)
    return ScenarioOutcome(
        found.figures
        | {
            "accepted": rest.accepted, "lost": rest.lost, "lost_events": len(missing),
            "lost_before_the_kill_s": round(found.killed - min(told), 1) if told else 0.0,
            "lost_after_a_repeat": found.again.findings.lost,
        },
        resumed(found)
        | {
            "something was accepted": rest.accepted > 0,
            "nothing is lost of the events that are there": rest.lost == 0,
            "nothing is lost once all events were reported again": found.again.findings.lost == 0,
        },
    )  # fmt: skip


async def _conflicts(cluster: GaleraCluster) -> tuple[int, int]:
    """Add one to a number at two nodes at once, again and again; return what it comes to, and how many transactions
    were run again."""
    first, second = (Database(node.url, connections=4) for node in cluster.nodes[:2])
    runs = 0

    async def make(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("CREATE TABLE conflict (id integer PRIMARY KEY, total integer)"))
        await connection.execute(sa.text("INSERT INTO conflict VALUES (1, 0)"))

    async def add(connection: AsyncConnection) -> None:
        nonlocal runs
        runs += 1
        total = (await connection.execute(sa.text("SELECT total FROM conflict FOR UPDATE"))).scalar_one()
        await connection.execute(sa.text("UPDATE conflict SET total = :total"), {"total": total + 1})

    async def read(connection: AsyncConnection) -> int:
        return int((await connection.execute(sa.text("SELECT total FROM conflict"))).scalar_one())

    async def add_often(database: Database) -> None:
        for _ in range(ADDED):
            added = False
            while not added:
                with contextlib.suppress(StoreUnavailable):  # after some tries in vain; a caller tries again
                    await database.write(add)
                    added = True

    try:
        await first.write(make)
        await asyncio.gather(add_often(first), add_often(second))
        return await first.read(read), runs - 2 * ADDED
    finally:
        await asyncio.gather(first.close(), second.close())
