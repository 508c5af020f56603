"""Choices of which nothing says by which message they came: each is counted of the last message that its person got."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import HOUR
from notifier.domain.deliveries import State
from notifier.domain.effects import ANY, Effect, What, hour_of, of_choice
from notifier.store.core import rows
from notifier.store.core.schema import delivery, outcome
from notifier.store.core.twins import of_tests

BECAUSE: Final = 72 * HOUR
"""Milliseconds after a message in which a choice is put down to it: whoever is moved to one by a message looks at it by
then, over a weekend too; later another reason is as likely."""
LAST: Final = 200
"""Messages that are looked at of all that somebody got in that time: hardly anybody gets as many."""

Spot = tuple[str, str]
"""A category and a channel, each of which may be `ANY`."""


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """A message that reached a person, as it is counted."""

    created_at: int
    type: str
    channel: str
    locale: str | None = None
    variant: str | None = None

    def effect(self, what: What) -> Effect:
        """What its person did because of it."""
        return Effect(
            hour=hour_of(self.created_at), type=self.type, channel=self.channel, locale=self.locale or "",
            variant=self.variant or "", what=what,
        )  # fmt: skip


async def got_last(connection: AsyncConnection, dialect: str, people: Collection[str], now: int) -> list[Got]:
    """The messages that reached these people lately, the last first; no tests, which reach nobody."""
    if not people:
        return []
    wanted = {"rows": [{"recipient_id": id_} for id_ in sorted(people)], "since": now - BECAUSE, "limit": LAST}
    return [rows.read(row, Got) for row in await connection.execute(_got_last(dialect), wanted)]


def of_choices(
    what: What, spots: Iterable[Spot], got: Collection[Got], categories: Mapping[str, str], now: int
) -> Iterator[Effect]:
    """What is counted of choices about categories and channels: each of the last message of that kind that the person
    got, or of no type where they got none. `got` are those messages, the last first, and `categories` those of types.
    """
    for category, channel in spots:
        last = (
            each
            for each in got
            if channel in (ANY, each.channel) and category in (ANY, categories.get(each.type, ANY))
        )  # fmt: skip
        led = next(last, None)
        yield of_choice(what, category, channel, now) if led is None else led.effect(what)


@cache
def _got_last(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.recipient_id])
    of_it = outcome.c.delivery_id == delivery.c.id
    told = sa.select(outcome.c.locale).where(of_it, outcome.c.locale.is_not(None))
    locale = told.order_by(outcome.c.number.desc()).limit(1).correlate(delivery).scalar_subquery()
    own = (delivery.c[name] for name in ("created_at", "type", "channel", "variant"))
    return (
        sa.select(*own, locale.label("locale"))
        .select_from(rows.lookup(wanted, delivery, delivery.c.recipient_id == wanted.c.recipient_id))
        .where(
            delivery.c.created_at > sa.bindparam("since"),
            of_tests(delivery.c.type, test=False),
            sa.exists().where(of_it, outcome.c.state.in_([State.SENT, State.DELIVERED])).correlate(delivery),
        )
        .order_by(delivery.c.created_at.desc(), delivery.c.id)
        .limit(sa.bindparam("limit"))
    )
