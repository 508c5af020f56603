"""Receipts: providers' later reports move deliveries forward, and suppress addresses that they call bad.

Reports come at least once, in any order, and about deliveries in any state. Whether one counts is decided on the locked
row, so that a repeat, a latecomer or a replay finds nothing to move, and then changes nothing else either.
"""

from collections.abc import Mapping, Sequence
from random import SystemRandom

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics
from notifier.domain.deliveries import UNREACHED, State, may_move
from notifier.domain.effects import What
from notifier.domain.messages import Report
from notifier.pipeline.engine import Engine
from notifier.pipeline.traces import tell_reported
from notifier.providers.retries import Retry
from notifier.providers.spec import retries
from notifier.store.core.buckets import over
from notifier.store.core.database import Database
from notifier.store.delivery import earlier, effect_places, fallback_steps, receipts
from notifier.store.delivery.receipts import DeliveryStatus
from notifier.store.people import suppressions
from notifier.store.people.suppressions import AddressKey, Suppression

BATCH = 500  # reports written together
ONCE_MORE = 2  # attempts at a message that its provider accepted and then could not deliver: the first and a later one

_DICE = SystemRandom()

Named = tuple[str, Suppression]
"""A delivery, and an address that a report about it names."""


class Recorded(msgspec.Struct, frozen=True):
    """The effect of a report."""

    moved: bool = False
    suppressed: bool = False


def _either(found: Sequence[list[Recorded]]) -> list[Recorded]:
    """The effect of each report where its delivery is."""
    return [
        Recorded(any(each.moved for each in of_one), any(each.suppressed for each in of_one))
        for of_one in zip(*found, strict=True)
    ]


async def take(engine: Engine, reports: Sequence[Report]) -> list[Recorded]:
    """Apply each report as it comes in, and tell of those that moved a delivery in its event's trace."""
    began = engine.clock.now()
    recorded = await record(engine.database, reports, began)
    if engine.tracer is not None:
        moved = [report for report, done in zip(reports, recorded, strict=True) if done.moved]
        traces = await receipts.traces(engine.database, [report.delivery for report in moved])
        tell_reported(engine.tracer, moved, traces, began, engine.clock.now())
    return recorded


@over(_either)
async def record(database: Database, reports: Sequence[Report], now: int) -> list[Recorded]:
    """Apply each report, in order and in one transaction. Its delivery is in one bucket, which nobody can tell by its
    id: all are asked for the batch, and where it isn't known it changes nothing."""
    key = await suppressions.address_key(database)

    async def work(connection: AsyncConnection) -> list[Recorded]:
        standings, told = await _lock(connection, database.dialect, reports)
        moved = advance(standings, told)
        moves = {report.delivery: report for report, counted in zip(told, moved, strict=True) if counted}
        await receipts.write(connection, database.dialect, standings, moves, now)
        opened = [(id_, What.OPENED) for id_, report in moves.items() if report.opened]
        await effect_places.add_deeds(connection, database.dialect, opened)
        again = await _wait_again(connection, database.dialect, standings, moves, now)
        ended = [id_ for id_, report in moves.items() if report.state in UNREACHED and id_ not in again]
        await fallback_steps.bring_forward(connection, database.dialect, ended, now)
        named = [_named(report, key) if counted else set() for report, counted in zip(told, moved, strict=True)]
        # Bounce mails are easily forged: one that names a delivery may only affect that delivery's address.
        held = await suppressions.still_held(connection, database.dialect, set[Named]().union(*named))
        await suppressions.add(connection, database.dialect, {each for _, each in held}, now)
        return [Recorded(counted, not held.isdisjoint(each)) for counted, each in zip(moved, named, strict=True)]

    recorded = await database.write(work)
    for report, done in zip(reports, recorded, strict=True):
        if done.moved:
            metrics.receipts.labels(report.channel, report.state, report.reason or "").inc()
    return recorded


async def _lock(
    connection: AsyncConnection, dialect: str, reports: Sequence[Report]
) -> tuple[Mapping[str, DeliveryStatus], Sequence[Report]]:
    """Lock the deliveries of reports, and name by their ids of today those that providers know by earlier ones."""
    standings = await receipts.lock(connection, dialect, [report.delivery for report in reports])
    unknown = {report.delivery for report in reports} - standings.keys()
    renamed = await earlier.deliveries(connection, dialect, unknown) if unknown else {}
    if not renamed:
        return standings, reports
    standings = {**standings, **await receipts.lock(connection, dialect, sorted(renamed.values()))}
    return standings, [
        msgspec.structs.replace(report, delivery=renamed.get(report.delivery, report.delivery)) for report in reports
    ]


def advance(standings: Mapping[str, DeliveryStatus], reports: Sequence[Report]) -> list[bool]:
    """The reports that move their delivery, each from the state that the report before it left."""
    now = dict(standings)
    moved = []
    for report in reports:
        status = now.get(report.delivery)
        counted = status is not None and counts(status, report)
        moved.append(counted)
        if status is not None and counted:
            reference = report.reference or status.provider_reference
            now[status.id] = msgspec.structs.replace(status, state=report.state, provider_reference=reference)
    return moved


def counts(status: DeliveryStatus, report: Report) -> bool:
    """Whether a report moves a delivery."""
    if status.channel != report.channel or not may_move(status.state, report.state):
        return False
    # A message that was sent twice is delivered if either was, and undelivered only if the last one was not.
    known = status.provider_reference, report.reference
    same = None not in known and known[0] == known[1]
    match status.state, report.state:
        case (State.PENDING, State.SENT) | (State.SENDING, State.UNDELIVERED) if same:
            return False  # the receipt repeats the outcome of the earlier text, which has been retried since
        case _, State.UNDELIVERED:
            return None in known or same
        case _:
            return True


async def _wait_again(
    connection: AsyncConnection,
    dialect: str,
    standings: Mapping[str, DeliveryStatus],
    moves: Mapping[str, Report],
    now: int,
) -> Mapping[str, int]:
    """Schedule one more attempt for deliveries that met a temporary failure, within their time to live and where no
    other channel follows; returns the due time of each."""
    passing = {id_: retry for id_, report in moves.items() if (retry := _retry(report)) is not None}
    if not passing:
        return {}
    found = await receipts.tries(connection, dialect, list(passing))
    due: dict[str, int] = {}
    for id_, written in found.items():
        tries = written + (standings[id_].state == State.SENDING)  # the worker has not recorded the outcome yet
        due_at = now + passing[id_].pause(max(tries, 1), None, _DICE)
        if tries < ONCE_MORE and due_at < standings[id_].expires_at:
            due[id_] = due_at
    if due:
        await receipts.wait_again(connection, dialect, due)
    return due


def _retry(report: Report) -> Retry | None:
    return None if report.again is None else retries(report.channel)[report.again]


def _named(report: Report, key: AddressKey) -> set[Named]:
    if report.suppress is None:
        return set()
    return {(report.delivery, Suppression(key(report.channel, each), report.suppress)) for each in report.addresses}
