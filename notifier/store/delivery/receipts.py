"""Deliveries as receipts read and change them."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import OVER, HeldChannel, State
from notifier.domain.errors import OutcomeUnknown
from notifier.domain.messages import Report
from notifier.domain.trace_context import TraceContext, parted
from notifier.store.core import rows
from notifier.store.core.buckets import over
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event, open_delivery, outcome
from notifier.store.core.status import status_of
from notifier.store.delivery import batch_leases, fallback_steps, late, outcomes, tallies
from notifier.store.delivery.outcomes import Opened, Outcome


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery's state, and what is known of it."""

    id: str
    recipient_id: str
    channel: HeldChannel
    state: State
    reason: str | None
    attempts: int
    crashes: int
    started_at: int | None
    batch_token: str | None
    provider: str | None
    provider_reference: str | None
    expires_at: int


async def lock(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> dict[str, DeliveryStatus]:
    """Lock deliveries for this transaction; unknown ids are left out."""
    await late.lock(connection, dialect, ids)
    found = await connection.execute(status_of(dialect, DeliveryStatus.__struct_fields__), {"rows": rows.ids(ids)})
    standings = (rows.read(row, DeliveryStatus) for row in found)
    return {status.id: status for status in standings}


async def write(
    connection: AsyncConnection, dialect: str, standings: Mapping[str, DeliveryStatus], moves: Mapping[str, Report],
    now: int,
) -> None:  # fmt: skip
    """Write the states to which reports have moved deliveries locked by this transaction."""
    if not moves:
        return
    taken = [token for id_ in moves if (token := standings[id_].batch_token) is not None]
    if taken:
        await batch_leases.take_off(connection, dialect, taken)
    await outcomes.append(connection, dialect, [_outcome(standings[id_], report, now) for id_, report in moves.items()])
    await outcomes.close(connection, dialect, moves)
    back = [_reopened(standings[id_], report) for id_, report in moves.items() if report.state not in OVER]
    await outcomes.open_(connection, dialect, back, now)
    before = [standings[id_] for id_ in moves]
    after = [msgspec.structs.replace(each, state=moves[each.id].state, reason=moves[each.id].reason) for each in before]
    booked = [outcomes.over(each, -1) for each in before if each.state in OVER]
    booked += [outcomes.over(each) for each in after if each.state in OVER]
    await tallies.add(connection, dialect, booked)


async def tries(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> dict[str, int]:
    """The recorded attempts of each delivery; without deliveries that another channel follows."""
    found = await connection.execute(_tries(dialect), {"rows": rows.ids(ids)})
    return {row.id: row.tries for row in found}


async def wait_again(connection: AsyncConnection, dialect: str, due: Mapping[str, int]) -> None:
    """Make deliveries that failed wait for one more attempt, each until its instant."""
    wanted = [{"id": id_, "due_at": due_at} for id_, due_at in due.items()]
    await connection.execute(_wait_again(dialect), {"rows": wanted})


def _all(found: Sequence[dict[str, TraceContext]]) -> dict[str, TraceContext]:
    return {id_: context for part in found for id_, context in part.items()}


@over(_all)
async def traces(database: Database, ids: Sequence[str]) -> dict[str, TraceContext]:
    """The contexts under which the events of deliveries were accepted, by the delivery's id; others are left out."""

    async def work(connection: AsyncConnection) -> dict[str, TraceContext]:
        found = await connection.execute(_documents(database.dialect), {"rows": rows.ids(ids)})
        return {row.id: context for row in found if (context := parted(row.data)[1]) is not None}

    return await database.read(work) if ids else {}


def _reopened(status: DeliveryStatus, report: Report) -> Opened:
    """What is open of a delivery that came back."""
    return Opened(
        id=status.id, state=report.state, reason=report.reason, code=report.code, attempts=status.attempts,
        crashes=status.crashes,
    )  # fmt: skip


def _outcome(status: DeliveryStatus, report: Report, now: int) -> Outcome:
    return Outcome(
        delivery_id=status.id, recipient_id=status.recipient_id, at=now, state=State(report.state),
        reason=report.reason, code=report.code, attempts=status.attempts, crashes=status.crashes,
        started_at=status.started_at, provider=report.provider or status.provider,
        provider_reference=report.reference or status.provider_reference,
    )  # fmt: skip


@cache
def _tries(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    out = outcome.c.answer.in_([State.SENT, OutcomeUnknown.kind])
    count = sa.select(sa.func.count()).where(outcome.c.delivery_id == delivery.c.id, out).scalar_subquery()
    return (
        sa.select(delivery.c.id, count.label("tries"))
        .join(wanted, wanted.c.id == delivery.c.id)
        .where(~fallback_steps.IS_FOLLOWED)
    )


@cache
def _documents(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    return (
        sa.select(delivery.c.id, event.c.data)
        .join(wanted, wanted.c.id == delivery.c.id)
        .join(event, event.c.id == delivery.c.event_id)
    )


@cache
def _wait_again(dialect: str) -> sa.Update:
    due = rows.batch(dialect, [open_delivery.c.id, open_delivery.c.due_at])
    return rows.update(open_delivery, due).values(
        state=State.PENDING.value, due_at=due.c.due_at, next_check_at=due.c.due_at
    )
