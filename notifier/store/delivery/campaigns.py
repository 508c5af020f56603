"""Campaigns: their mails as they are counted, and whether what is left of one goes out."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import CampaignState, Counts, Pause
from notifier.domain.deliveries import Channel, Lane, Reason, State
from notifier.store.core import rows
from notifier.store.core.buckets import over, total
from notifier.store.core.database import Database
from notifier.store.core.effects import campaign
from notifier.store.core.schema import open_delivery


class DueCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that has counted more since it was looked at, or of which paused deliveries are to go on."""

    event_id: str
    sent: int
    undelivered: int
    complained: int
    state: CampaignState
    paused_at: int | None
    handled_at: int | None

    @property
    def pause(self) -> Pause | None:
        if self.paused_at is None:
            return None
        return Pause(state=self.state, paused_at=self.paused_at, handled_at=self.handled_at)


async def add(connection: AsyncConnection, dialect: str, more: Mapping[str, Counts], now: int) -> None:
    """Count more mails of campaigns, by their events' ids."""
    if more:
        await connection.execute(_begin(dialect), {"rows": [_new(id_) for id_ in sorted(more)]})
        await add_to_known(connection, dialect, more, now)


async def add_to_known(connection: AsyncConnection, dialect: str, more: Mapping[str, Counts], now: int) -> None:
    """Count more mails of those of these events of which mails were counted before: they are campaigns."""
    if more:
        given = [{"event_id": id_, **msgspec.structs.asdict(more[id_])} for id_ in sorted(more)]
        await connection.execute(_add(dialect), {"rows": given, "now": now})


async def due(database: Database, now: int, limit: int) -> list[DueCampaign]:
    """Campaigns to be looked at, at most `limit` of them."""

    async def work(connection: AsyncConnection) -> list[DueCampaign]:
        found = await connection.execute(_DUE, {"now": now, "limit": limit})
        return [rows.read(row, DueCampaign) for row in found]

    return await database.read(work)


def _sums(found: Sequence[dict[str, Counts]]) -> dict[str, Counts]:
    whole: dict[str, Counts] = {}
    for part in found:
        for id_, counts in part.items():
            whole[id_] = whole.get(id_, Counts()) + counts
    return whole


@over(_sums)
async def totals(database: Database, ids: Collection[str]) -> dict[str, Counts]:
    """What is counted of campaigns in all buckets."""

    async def work(connection: AsyncConnection) -> dict[str, Counts]:
        found = await connection.execute(_counts(database.dialect), {"rows": rows.ids(ids)})
        return {
            row.event_id: Counts(sent=row.sent, undelivered=row.undelivered, complained=row.complained) for row in found
        }

    return await database.read(work)


@over(total)
async def pause(database: Database, faults: Mapping[str, Reason], now: int) -> int:
    """Pause campaigns that are running, in every bucket; returns in how many they were."""
    paused = [{"event_id": id_, "reason": faults[id_]} for id_ in sorted(faults)]

    async def work(connection: AsyncConnection) -> int:
        await connection.execute(_begin(database.dialect), {"rows": [_new(each["event_id"]) for each in paused]})
        return (await connection.execute(_pause(database.dialect), {"rows": paused, "now": now})).rowcount

    return await database.write(work)


async def looked_at(database: Database, seen: Sequence[DueCampaign], next_check_at: int | None) -> None:
    """Look at campaigns again at an instant, or when they count more; those that did meanwhile stay due."""
    if not seen:
        return

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(_looked_at(database.dialect), {"rows": seen, "next": next_check_at})

    await database.write(work)


async def handle(
    connection: AsyncConnection, dialect: str, ids: Collection[str], state: CampaignState, now: int
) -> None:
    """Let paused campaigns go on, or end them: with the next look their deliveries are due."""
    if ids:
        await connection.execute(_handle(dialect), {"rows": rows.ids(sorted(ids)), "state": state.value, "now": now})


async def bring_forward(database: Database, pause: Pause, now: int, limit: int) -> int:
    """Make deliveries due that a pause has put off, at most `limit`; returns how many there were."""

    async def look(connection: AsyncConnection) -> list[str]:
        return [row.id for row in await connection.execute(_PUT_OFF, {"until": pause.until, "limit": limit})]

    found = await database.read(look)

    async def work(connection: AsyncConnection) -> None:
        parameters = {"rows": rows.ids(sorted(found)), "until": pause.until, "now": now}
        await connection.execute(_forward(database.dialect), parameters)

    if found:
        await database.write(work)
    return len(found)


PAUSE: Final = tuple(campaign.c[name].label(f"campaign_{name}") for name in Pause.__struct_fields__)
"""What a query that joins campaigns reads for `pause_of`."""


def pause_of(row: Any) -> Pause | None:
    """The pause that a row tells of; None where its event was never paused."""
    if row.campaign_paused_at is None:
        return None
    return Pause(
        state=CampaignState(row.campaign_state), paused_at=row.campaign_paused_at, handled_at=row.campaign_handled_at
    )


def _new(id_: str) -> dict[str, Any]:
    return {"event_id": id_, **msgspec.structs.asdict(Counts()), "state": CampaignState.RUNNING}


_COUNTS: Final = [campaign.c[name] for name in Counts.__struct_fields__]
_DUE: Final = (
    sa.select(*(campaign.c[name] for name in DueCampaign.__struct_fields__))
    .where(campaign.c.next_check_at <= sa.bindparam("now"))
    .order_by(campaign.c.next_check_at)
    .limit(sa.bindparam("limit"))
)
_PUT_OFF: Final = (
    sa.select(open_delivery.c.id)
    .where(
        open_delivery.c.lane.in_(sorted(Lane)),
        open_delivery.c.channel.in_(sorted(Channel)),
        open_delivery.c.state == State.PENDING,
        open_delivery.c.next_check_at == sa.bindparam("until"),
    )
    .limit(sa.bindparam("limit"))
)


@cache
def _begin(dialect: str) -> sa.Insert:
    return rows.insert(dialect, campaign, [campaign.c.event_id, *_COUNTS, campaign.c.state])


@cache
def _add(dialect: str) -> sa.Update:
    more = rows.batch(dialect, [campaign.c.event_id, *_COUNTS])
    is_due = sa.case((campaign.c.state == CampaignState.RUNNING, sa.bindparam("now")), else_=campaign.c.next_check_at)
    sums = {column.name: column + more.c[column.name] for column in _COUNTS}
    return rows.update(campaign, more).values({**sums, "next_check_at": is_due})


@cache
def _counts(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    there = rows.lookup(wanted, campaign, campaign.c.event_id == wanted.c.id)
    return sa.select(campaign.c.event_id, *_COUNTS).select_from(there)


@cache
def _pause(dialect: str) -> sa.Update:
    paused = rows.batch(dialect, [campaign.c.event_id, campaign.c.reason])
    return rows.update(campaign, paused, campaign.c.state == CampaignState.RUNNING).values(
        state=CampaignState.PAUSED.value, reason=paused.c.reason, paused_at=sa.bindparam("now"), next_check_at=None
    )


@cache
def _looked_at(dialect: str) -> sa.Update:
    seen = rows.batch(dialect, [campaign.c.event_id, *_COUNTS])
    same = (column == seen.c[column.name] for column in _COUNTS)
    return rows.update(campaign, seen, *same).values(next_check_at=sa.bindparam("next"))


@cache
def _handle(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    return (
        sa.update(campaign)
        .where(campaign.c.event_id == wanted.c.id, campaign.c.state == CampaignState.PAUSED)
        .values(state=sa.bindparam("state"), handled_at=sa.bindparam("now"), next_check_at=sa.bindparam("now"))
    )


@cache
def _forward(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    put_off = open_delivery.c.next_check_at == sa.bindparam("until")
    return rows.update(open_delivery, wanted, put_off).values(
        due_at=sa.bindparam("now"), next_check_at=sa.bindparam("now"), updated_at=sa.bindparam("now")
    )
