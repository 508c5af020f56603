"""How much of the recent traffic failed, and how many dead letters wait: by indexes alone, and up to a limit."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import CampaignState
from notifier.domain.deliveries import DEAD, HeldChannel, State
from notifier.domain.errors import Throttled
from notifier.store.core import rows
from notifier.store.core.buckets import joined, over, total
from notifier.store.core.columns import last_id
from notifier.store.core.database import Database
from notifier.store.core.effects import campaign
from notifier.store.core.schema import IS_DEAD, QUARANTINED, delivery, open_delivery, open_event, outcome
from notifier.store.core.status import status
from notifier.store.core.twins import of_tests

MOST = 5_000  # newest deliveries, and newest dead letters of each state, that are read in all buckets: a bound
MOST_DEAD = 1_000  # dead letters of a kind that are counted: beyond that the exact number matters little

_TRIED = (State.SENT, State.DELIVERED, State.UNKNOWN, *DEAD, State.PENDING, State.EXPIRED)
_READ = [status.c[name] for name in ("id", "channel", "type", "state", "reason", "code", "attempts", "updated_at")]


class OutcomeCount(msgspec.Struct, frozen=True, kw_only=True):
    """So many deliveries of a type on a channel that ended alike; `latest` is one of them, `tried` what the provider
    said of that one's last try, and `code` what a receipt said. `older` ones stand beside no others of their age."""

    channel: HeldChannel
    type: str
    state: State
    reason: str | None
    code: str | None
    number: int
    latest: str
    older: bool = False
    tried: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the deliveries failed: for good, or in all attempts so far."""
        return self.state in (*DEAD, State.PENDING, State.EXPIRED)


@over(joined)
async def outcomes(database: Database, since: int) -> list[OutcomeCount]:
    """What became since an instant of the newest deliveries, where a provider was asked; tests ask none.

    One set gives both what failed and of how many: what was made before and has ended since is in it either way. Dead
    letters older than those are `older`: of how many they are can't be told by an index.
    """
    most = MOST // len(database.whole.buckets)
    real = sa.select(delivery.c.id).where(of_tests(delivery.c.type, test=False))
    newest = _among(real.order_by(delivery.c.created_at.desc(), delivery.c.id.desc()), most)
    died = [
        _among(
            sa.select(open_delivery.c.id)
            .where(sa.text(IS_DEAD), open_delivery.c.state == state, open_delivery.c.updated_at > since)
            .order_by(open_delivery.c.updated_at.desc(), open_delivery.c.id.desc()),
            most,
        )
        for state in DEAD
    ]
    tried = [sa.select(newest, sa.false().label("older")).where(newest.c.updated_at > since)]
    tried += [
        sa.select(each, sa.true().label("older")).where(each.c.id.not_in(sa.select(newest.c.id))) for each in died
    ]
    of = sa.union_all(*tried).subquery()
    alike = (of.c.channel, of.c.type, of.c.state, of.c.reason, of.c.code, of.c.older)
    grouped = (
        sa.select(*alike, sa.func.count().label("number"), last_id(of.c.id).label("latest"))
        .where(of.c.state.in_(_TRIED), of.c.attempts > 0)
        # A deferred message has no outcome yet, neither good nor bad.
        .where(sa.or_(of.c.state != State.PENDING, of.c.reason.is_(None), of.c.reason != Throttled.kind))
        .group_by(*alike)
    )

    async def work(connection: AsyncConnection) -> list[OutcomeCount]:
        found = [rows.read(row, OutcomeCount) for row in await connection.execute(grouped)]
        failed = [each.latest for each in found if each.failed]
        codes = (
            sa.select(outcome.c.delivery_id, outcome.c.code)
            .where(outcome.c.delivery_id.in_(failed), outcome.c.answer.is_not(None), outcome.c.code.is_not(None))
            .order_by(outcome.c.number)
        )
        said = {row[0]: row[1] for row in await connection.execute(codes)} if failed else {}
        return [msgspec.structs.replace(each, tried=said.get(each.latest)) for each in found]

    return await database.read(work)


def _among(chosen: sa.Select[Any], most: int) -> sa.Subquery:
    """The first deliveries of a query for ids."""
    first = chosen.limit(most).subquery()
    real = of_tests(status.c.type, test=False)
    return sa.select(*_READ).join(first, first.c.id == status.c.id).where(real).subquery()


@over(total)
async def waiting(database: Database) -> int:
    """Count unhandled dead letters, up to `MOST_DEAD` of each kind."""
    dead = sa.select(open_delivery.c.id).where(sa.text(IS_DEAD)).limit(MOST_DEAD)
    parts = [dead.where(open_delivery.c.state == state) for state in DEAD]
    parts.append(sa.select(open_event.c.id).where(sa.text(QUARANTINED)).limit(MOST_DEAD))
    parts.append(sa.select(campaign.c.event_id).where(campaign.c.state == CampaignState.PAUSED).limit(MOST_DEAD))
    numbers = [sa.select(sa.func.count()).select_from(part.subquery()).scalar_subquery() for part in parts]

    async def work(connection: AsyncConnection) -> int:
        return sum((await connection.execute(sa.select(*numbers))).one())

    return await database.read(work)
