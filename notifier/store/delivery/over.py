"""What is over: the only place that says which deliveries and events nobody needs any more, for those who remove them.

Open is what is to be decided, sent, or sent again; what waits for a person, as dead letters and quarantined events do;
an item, until the digest that it is in is over; and whatever is within its time to live: it stands in an inbox, and a
receipt may ask for one more try.
"""

from functools import cache
from typing import Any

import sqlalchemy as sa

from notifier.store.core import rows
from notifier.store.core.schema import delivery, event, open_delivery, open_event, outcome, plan


@cache
def open_deliveries(dialect: str) -> sa.Select[Any]:
    """The ids of a batch of deliveries that are open at the instant `now`."""
    wanted = rows.batch(dialect, [delivery.c.id])
    return (
        sa.select(delivery.c.id)
        .select_from(rows.lookup(wanted, delivery, delivery.c.id == wanted.c.id))
        .where(_is_open())
    )


@cache
def open_events(dialect: str) -> sa.Select[Any]:
    """The ids of a batch of events that are open at the instant `now`, or of which a delivery is.

    An event that was put aside and discarded is over, though nobody ever decides it.
    """
    wanted = rows.batch(dialect, [event.c.id])
    one = sa.select(sa.literal(1))
    undecided = one.where(open_event.c.id == wanted.c.id, open_event.c.handled_at.is_(None)).correlate(wanted)
    awaited = one.where(delivery.c.event_id == wanted.c.id, _is_open()).correlate(wanted)
    return sa.select(wanted.c.id).where(sa.or_(undecided.exists(), awaited.exists()))


@cache
def open_wide_events(dialect: str) -> sa.Select[Any]:
    """The ids of a batch of decided events of which a delivery is open, looked for among all that is open.

    For events that made very many deliveries, each of which `open_events` would look at. What was redriven, and is over
    within its time to live, it leaves out.
    """
    wanted = rows.batch(dialect, [event.c.id])
    return (
        sa.select(delivery.c.event_id)
        .distinct()
        .select_from(rows.lookup(open_delivery, delivery, delivery.c.id == open_delivery.c.id))
        .where(delivery.c.event_id.in_(sa.select(wanted.c.id)))
    )


def open_deliveries_between(first: str, last: str, before: int) -> sa.Select[Any]:
    """The ids of deliveries from `first` on and before `last` that are open at the instant `now`, or were made at
    `before` or later."""
    young = delivery.c.created_at >= before
    return sa.select(delivery.c.id).where(delivery.c.id >= first, delivery.c.id < last, sa.or_(young, _is_open()))


def open_events_between(first: str, last: str) -> sa.CompoundSelect[Any]:
    """The ids of events from `first` on and before `last` that are open, or of which a delivery is open at the instant
    `now`."""
    undecided = sa.select(open_event.c.id).where(
        open_event.c.id >= first, open_event.c.id < last, open_event.c.handled_at.is_(None)
    )
    awaited = sa.select(delivery.c.event_id).where(delivery.c.event_id >= first, delivery.c.event_id < last, _is_open())
    return sa.union(undecided, awaited)


def wanted_events_between(first: str, last: str) -> sa.CompoundSelect[Any]:
    """The ids of events from `first` on and before `last` that stay: those that are open, of which a delivery is left,
    or that were put aside and discarded, which the books count."""
    undecided = sa.select(open_event.c.id).where(open_event.c.id >= first, open_event.c.id < last)
    left = sa.select(delivery.c.event_id).where(delivery.c.event_id >= first, delivery.c.event_id < last)
    decided = sa.select(sa.literal(1)).where(plan.c.event_id == event.c.id).correlate(event)
    aside = sa.select(event.c.id).where(event.c.id >= first, event.c.id < last, ~decided.exists())
    return sa.union(undecided, left, aside)


@cache
def plans(dialect: str) -> sa.Select[Any]:
    """How many deliveries were made of each of a batch of events that are decided.

    The others are put aside, and counted as such by the books.
    """
    wanted = rows.batch(dialect, [event.c.id])
    source = rows.lookup(wanted, plan, plan.c.event_id == wanted.c.id)
    return sa.select(plan.c.event_id, plan.c.deliveries).select_from(source)


def _is_open() -> sa.ColumnElement[bool]:
    one = sa.select(sa.literal(1))
    # One look-up each: of two columns in one IN, MariaDB would read all that is open for every delivery.
    itself, digest = (one.where(open_delivery.c.id == id_) for id_ in (delivery.c.id, delivery.c.digest_id))
    open_ = sa.or_(itself.correlate(delivery).exists(), digest.correlate(delivery).exists())
    told = one.where(outcome.c.delivery_id == delivery.c.id).correlate(delivery)
    leased = sa.and_(delivery.c.lease_token.is_not(None), ~told.exists())
    return sa.or_(open_, leased, delivery.c.expires_at > sa.bindparam("now"))
