"""Dead letters: deliveries that failed or came back, quarantined events and paused campaigns, that nobody has handled.

Each kind is read in the order of its own index, newest first, and only as far as a page goes: `schema` says why the
conditions are text.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import CampaignState
from notifier.domain.deliveries import DEAD, Channel, HeldChannel, Reason
from notifier.domain.ids import NOTHING, dated, instant_of, is_id, make_id
from notifier.domain.keys import UNBOUND, Bounds
from notifier.store.core import rows
from notifier.store.core.buckets import in_each, over, total
from notifier.store.core.database import Database
from notifier.store.core.effects import campaign
from notifier.store.core.schema import IS_DEAD, QUARANTINED, delivery, event, open_delivery, open_event
from notifier.store.core.status import status
from notifier.store.reading import tries
from notifier.store.reading.bounded import covered
from notifier.store.reading.tries import AttemptRecord

PAUSES = (Reason.COMPLAINTS, Reason.BOUNCES)
"""Why campaigns are paused."""


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Criteria for dead letters; None matches any. An event has no channel."""

    type: str | None = None
    channel: Channel | None = None
    reason: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the list of dead letters. `type` is an event's own type or a delivery's notification type; `at` when it
    died."""

    kind: Literal["delivery", "event"]
    id: str
    type: str
    channel: HeldChannel | None
    state: str
    reason: str | None
    at: int
    attempts: int
    event_id: str


class DeadLetterDetails(DeadLetter, frozen=True, kw_only=True):
    """All details of a dead letter, handled or not. `code` is the receipt's."""

    recipient_id: str | None
    code: str | None
    created_at: int
    expires_at: int | None
    crashes: int
    handled_at: int | None
    redrive_of: str | None
    redriven_as: str | None = None
    event_type: str
    source: str
    source_id: str
    subject: str | None
    occurred_at: int
    accepted_at: int
    tried: list[AttemptRecord] = []


def successor_id(id_: str) -> str:
    """The id of the delivery that replaces a dead one: always the same, so there is at most one, however often it is
    redriven."""
    return dated(make_id("redrive", id_), instant_of(id_)) if is_id(id_) else NOTHING


async def find(
    database: Database,
    wanted: DeadLetterFilter,
    before: tuple[int, str] | None,
    limit: int,
    bounds: Bounds = UNBOUND,
) -> list[DeadLetter]:
    """A page of the dead letters within the bounds, newest first; `before` is the time and id of the last one on the
    page before."""
    found = await in_each(database, lambda bucket: _find(bucket, wanted, before, limit, bounds))
    return found[0] if len(found) == 1 else _newest(found, limit)


def _newest(found: Sequence[list[DeadLetter]], limit: int) -> list[DeadLetter]:
    """The first dead letters of pages of several buckets; an event that was put aside in several is one."""
    once: dict[str, DeadLetter] = {}
    for letter in sorted((letter for page in found for letter in page), key=lambda letter: (letter.at, letter.id)):
        once[letter.id] = letter
    return sorted(once.values(), key=lambda letter: (letter.at, letter.id), reverse=True)[:limit]


async def _find(
    database: Database, wanted: DeadLetterFilter, before: tuple[int, str] | None, limit: int, bounds: Bounds
) -> list[DeadLetter]:
    async def work(connection: AsyncConnection) -> list[DeadLetter]:
        parts = [
            query.where(*_earlier(died, id_, before)).order_by(died.desc(), id_.desc()).limit(limit).subquery()
            for query, died, id_ in _parts(wanted, bounds)
        ]
        merged = sa.union_all(*(sa.select(part) for part in parts)).subquery()
        page = sa.select(merged).order_by(merged.c.at.desc(), merged.c.id.desc()).limit(limit)
        found = await connection.execute(page)
        return [rows.read(row, DeadLetter) for row in found]

    return await database.read(work)


@over(total)
async def count(database: Database, wanted: DeadLetterFilter) -> int:
    """Count the dead letters."""

    async def work(connection: AsyncConnection) -> int:
        parts = [
            sa.select(sa.func.count()).select_from(query.subquery()).scalar_subquery()
            for query, _, _ in _parts(wanted, UNBOUND)
        ]
        return int((await connection.execute(sa.select(sum(parts, start=sa.literal(0))))).scalar_one())

    return await database.read(work)


def _open_first(found: Sequence[DeadLetterDetails | None]) -> DeadLetterDetails | None:
    """A dead letter; of an event that was put aside in several buckets as one has it where nobody has handled it."""
    there = [letter for letter in found if letter is not None]
    return min(there, key=lambda letter: letter.handled_at or 0, default=None)


@over(_open_first)
async def get(database: Database, id_: str, bounds: Bounds = UNBOUND) -> DeadLetterDetails | None:
    """One dead letter with its attempts, handled or not; None where there is none with this id within the bounds."""

    async def work(connection: AsyncConnection) -> DeadLetterDetails | None:
        for query in (_delivery_letter, _event_letter, _campaign_letter):
            row = (await connection.execute(query, {"id": id_})).first()
            if row is not None:
                letter = rows.read(row, DeadLetterDetails)
                if not bounds.cover(letter.source, letter.event_type):
                    return None
                tried, redriven_as = await history(connection, database.dialect, id_)
                return msgspec.structs.replace(letter, tried=tried, redriven_as=redriven_as)
        return None

    return await database.read(work)


async def history(connection: AsyncConnection, dialect: str, id_: str) -> tuple[list[AttemptRecord], str | None]:
    """A delivery's attempts in order, and the delivery that replaced it."""
    tried = await tries.read(connection, dialect, [id_])
    return tried[id_], await connection.scalar(_successor, {"id": successor_id(id_)})


def _parts(wanted: DeadLetterFilter, bounds: Bounds) -> list[tuple[sa.Select[Any], sa.Column[int], sa.Column[str]]]:
    """The lines of each source of dead letters that a filter and bounds leave, with when they died and their ids: the
    order of an index."""
    columns = {"type": delivery.c.type, "channel": open_delivery.c.channel, "reason": open_delivery.c.reason}
    given = {name: getattr(wanted, name) for name in columns}
    narrowed = [columns[name] == value for name, value in given.items() if value is not None]
    died, id_ = open_delivery.c.updated_at, open_delivery.c.id
    dead = _deliveries.where(sa.text(IS_DEAD), *narrowed)
    own = covered(bounds)
    if own:
        dead = dead.join(event, event.c.id == delivery.c.event_id).where(*own)
    parts = [(dead.where(open_delivery.c.state == state), died, id_) for state in DEAD]
    if wanted.channel is None and wanted.reason in (None, "quarantined"):
        of_type = [] if wanted.type is None else [event.c.type == wanted.type]
        parts.append(
            (_events.where(sa.text(QUARANTINED), *of_type, *own), open_event.c.quarantined_at, open_event.c.id)
        )
    if wanted.channel is None and wanted.reason in (None, *PAUSES):
        of_type = [] if wanted.type is None else [event.c.type == wanted.type]
        why = [] if wanted.reason is None else [campaign.c.reason == wanted.reason]
        paused = _campaigns.where(campaign.c.state == CampaignState.PAUSED, *of_type, *why, *own)
        parts.append((paused, campaign.c.paused_at, campaign.c.event_id))
    return parts


_deliveries = (
    sa.select(
        sa.literal("delivery").label("kind"), open_delivery.c.id, delivery.c.type, open_delivery.c.channel,
        open_delivery.c.state, open_delivery.c.reason, open_delivery.c.updated_at.label("at"),
        open_delivery.c.attempts, delivery.c.event_id,
    )
    .select_from(open_delivery.join(delivery, delivery.c.id == open_delivery.c.id))
)  # fmt: skip
_events = sa.select(
    sa.literal("event").label("kind"), open_event.c.id, event.c.type, sa.null().label("channel"),
    sa.literal("quarantined").label("state"), sa.literal("quarantined").label("reason"),
    open_event.c.quarantined_at.label("at"), open_event.c.tries.label("attempts"), open_event.c.id.label("event_id"),
).select_from(open_event.join(event, event.c.id == open_event.c.id))  # fmt: skip


_campaigns = sa.select(
    sa.literal("event").label("kind"), campaign.c.event_id.label("id"), event.c.type, sa.null().label("channel"),
    sa.literal("paused").label("state"), campaign.c.reason, campaign.c.paused_at.label("at"),
    sa.literal(0).label("attempts"), campaign.c.event_id,
).select_from(campaign.join(event, event.c.id == campaign.c.event_id))  # fmt: skip


def _earlier(died: sa.Column[int], id_: sa.Column[str], before: tuple[int, str] | None) -> list[sa.ColumnElement[bool]]:
    if before is None:
        return []
    at, last = before
    return [died <= at, sa.or_(died < at, id_ < last)]


_OF_EVENT = (
    event.c.type.label("event_type"), event.c.source, event.c.source_id, event.c.subject, event.c.occurred_at,
    event.c.accepted_at,
)  # fmt: skip


_delivery_letter = (
    sa.select(
        sa.literal("delivery").label("kind"),
        *(status.c[name] for name in ("id", "type", "channel", "state", "reason", "attempts", "event_id")),
        status.c.updated_at.label("at"),
        *(status.c[name] for name in ("recipient_id", "code", "created_at", "expires_at", "crashes")),
        *(status.c[name] for name in ("handled_at", "redrive_of")),
        *_OF_EVENT,
    )
    .join(event, event.c.id == status.c.event_id)
    .where(status.c.id == sa.bindparam("id"), status.c.state.in_(DEAD))
)
_LETTER = (
    event.c.accepted_at.label("created_at"),
    sa.literal(0).label("crashes"),
    *(sa.null().label(name) for name in ("recipient_id", "code", "expires_at", "redrive_of")),
    *_OF_EVENT,
)
_campaign_letter = _campaigns.add_columns(*_LETTER, campaign.c.handled_at).where(
    campaign.c.event_id == sa.bindparam("id"), campaign.c.paused_at.is_not(None)
)
_event_letter = _events.add_columns(*_LETTER, open_event.c.handled_at).where(
    open_event.c.id == sa.bindparam("id"), open_event.c.quarantined_at.is_not(None)
)
_successor = sa.select(delivery.c.id).where(delivery.c.id == sa.bindparam("id"))
