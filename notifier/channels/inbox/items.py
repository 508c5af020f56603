"""A person's inbox: their deliveries on this channel, and what they did to them.

Superseded, cancelled or expired messages leave the list by themselves, for the list reads the delivery rows. The
archive has messages that the person archived and messages that merely expired; superseded and cancelled messages are
in neither.
"""

from collections import ChainMap
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, State
from notifier.domain.preferences import read_preferences
from notifier.store.core import buckets, rows
from notifier.store.core.buckets import of_person
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, delivery_note, event, recipient, supersession
from notifier.store.core.status import rendered, status
from notifier.store.core.twins import of_tests
from notifier.store.delivery import notes
from notifier.store.delivery.notes import Deed
from notifier.store.delivery.supersessions import STARTS_AT

INBOX: Final = Channel("inbox")
COUNTED: Final = 99
"""Unread messages that are counted at most; beyond that `more` is set."""
TOGETHER: Final = 500
"""Messages that one transaction marks."""

View = Literal["current", "archived"]
Place = tuple[int, str]
"""A message's position in the list: when it was decided (epoch milliseconds), and its id."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as its row keeps it (`notifier.why.again.Sent`), its event's data, and what was done to it."""

    id: str
    type: str
    channel: Channel
    created_at: int
    expires_at: int
    locale: str | None
    time_zone: str | None
    version: int | None
    content_hash: str | None
    data: str
    seen_at: int | None
    read_at: int | None
    archived_at: int | None
    held: tuple[str, ...] | None = None


class Listed(msgspec.Struct, frozen=True):
    """A page of the list, in the language that the person reads now; whether more follows."""

    language: str
    items: list[Item]
    more: bool


class Counts(msgspec.Struct, frozen=True):
    """How many messages are unread, and how many of those were never seen, `COUNTED` at most; `more` says that there
    are more. `revision` changes with whatever changes in the list."""

    unread: int
    unseen: int
    more: bool
    revision: str


NOTHING: Final = Counts(0, 0, False, "0")

_SENT: Final = (State.SENT.value, State.DELIVERED.value)
_OWN: Final = (
    "id", "type", "channel", "created_at", "expires_at", "locale", "time_zone", "version", "content_hash",
)  # fmt: skip
_NOTED: Final = ("seen_at", "read_at", "archived_at")


@of_person
async def is_known(database: Database, who: str) -> bool:
    """Whether a person exists."""
    query = sa.select(recipient.c.id).where(recipient.c.id == who)

    async def work(connection: AsyncConnection) -> bool:
        return (await connection.execute(query)).first() is not None

    return await database.read(work)


@of_person
async def page(database: Database, who: str, view: View, after: Place | None, limit: int, now: int) -> Listed | None:
    """A page of a person's list, newest first; None where there is no such person."""
    known = sa.select(recipient.c.locale, recipient.c.preferences).where(recipient.c.id == who)
    query = _listed(who, view, now).add_columns(event.c.data, *(delivery_note.c[name] for name in _NOTED))
    if after is not None:
        at, id_ = after
        query = query.where(rendered.c.created_at <= at, sa.or_(rendered.c.created_at < at, rendered.c.id < id_))
    query = query.order_by(rendered.c.created_at.desc(), rendered.c.id.desc()).limit(limit + 1)

    async def work(connection: AsyncConnection) -> Listed | None:
        person = (await connection.execute(known)).first()
        if person is None:
            return None
        found = [rows.read(row, Item) for row in await connection.execute(query)]
        language = read_preferences(person.preferences).locale or person.locale
        return Listed(language, found[:limit], len(found) > limit)

    return await database.read(work)


async def counts(database: Database, people: Collection[str], since: int, now: int) -> dict[str, Counts]:
    """How each of these people's lists stands. `since` is when the oldest message that can still stand was decided."""
    parts = buckets.by_bucket(database, people)
    counted = await buckets.in_each(database, lambda there: _counts_of(there, parts.get(there, []), since, now))
    found = dict(ChainMap(*counted))
    return {who: found.get(who, NOTHING) for who in people}


async def _counts_of(database: Database, people: Collection[str], since: int, now: int) -> dict[str, Counts]:
    parameters = {"rows": [{"recipient_id": who} for who in people], "since": since, "now": now}

    async def work(connection: AsyncConnection) -> dict[str, Counts]:
        found = await connection.execute(_counts(database.dialect), parameters)
        return {row.recipient_id: _count(row) for row in found}

    return await database.read(work) if people else {}


@of_person
async def one(database: Database, who: str, id_: str, now: int) -> bool:
    """Whether a message stands in a person's list, or in their archive."""
    either = [_listed(who, view, now).where(rendered.c.id == id_) for view in ("current", "archived")]

    async def work(connection: AsyncConnection) -> bool:
        return any([(await connection.execute(query)).first() is not None for query in either])

    return await database.read(work)


@of_person
async def up_to(database: Database, who: str, deed: Deed, newest: str | int, now: int) -> list[str] | None:
    """The ids of the messages in a person's list to which they haven't done this, from one of them (or an instant) on
    and older, so many as are noted at once; None where there is no such message."""
    undone = delivery_note.c[f"{deed}_at"].is_(None)
    place = sa.select(rendered.c.created_at, rendered.c.id).where(
        rendered.c.id == newest, rendered.c.recipient_id == who, rendered.c.channel == INBOX.value
    )

    async def work(connection: AsyncConnection) -> list[str] | None:
        at, id_ = newest, None
        if isinstance(newest, str):
            found = (await connection.execute(place)).first()
            if found is None:
                return None
            at, id_ = found
        own = rendered.c
        older = own.created_at <= at if id_ is None else sa.or_(
            own.created_at < at, sa.and_(own.created_at == at, own.id <= id_)
        )  # fmt: skip
        query = _listed(who, "current", now).where(undone, older).limit(TOGETHER)
        return [row.id for row in await connection.execute(query)]

    return await database.read(work)


@of_person
async def note(database: Database, who: str, ids: Sequence[str], deed: Deed, now: int) -> bool:
    """Record what a person did to their messages; return whether the person exists."""

    async def work(connection: AsyncConnection) -> bool:
        return await notes.write(connection, database.dialect, who, ids, deed, now)

    return await database.write(work)


def _with_notes(deliveries: sa.FromClause, of: sa.FromClause) -> sa.FromClause:
    """Join deliveries with their events, and with what was done to them."""
    return deliveries.join(event, event.c.id == of.c.event_id).outerjoin(
        delivery_note, delivery_note.c.delivery_id == of.c.id
    )


def _stands(of: sa.FromClause) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for deliveries sent on this channel that are still current; a test is nobody's message."""
    outdated = (
        sa.select(sa.literal(1))
        .where(supersession.c.subject_key == of.c.subject_key, supersession.c.until >= STARTS_AT)
        .correlate(of, event)
    )
    return [of.c.channel == INBOX.value, of.c.state.in_(_SENT), of_tests(of.c.type, test=False), ~outdated.exists()]


def _listed(who: str, view: View, now: int) -> sa.Select[Any]:
    current = sa.and_(rendered.c.expires_at > now, delivery_note.c.archived_at.is_(None))
    away = sa.or_(rendered.c.expires_at <= now, delivery_note.c.archived_at.is_not(None))
    return (
        sa.select(*(rendered.c[name] for name in _OWN))
        .select_from(_with_notes(rendered, rendered))
        .where(rendered.c.recipient_id == who, *_stands(rendered), current if view == "current" else away)
    )


def _count(row: Any) -> Counts:
    unread = int(row.unread)
    return Counts(
        min(unread, COUNTED), min(int(row.unseen), COUNTED), unread > COUNTED,
        f"{row.items}-{row.newest}-{row.noted or 0}",
    )  # fmt: skip


@cache
def _counts(dialect: str) -> sa.Select[Any]:
    people = rows.batch(dialect, [delivery.c.recipient_id])
    one, nothing = sa.literal_column("1", sa.Integer()), sa.literal_column("0", sa.Integer())
    unread = sa.case((delivery_note.c.read_at.is_(None), one), else_=nothing)
    unseen = sa.case((delivery_note.c.seen_at.is_(None), one), else_=nothing)
    return (
        sa.select(
            status.c.recipient_id,
            sa.func.count().label("items"),
            sa.func.sum(unread).label("unread"),
            sa.func.sum(unseen).label("unseen"),
            sa.func.max(status.c.updated_at).label("newest"),
            sa.func.max(delivery_note.c.updated_at).label("noted"),
        )
        .select_from(_with_notes(people.join(status, status.c.recipient_id == people.c.recipient_id), status))
        .where(
            status.c.created_at >= sa.bindparam("since"),
            status.c.expires_at > sa.bindparam("now"),
            delivery_note.c.archived_at.is_(None),
            *_stands(status),
        )
        .group_by(status.c.recipient_id)
    )  # fmt: skip
