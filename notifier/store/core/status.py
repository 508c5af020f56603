"""A delivery as it is now: how it was decided, what is open of it, and its last outcome, read as one table."""

from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from notifier.store.core import rows
from notifier.store.core.schema import delivery, open_delivery, outcome

TELLING: Final = ("locale", "time_zone", "content_hash")
"""What describes a rendered message: its recipient's locale, zone and region, and its words by their hash."""

_last = outcome.alias("last")
_told = outcome.alias("told")


def _number(*conditions: Any) -> sa.ScalarSelect[Any]:
    """The number of a delivery's last outcome that meets these conditions."""
    of = outcome.alias("of")
    newest = sa.select(sa.func.max(of.c.number)).where(of.c.delivery_id == delivery.c.id)
    return newest.where(*(of.c[name].is_not(None) for name in conditions)).correlate(delivery).scalar_subquery()


def _now(open_: sa.ColumnElement[Any], last: sa.ColumnElement[Any], decided: sa.ColumnElement[Any]) -> Any:
    """What is open, else what became of it, else what was decided."""
    return sa.case((open_delivery.c.id.is_not(None), open_), (_last.c.number.is_not(None), last), else_=decided)


_COLUMNS: Final = (
    *(column for column in delivery.c if column.name not in ("state", "reason", "due_at", "lease_token")),
    _now(open_delivery.c.state, _last.c.state, delivery.c.state).label("state"),
    _now(open_delivery.c.reason, _last.c.reason, delivery.c.reason).label("reason"),
    _now(open_delivery.c.updated_at, _last.c.at, delivery.c.created_at).label("updated_at"),
    sa.func.coalesce(open_delivery.c.due_at, _last.c.started_at, delivery.c.due_at).label("due_at"),
    open_delivery.c.next_check_at,
    _now(open_delivery.c.lease_token, sa.null(), delivery.c.lease_token).label("lease_token"),
    _now(sa.null(), sa.null(), delivery.c.lease_token).label("batch_token"),
    _now(open_delivery.c.attempts, _last.c.attempts, sa.case((delivery.c.lease_token.is_not(None), 1), else_=0)).label(
        "attempts"
    ),
    sa.func.coalesce(open_delivery.c.crashes, _last.c.crashes, 0).label("crashes"),
    _now(open_delivery.c.code, _last.c.code, sa.null()).label("code"),
    *(_last.c[name] for name in ("started_at", "provider", "provider_reference", "handled_at")),
)

NOW: Final = {column.key: column for column in _COLUMNS}
"""What `status` tells of a delivery, by its name, for queries of `joined`."""

RENDERED: Final = NOW | {name: _told.c[name] for name in (*TELLING, "version")}
"""What `rendered` tells, for queries of `joined_as_rendered`."""


def joined(deliveries: sa.FromClause) -> sa.Join:
    """Deliveries with what is open of each and its last outcome. PostgreSQL joins as it is written, so what leads to a
    batch's deliveries comes before them."""
    there = deliveries.outerjoin(open_delivery, open_delivery.c.id == delivery.c.id)
    return there.outerjoin(_last, sa.and_(_last.c.delivery_id == delivery.c.id, _last.c.number == _number()))


def joined_as_rendered(deliveries: sa.FromClause) -> sa.Join:
    """What `joined` joins, and the outcome that explains the words of the last message that was made."""
    with_words = sa.and_(_told.c.delivery_id == delivery.c.id, _told.c.number == _number("content_hash"))
    return joined(deliveries).outerjoin(_told, with_words)


status = sa.select(*NOW.values()).select_from(joined(delivery)).subquery("status")
"""Every delivery with its state now. Only what is found by a column of `delivery` is found quickly."""


def of_batch(dialect: str) -> sa.Join:
    """The deliveries of a batch of ids, which come first."""
    wanted = rows.batch(dialect, [delivery.c.id])
    return rows.lookup(wanted, delivery, delivery.c.id == wanted.c.id)


@cache
def status_of(dialect: str, names: tuple[str, ...]) -> sa.Select[Any]:
    """These columns of `status`, for a batch of deliveries."""
    return sa.select(*(NOW[name] for name in names)).select_from(joined(of_batch(dialect)))


rendered = sa.select(*RENDERED.values()).select_from(joined_as_rendered(delivery)).subquery("rendered")
"""`status`, with what explains the words of the last message that was made of a delivery."""
