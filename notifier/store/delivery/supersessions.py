"""Supersessions: deliveries about a subject whose event happened at or before an instant are out of date. Every claim
joins them; code that sends without a claim queries them."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import CampaignState
from notifier.domain.deliveries import HeldChannel, Reason, State
from notifier.store.core import rows
from notifier.store.core.effects import campaign
from notifier.store.core.schema import delivery, event, open_delivery, supersession
from notifier.store.core.status import status
from notifier.store.delivery import batch_leases

MOST_TOLD = 100  # deliveries that a response lists: a campaign has millions


STARTS_AT = sa.case((event.c.occurred_at < event.c.accepted_at, event.c.occurred_at), else_=event.c.accepted_at)
"""When an event counts as happened: a producer's clock that runs fast doesn't put it behind what came later."""


class Supersession(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries about `about` whose event happened at or before `until` are out of date, for a reason.

    `event_id` is what said so: an event, or the audit's entry where it was a person.
    """

    subject_key: str
    until: int
    reason: Reason
    event_id: str

    @property
    def state(self) -> State:
        """The state in which superseded deliveries end."""
        return State.SUPERSEDED if self.reason == Reason.SUPERSEDED else State.CANCELLED


class StoppedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that a supersession stops. One that is `sending` is held by a worker, and may still go out."""

    id: str
    type: str
    channel: HeldChannel
    recipient: str
    state: State


async def add(connection: AsyncConnection, dialect: str, marks: Sequence[Supersession]) -> None:
    """Write supersessions; of two for one subject the one that reaches further stays."""
    if marks:
        newest: dict[str, Supersession] = {}
        for supersession in sorted(marks, key=lambda supersession: supersession.until):
            newest[supersession.subject_key] = supersession
        await connection.execute(_mark(dialect), {"rows": list(newest.values())})


async def of(connection: AsyncConnection, dialect: str, keys: Collection[str]) -> dict[str, Supersession]:
    """The supersessions of these subjects."""
    found = await connection.execute(_of(dialect), {"rows": [{"subject_key": key} for key in keys]})
    return {row.subject_key: rows.read(row, Supersession) for row in found}


async def stopped(
    connection: AsyncConnection, dialect: str, marks: Sequence[Supersession]
) -> tuple[int, list[StoppedDelivery]]:
    """Count the deliveries that supersessions stop, and list the first; those in a digest count."""
    if not marks:
        return 0, []
    parameters = {"rows": marks}
    count: int = (await connection.execute(_count(dialect), parameters)).scalar_one()
    found = list(await connection.execute(_stopped(dialect), parameters))
    if taken := await batch_leases.waiting(connection):
        held = list(await connection.execute(_taken(dialect), parameters | {"taken": rows.ids(taken)}))
        count, found = count + len(held), (held + found)[:MOST_TOLD]
    return count, [rows.read(row, StoppedDelivery, strict=True) for row in found]


async def paused(connection: AsyncConnection, dialect: str, new: Sequence[Supersession]) -> list[str]:
    """The paused campaigns, by their events, of which these supersessions stop what waits."""
    parameters = {"rows": [{"subject_key": each.subject_key, "until": each.until} for each in new]}
    return list(await connection.scalars(_paused(dialect), parameters))


@cache
def _mark(dialect: str) -> sa.Insert:
    columns = [supersession.c[name] for name in Supersession.__struct_fields__]
    return rows.upsert(dialect, supersession, columns, only_if_not_less=supersession.c.until)


@cache
def _of(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [supersession.c.subject_key])
    columns = (supersession.c[name] for name in Supersession.__struct_fields__)
    return sa.select(*columns).join(wanted, wanted.c.subject_key == supersession.c.subject_key)


STOPPABLE = (State.PENDING, State.SENDING, State.COLLECTED)
_digest = open_delivery.alias("digest")


def _waiting(dialect: str) -> tuple[sa.FromClause, list[sa.ColumnElement[bool]]]:
    """Open deliveries that the batch's supersessions stop, and those in unclaimed digests."""
    marks = rows.batch(dialect, [supersession.c.subject_key, supersession.c.until])
    joined = (
        marks.join(open_delivery, open_delivery.c.subject_key == marks.c.subject_key)
        .join(delivery, delivery.c.id == open_delivery.c.id)
        .join(event, event.c.id == delivery.c.event_id)
        .outerjoin(_digest, sa.and_(open_delivery.c.state == State.COLLECTED, _digest.c.id == delivery.c.digest_id))
    )
    waits = sa.or_(open_delivery.c.state != State.COLLECTED, _digest.c.state == State.PENDING)
    return joined, [open_delivery.c.state.in_(STOPPABLE), marks.c.until >= STARTS_AT, waits]


@cache
def _count(dialect: str) -> sa.Select[Any]:
    joined, conditions = _waiting(dialect)
    return sa.select(sa.func.count()).select_from(joined).where(*conditions)


@cache
def _paused(dialect: str) -> sa.Select[Any]:
    joined, conditions = _waiting(dialect)
    of = joined.join(campaign, campaign.c.event_id == delivery.c.event_id)
    is_paused = campaign.c.state == CampaignState.PAUSED
    return sa.select(campaign.c.event_id).select_from(of).where(is_paused, *conditions).distinct()


@cache
def _taken(dialect: str) -> sa.Select[Any]:
    """Deliveries that are being sent by who decided them."""
    marks = rows.batch(dialect, [supersession.c.subject_key, supersession.c.until])
    taken = rows.batch(dialect, [delivery.c.id], "taken")
    own = (status.c[name] for name in ("id", "type", "channel", "state"))
    return (
        sa.select(*own, status.c.recipient_id.label("recipient"))
        .select_from(taken)
        .join(status, status.c.id == taken.c.id)
        .join(marks, marks.c.subject_key == status.c.subject_key)
        .join(event, event.c.id == status.c.event_id)
        .where(status.c.batch_token.is_not(None), marks.c.until >= STARTS_AT)
    )


@cache
def _stopped(dialect: str) -> sa.Select[Any]:
    joined, conditions = _waiting(dialect)
    own = (*(delivery.c[name] for name in ("id", "type", "channel")), open_delivery.c.state)
    return (
        sa.select(*own, delivery.c.recipient_id.label("recipient"))
        .select_from(joined).where(*conditions).order_by(open_delivery.c.due_at, delivery.c.id).limit(MOST_TOLD)
    )  # fmt: skip
