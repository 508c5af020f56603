"""What workers tell of deliveries that aren't theirs any more: a receipt was quicker, or their lease ran out.

The delivery's state stands. The try is kept, and with it what explains its words.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import State
from notifier.store.core import rows
from notifier.store.core.schema import delivery, open_delivery, outcome
from notifier.store.core.status import status_of
from notifier.store.delivery import batch_leases, outcomes
from notifier.store.delivery.outcomes import Outcome


async def lock(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> None:
    """Lock deliveries, the leases on them, and what is open of them, until the transaction ends: whoever appends an
    outcome to a delivery that it doesn't hold by a lease does so, in this order."""
    wanted = {"rows": rows.ids(sorted(ids))}
    await connection.execute(_lock(dialect, delivery), wanted)
    await batch_leases.lock(connection, dialect, ids)
    await connection.execute(_lock(dialect, open_delivery), wanted)


async def append(connection: AsyncConnection, dialect: str, told: Sequence[Outcome]) -> int:
    """Write the tries of deliveries that others have moved on since; returns how many of those a receipt has moved.

    A try that is known already is not written again: the database's answer to its first writing was lost.
    """
    if not told:
        return 0
    wanted = {"rows": rows.ids([each.delivery_id for each in told])}
    tries = {tuple(row) for row in await connection.execute(_tries(dialect), wanted)}
    now = {row.id: row for row in await connection.execute(status_of(dialect, _NOW), wanted)}
    new = [
        _beside(each, now[each.delivery_id])
        for each in told
        if each.delivery_id in now and (each.delivery_id, each.attempts, each.started_at) not in tries
    ]
    await outcomes.append_beside(connection, dialect, new)
    return sum(now[each.delivery_id].lease_token is None and each.state in _BY_RECEIPT for each in new)


_NOW = ("id", "state", "reason", "code", "crashes", "provider", "provider_reference", "lease_token")
_BY_RECEIPT = frozenset({State.SENT, State.DELIVERED, State.UNDELIVERED})


def _beside(told: Outcome, now: Any) -> Outcome:
    """An outcome that changes nothing but what is known of a delivery."""
    return msgspec.structs.replace(
        told, state=State(now.state), reason=now.reason, code=now.code or told.code, crashes=now.crashes,
        provider=now.provider or told.provider, provider_reference=now.provider_reference or told.provider_reference,
    )  # fmt: skip


@cache
def _lock(dialect: str, table: sa.Table) -> sa.Select[Any]:
    return rows.locked(dialect, [table.c.id])


@cache
def _tries(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    columns = (outcome.c.delivery_id, outcome.c.attempts, outcome.c.started_at)
    query = sa.select(*columns).join(wanted, wanted.c.id == outcome.c.delivery_id)
    return query.where(outcome.c.answer.is_not(None))
