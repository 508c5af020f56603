"""The records that explain an event: its decisions as made, its deliveries, their attempts, and what superseded them.

A handful of queries, whatever the event's size; each reads by a key, and decisions come in pages.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import HeldChannel, State
from notifier.domain.events import BLANK, Event
from notifier.domain.keys import UNBOUND, Bounds
from notifier.domain.preferences import read_preferences
from notifier.domain.recipient_facts import RecipientFacts, read_facts
from notifier.domain.trace_context import parted
from notifier.store.core import rows
from notifier.store.core.buckets import in_each, of_person, over
from notifier.store.core.database import Database
from notifier.store.core.schema import decision, delivery, event, membership, recipient, supersession
from notifier.store.core.status import RENDERED, joined_as_rendered, of_batch
from notifier.store.delivery import digests, earlier
from notifier.store.delivery.decisions import answers_told, facts_told
from notifier.store.delivery.digests import Item
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading import merging, tries
from notifier.store.reading.dead import successor_id
from notifier.store.reading.listing import ListedDelivery
from notifier.store.reading.tries import AttemptRecord

REDRIVES = 5  # redrives of a delivery that are followed; later ones are explained by `?delivery=`


class ExplanationQuery(msgspec.Struct, frozen=True, kw_only=True):
    """An event by its id, or by the id of one of its deliveries; the decisions about one recipient, or of all.

    `after` are the type and the recipient of the last decision of the page before. Nothing is told of events beyond the
    `bounds`.
    """

    event: str | None = None
    delivery: str | None = None
    recipient: str | None = None
    after: tuple[str, str] = ("", "")
    limit: int = 100
    bounds: Bounds = UNBOUND


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A decision's answer for a channel, as recorded."""

    channel: HeldChannel
    answer: State
    due_at: int
    reason: str | None = None
    rule: str | None = None
    by: str | None = None
    delivery: str | None = None


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as recorded; `standing` is the person's facts, None where nobody was known or the
    facts weren't kept."""

    event_id: str
    type: str
    recipient_id: str
    decided_at: int
    answers: list[Answered]
    standing: RecipientFacts | None


class DeliveryRecord(ListedDelivery, frozen=True, kw_only=True):
    """A delivery as it is now, with what explains its words. `data` is that of its own event, which may be an earlier
    one than the one explained; `language` is its recipient's now, None where they are gone; `held` the data of a
    digest's items."""

    subject_key: str
    expires_at: int
    crashes: int
    provider: str | None
    provider_reference: str | None
    locale: str | None
    time_zone: str | None
    content_hash: str | None
    version: int | None
    variant: str | None
    held: tuple[str, ...] | None = None
    data: str
    language: str | None


class SupersessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What superseded a subject: up to which instant, the state in which its deliveries end, and the event that says
    so."""

    subject_key: str
    until: int
    reason: State
    event_id: str
    type: str
    source: str
    source_id: str
    accepted_at: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All records about an event. `recipient` is the one asked about; where there is no decision about them, `known`
    says whether they exist, and `audiences` in which they are."""

    event: Event
    decided_at: int | None
    quarantined_at: int | None
    recipient: str | None
    decisions: list[DecisionRecord]
    more: bool
    sent: dict[str, DeliveryRecord]
    tried: dict[str, list[AttemptRecord]]
    marks: dict[str, SupersessionRecord]
    known: bool = True
    audiences: frozenset[str] = frozenset()


_OF_EVENT = ("source", "source_id", "event_type")
_SENT = tuple(name for name in DeliveryRecord.__struct_fields__ if name not in (*_OF_EVENT, "data", "language", "held"))
_MARK = ("subject_key", "until", "reason", "event_id")


async def read(database: Database, wanted: ExplanationQuery) -> Found | None:
    """The records that explain an event; None where there is no such event or delivery within the bounds."""
    if len(database.buckets) == 1:
        whole = await _read(database, wanted)
    else:
        longer = msgspec.structs.replace(wanted, limit=wanted.limit + 1)
        found = await in_each(database, lambda bucket: _read(bucket, longer))
        parts = [part for part in found if part is not None]
        whole = await _joined(database, parts, wanted.limit) if parts else None
    return _within(whole, wanted.bounds) if whole is not None and wanted.bounds.narrow else whole


def _within(found: Found, bounds: Bounds) -> Found:
    """The records without what they tell of events beyond the bounds: a delivery that the event's only repeats, what
    superseded one, and the items of digests, whosever they are."""
    beyond = {id_ for id_, each in found.sent.items() if not bounds.cover(each.source, each.event_type)}
    sent = {
        id_: each if each.held is None else msgspec.structs.replace(each, held=(BLANK,))
        for id_, each in found.sent.items()
        if id_ not in beyond
    }
    decisions = [
        msgspec.structs.replace(made, answers=[_unless(beyond, each) for each in made.answers])
        for made in found.decisions
    ]
    told = {key: each for key, each in found.marks.items() if bounds.cover(each.source, each.type)}
    return msgspec.structs.replace(found, decisions=decisions, sent=sent, marks=told)


def _unless(beyond: Collection[str], answered: Answered) -> Answered:
    return msgspec.structs.replace(answered, delivery=None) if answered.delivery in beyond else answered


async def _joined(database: Database, parts: Sequence[Found], limit: int) -> Found:
    """All records about an event that is in several buckets. What the person who was asked about has to do with it is
    known in their bucket, be the event there or not; what takes others back, where it was accepted."""
    decisions = merging.told_once(sorted(chain.from_iterable(part.decisions for part in parts), key=_place))
    whole = min(parts, key=lambda part: not part.event.is_blank)  # what is blank in one is shown in none
    decided_at, quarantined_at, _ = merging.progress((part.decided_at, part.quarantined_at, None) for part in parts)
    known, audiences = whole.known, whole.audiences
    if not decisions and whole.recipient is not None:
        known, audiences = await _standing(database, whole.recipient)
    sent = {id_: each for part in parts for id_, each in part.sent.items()}
    return msgspec.structs.replace(
        whole, decided_at=decided_at, quarantined_at=quarantined_at, decisions=decisions[:limit],
        more=len(decisions) > limit, sent=sent, known=known, audiences=audiences,
        tried={id_: each for part in parts for id_, each in part.tried.items()},
        marks=await marks_everywhere(database, {each.subject_key for each in sent.values()}),
    )  # fmt: skip


def _place(made: DecisionRecord) -> tuple[str, str]:
    return made.type, made.recipient_id


async def _read(database: Database, wanted: ExplanationQuery) -> Found | None:
    async def work(connection: AsyncConnection) -> Found | None:
        id_, person = wanted.event, wanted.recipient
        if wanted.delivery is not None:
            named = await earlier.row_of_delivery(connection, database.dialect, _DELIVERY, wanted.delivery)
            if named is None:
                return None
            id_, person = named.event_id, named.recipient_id
        row = None if id_ is None else await earlier.row_of_event(connection, database.dialect, _EVENT, id_)
        if row is None or not wanted.bounds.cover(row.source, row.type):
            return None
        decisions = await _decisions(connection, wanted, row.id, person)
        page = decisions[: wanted.limit]
        sent = await _sent(connection, database.dialect, page)
        own = [id_ for id_, each in sent.items() if each.digest_id == id_]
        held = await digests.items(connection, database.dialect, own) if own else {}
        sent |= {id_: msgspec.structs.replace(sent[id_], held=_data(each)) for id_, each in held.items()}
        found = Found(
            event=read_event(row), decided_at=row.decided_at, quarantined_at=row.quarantined_at, recipient=person,
            decisions=page, more=len(decisions) > len(page), sent=sent,
            tried=await tries.read(connection, database.dialect, sent),
            marks=await marks(connection, database.dialect, {each.subject_key for each in sent.values()}),
        )  # fmt: skip
        if decisions or person is None:
            return found
        known, audiences = await _groups(connection, person)
        return msgspec.structs.replace(found, known=known, audiences=audiences)

    return await database.look(work)


@of_person
async def _standing(database: Database, person: str) -> tuple[bool, frozenset[str]]:
    return await database.read(lambda connection: _groups(connection, person))


async def _groups(connection: AsyncConnection, person: str) -> tuple[bool, frozenset[str]]:
    """Whether a person is known, and in which audiences they are."""
    found = [each for (each,) in await connection.execute(_GROUPS, {"id": person})]
    return bool(found), frozenset(filter(None, found))


def _furthest(found: Sequence[dict[str, SupersessionRecord]]) -> dict[str, SupersessionRecord]:
    every = sorted((each for part in found for each in part.values()), key=lambda each: each.until)
    return {each.subject_key: each for each in every}


@over(_furthest)
async def marks_everywhere(database: Database, keys: Collection[str]) -> dict[str, SupersessionRecord]:
    """The supersessions of these subjects by every bucket that has the event which says so."""
    return await database.read(lambda connection: marks(connection, database.dialect, keys))


async def marks(connection: AsyncConnection, dialect: str, keys: Iterable[str]) -> dict[str, SupersessionRecord]:
    """The supersessions of these subjects."""
    wanted = [{"subject_key": key} for key in keys]
    found = await connection.execute(_marks(dialect), {"rows": wanted})
    return {row.subject_key: rows.read(row, SupersessionRecord) for row in found}


def _data(items: Iterable[Item]) -> tuple[str, ...]:
    return tuple(each.data for each in items)


def read_event(row: Any) -> Event:
    """Convert a row to an event."""
    return Event(
        id=row.id, source=row.source, source_id=row.source_id, type=row.type, subject=row.subject,
        occurred_at=row.occurred_at, accepted_at=row.accepted_at, digest=row.digest,
        data=msgspec.json.decode(parted(row.data)[0]),
    )  # fmt: skip


def read_decision(row: Any) -> DecisionRecord:
    """Convert a row to a decision."""
    facts = facts_told(row)
    return DecisionRecord(
        event_id=row.event_id, type=row.type, recipient_id=row.recipient_id, decided_at=row.decided_at,
        answers=msgspec.convert(answers_told(row), list[Answered]),
        standing=None if facts is None else read_facts(facts),
    )  # fmt: skip


async def _decisions(
    connection: AsyncConnection, wanted: ExplanationQuery, event_id: str, recipient_id: str | None
) -> list[DecisionRecord]:
    type_, last = wanted.after
    later = sa.or_(decision.c.type > type_, sa.and_(decision.c.type == type_, decision.c.recipient_id > last))
    query = sa.select(decision).where(decision.c.event_id == event_id, later)
    if wanted.after == ("", ""):  # an unknown recipient has no id, and comes first
        query = sa.select(decision).where(decision.c.event_id == event_id)
    if recipient_id is not None:
        query = query.where(decision.c.recipient_id == recipient_id)
    query = query.order_by(decision.c.type, decision.c.recipient_id).limit(wanted.limit + 1)
    return [read_decision(row) for row in await connection.execute(query)]


async def _sent(
    connection: AsyncConnection, dialect: str, decisions: Sequence[DecisionRecord]
) -> dict[str, DeliveryRecord]:
    """The deliveries that decisions name, the digests they are in, and the deliveries that replaced any of them."""
    named = {each.delivery for made in decisions for each in made.answers if each.delivery is not None}
    sent = await _with_redrives(connection, dialect, named)
    collected = {each.digest_id for each in sent.values() if each.digest_id is not None} - sent.keys()
    return sent | await _with_redrives(connection, dialect, collected) if collected else sent


async def _with_redrives(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> dict[str, DeliveryRecord]:
    wanted = set(ids)
    for _ in range(REDRIVES):
        ids = {successor_id(id_) for id_ in ids}
        wanted |= ids
    found = await connection.execute(_deliveries(dialect), {"rows": rows.ids(sorted(wanted))})
    return {row.id: _read_sent(row) for row in found}


def _read_sent(row: Any) -> DeliveryRecord:
    language = None if row.chosen is None else read_preferences(row.chosen).locale or row.known
    told = {name: getattr(row, name) for name in (*_SENT, *_OF_EVENT)}
    return msgspec.convert({**told, "data": parted(row.data)[0], "language": language}, DeliveryRecord, strict=False)


_DELIVERY = sa.select(delivery.c.event_id, delivery.c.recipient_id).where(delivery.c.id == sa.bindparam("id"))
_EVENT = WITH_PROGRESS.where(event.c.id == sa.bindparam("id"))
_GROUPS = (
    sa.select(membership.c.audience)
    .select_from(recipient.outerjoin(membership, membership.c.recipient_id == recipient.c.id))
    .where(recipient.c.id == sa.bindparam("id"))
)


@cache
def _deliveries(dialect: str) -> sa.Select[Any]:
    told = joined_as_rendered(of_batch(dialect))
    return (
        sa.select(
            *(RENDERED[name] for name in _SENT), event.c.data, event.c.source, event.c.source_id,
            event.c.type.label("event_type"), recipient.c.locale.label("known"),
            recipient.c.preferences.label("chosen"),
        )
        .select_from(
            told.join(event, event.c.id == delivery.c.event_id).outerjoin(
                recipient, recipient.c.id == delivery.c.recipient_id
            )
        )
        .order_by(delivery.c.created_at, delivery.c.step, delivery.c.channel, delivery.c.id)
    )  # fmt: skip


@cache
def _marks(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [supersession.c.subject_key])
    told = (event.c[name] for name in ("type", "source", "source_id", "accepted_at"))
    return (
        sa.select(*(supersession.c[name] for name in _MARK), *told)
        .select_from(wanted)
        .join(supersession, supersession.c.subject_key == wanted.c.subject_key)
        .join(event, event.c.id == supersession.c.event_id)
    )
