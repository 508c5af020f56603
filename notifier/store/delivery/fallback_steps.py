"""Fallback steps: channels that wait for earlier ones, the conditions on those, and how a step comes forward."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import UNREACHED, State
from notifier.store.core import rows
from notifier.store.core.schema import delivery, open_delivery
from notifier.store.core.status import status

_earlier = status.alias("earlier")
_later = delivery.alias("later")
_waiting = open_delivery.alias("waiting")
_SAME = ("event_id", "type", "recipient_id")
"""The columns that all fallback steps of a notification share."""


def _before(step: sa.FromClause, *conditions: sa.ColumnElement[bool]) -> sa.Exists:
    """Whether an earlier step of the same notification meets these conditions."""
    same = [_earlier.c[name] == step.c[name] for name in _SAME]
    return sa.select(sa.literal(1)).where(*same, _earlier.c.step < step.c.step, *conditions).correlate(step).exists()


REACHED = sa.case((delivery.c.step > 0, _before(delivery, _earlier.c.state == State.DELIVERED)), else_=sa.false())
"""Whether an earlier fallback step has reached the person. Most deliveries are the first step and need no look-up."""


IS_FOLLOWED = (
    sa.select(sa.literal(1))
    .where(
        *(_later.c[name] == delivery.c[name] for name in _SAME),
        _later.c.step > delivery.c.step,
        _waiting.c.id == _later.c.id,
        _waiting.c.state == State.PENDING,
    )
    .correlate(delivery)
    .exists()
)
"""Whether another fallback step comes after a delivery."""


async def bring_forward(connection: AsyncConnection, dialect: str, ended: Sequence[str], now: int) -> int:
    """Make the next step due now where these deliveries were the last earlier ones to end and none reached the person;
    returns how many came forward.

    Two that end at the same moment may each take the other for open: then the next step comes at its own time.
    """
    if not ended:
        return 0
    parameters = {"rows": rows.ids(ended), "now": now}
    ids = list((await connection.execute(_next(dialect), parameters)).scalars())
    if not ids:
        return 0
    return (await connection.execute(_hurry(dialect), {"rows": rows.ids(ids), "now": now})).rowcount


@cache
def _next(dialect: str) -> sa.Select[Any]:
    ended = rows.batch(dialect, [delivery.c.id])
    return (
        sa.select(_later.c.id)
        .distinct()
        .select_from(ended)
        .join(status, status.c.id == ended.c.id)
        .join(_later, sa.and_(*(_later.c[name] == status.c[name] for name in _SAME)))
        .join(_waiting, _waiting.c.id == _later.c.id)
        .where(
            status.c.state.in_(sorted(UNREACHED)),
            _later.c.step > status.c.step,
            _waiting.c.state == State.PENDING,
            _waiting.c.attempts == 0,
            _waiting.c.due_at > sa.bindparam("now"),
            ~_before(_later, _earlier.c.state.not_in(sorted(UNREACHED))),
        )
    )


@cache
def _hurry(dialect: str) -> sa.Update:
    waiting = rows.batch(dialect, [open_delivery.c.id])
    now = sa.bindparam("now", type_=open_delivery.c.due_at.type)
    return rows.update(open_delivery, waiting, open_delivery.c.state == State.PENDING).values(
        due_at=now, next_check_at=now, updated_at=now, reason=None
    )
