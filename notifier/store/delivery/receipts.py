"""Deliveries as receipts read and change them."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, State
from notifier.domain.errors import OutcomeUnknown
from notifier.domain.messages import Report
from notifier.store.core import rows
from notifier.store.core.schema import attempt, delivery
from notifier.store.delivery import fallback_steps

TELLING: Final = ("locale", "time_zone", "content_hash")
"""What a delivery's row keeps of its words, and tells of its recipient: how and where they live, and what was said."""


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery's state, and the provider's own id for it where known."""

    id: str
    channel: Channel
    state: State
    provider_reference: str | None
    expires_at: int


async def lock(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> dict[str, DeliveryStatus]:
    """Lock deliveries for this transaction; unknown ids are left out."""
    wanted = rows.encode([{"id": id_} for id_ in ids])
    found = await connection.execute(_lock(dialect), {"rows": wanted})
    standings = (rows.read(row, DeliveryStatus) for row in found)
    return {status.id: status for status in standings}


async def write(connection: AsyncConnection, dialect: str, moves: Mapping[str, Report], now: int) -> None:
    """Write the states to which reports have moved deliveries locked by this transaction.

    The lease's token stays, for `settle_overtaken`.
    """
    if moves:
        told = [
            {
                "id": id_, "state": report.state, "reason": report.reason, "code": report.code,
                "provider": report.provider, "provider_reference": report.reference,
            }
            for id_, report in moves.items()
        ]  # fmt: skip
        await connection.execute(_write(dialect), {"rows": rows.encode(told), "now": now})


async def tries(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> dict[str, int]:
    """The recorded attempts of each delivery; without deliveries that another channel follows."""
    found = await connection.execute(_tries(dialect), {"rows": rows.ids(ids)})
    return {row.id: row.tries for row in found}


async def wait_again(connection: AsyncConnection, dialect: str, due: Mapping[str, int]) -> None:
    """Make deliveries wait for one more attempt, each until its instant."""
    wanted = rows.encode([{"id": id_, "due_at": due_at} for id_, due_at in due.items()])
    await connection.execute(_wait_again(dialect), {"rows": wanted})


async def settle_overtaken(connection: AsyncConnection, dialect: str, parameters: Mapping[str, object]) -> int:
    """Settle those of a worker's deliveries, still under their leases, that a receipt has moved on already; how many.

    Of the outcome counts what the receipt doesn't tell: what explains its words, and who has them. `parameters` are
    those of `leases.settle`.
    """
    return (await connection.execute(_settle_overtaken(dialect), parameters)).rowcount


def words(outcome: sa.FromClause) -> dict[str, sa.ColumnElement[Any]]:
    """What explains the words of an outcome later, where they are still their recipient's: nothing of who was erased
    while they were being sent, however long that took."""
    theirs = delivery.c.recipient_id == outcome.c.recipient_id
    return {name: sa.case((theirs, outcome.c[name]), else_=None) for name in TELLING} | {"version": outcome.c.version}


@cache
def _lock(dialect: str) -> sa.Select[Any]:
    columns = (
        delivery.c.id,
        delivery.c.channel,
        delivery.c.state,
        delivery.c.provider_reference,
        delivery.c.expires_at,
    )
    return rows.locked(dialect, columns)


@cache
def _write(dialect: str) -> sa.Update:
    names = ("id", "state", "reason", "code", "provider", "provider_reference")
    told = rows.batch(dialect, [delivery.c[name] for name in names])
    return (
        sa.update(delivery)
        .where(delivery.c.id == told.c.id)
        .values(
            state=told.c.state,
            reason=told.c.reason,
            code=told.c.code,
            provider=sa.func.coalesce(told.c.provider, delivery.c.provider),
            provider_reference=sa.func.coalesce(told.c.provider_reference, delivery.c.provider_reference),
            signal_at=None,
            updated_at=sa.bindparam("now"),
        )
    )


@cache
def _tries(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    out = attempt.c.outcome.in_([State.SENT, OutcomeUnknown.kind])
    count = sa.select(sa.func.count()).where(attempt.c.delivery_id == delivery.c.id, out).scalar_subquery()
    return (
        sa.select(delivery.c.id, count.label("tries"))
        .join(wanted, wanted.c.id == delivery.c.id)
        .where(~fallback_steps.IS_FOLLOWED)
    )


@cache
def _wait_again(dialect: str) -> sa.Update:
    due = rows.batch(dialect, [delivery.c.id, delivery.c.due_at])
    return (
        sa.update(delivery)
        .where(delivery.c.id == due.c.id)
        .values(state=State.PENDING.value, due_at=due.c.due_at, signal_at=due.c.due_at)
    )


@cache
def _settle_overtaken(dialect: str) -> sa.Update:
    provider = ("provider", "provider_reference")  # as the receipt tells them, where it does
    names = ("id", "recipient_id", "lease_token", *TELLING, "version", *provider)
    outcome = rows.batch(dialect, [delivery.c[name] for name in names])
    return (
        sa.update(delivery)
        .where(
            delivery.c.id == outcome.c.id,
            delivery.c.lease_token == outcome.c.lease_token,
            delivery.c.state != State.SENDING,
        )
        .values(
            words(outcome)
            | {name: sa.func.coalesce(delivery.c[name], outcome.c[name]) for name in provider}
            | {"lease_token": None, "updated_at": sa.bindparam("now")}
        )
    )
