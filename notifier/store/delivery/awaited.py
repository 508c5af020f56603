"""Awaited outcomes: a row for each person whom it was decided to tell, until what the message is for has come or its
time is over. No row says who the person is."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.effects import awaited_outcome

AT_ONCE: Final = 0
"""When what was answered is looked at: before all others."""


class Awaited(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An outcome that is awaited of one person about one thing, from the decision to `until`.

    `channels` are those by which the person was to hear; `answered_at` is when the outcome came. `variant` is the arm
    of an experiment, and `person` the one of its people of whom this is the first that is awaited, by an id that says
    nothing elsewhere.
    """

    id: str
    subject_key: str
    decided_at: int
    until: int
    answered_at: int | None = None
    type: str
    channels: str
    locale: str
    variant: str = ""
    person: str | None = None

    @property
    def next_check_at(self) -> int:
        """When it is over, if nothing comes."""
        return self.until


async def add(connection: AsyncConnection, dialect: str, awaited: Sequence[Awaited]) -> None:
    """Await outcomes."""
    if awaited:
        await connection.execute(_insert(dialect), {"rows": [_row(each) for each in awaited]})


async def answer(connection: AsyncConnection, dialect: str, answers: Mapping[str, int]) -> int:
    """Write down that the outcomes of subjects came, each at an instant; returns for how many people who awaited them.

    One that came before the decision, or too late, is none; of several the first one counts that is written.
    """
    if not answers:
        return 0
    given = [{"subject_key": key, "answered_at": at} for key, at in answers.items()]
    found = [row._asdict() for row in await connection.execute(_awaiting(dialect), {"rows": given})]
    if found:
        await connection.execute(_answer(dialect), {"rows": found})
    return len(found)


async def forget(connection: AsyncConnection, keys: Collection[str]) -> int:
    """Make outcomes that are awaited of a person, by their subject keys, those of nobody: they count as not come."""
    if not keys:
        return 0
    own = awaited_outcome.c.subject_key.in_(sorted(keys))
    nobodys = sa.update(awaited_outcome).where(own).values(subject_key=awaited_outcome.c.id)
    return (await connection.execute(nobodys)).rowcount


async def take_over(connection: AsyncConnection, dialect: str, now: int, limit: int) -> list[Awaited]:
    """Take away those whose outcome has come or whose time is over, at most `limit` of them, first come first."""
    found = rows.read_all(await connection.execute(_OVER, {"now": now, "limit": limit}), Awaited)
    if found:
        await connection.execute(_delete(dialect), {"rows": rows.ids(each.id for each in found)})
    return found


_COLUMNS: Final = [awaited_outcome.c[name] for name in (*Awaited.__struct_fields__, "next_check_at")]


def _row(awaited: Awaited) -> dict[str, Any]:
    return {**msgspec.structs.asdict(awaited), "next_check_at": awaited.next_check_at}


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.append_missing(dialect, awaited_outcome, _COLUMNS)


@cache
def _awaiting(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [awaited_outcome.c.subject_key, awaited_outcome.c.answered_at])
    there = rows.lookup(given, awaited_outcome, awaited_outcome.c.subject_key == given.c.subject_key)
    return (
        sa.select(awaited_outcome.c.id, given.c.answered_at)
        .select_from(there)
        .where(
            awaited_outcome.c.answered_at.is_(None),
            given.c.answered_at >= awaited_outcome.c.decided_at,
            given.c.answered_at <= awaited_outcome.c.until,
        )
    )


@cache
def _answer(dialect: str) -> sa.Update:
    given = rows.batch(dialect, [awaited_outcome.c.id, awaited_outcome.c.answered_at])
    return (
        rows.update(awaited_outcome, given, awaited_outcome.c.answered_at.is_(None))
        .values(answered_at=given.c.answered_at, next_check_at=AT_ONCE)
    )  # fmt: skip


_OVER: Final = (
    sa.select(*(awaited_outcome.c[name] for name in Awaited.__struct_fields__))
    .where(awaited_outcome.c.next_check_at <= sa.bindparam("now"))
    .order_by(awaited_outcome.c.next_check_at)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)


@cache
def _delete(dialect: str) -> sa.Delete:
    return rows.delete(dialect, awaited_outcome, rows.batch(dialect, [awaited_outcome.c.id]))
