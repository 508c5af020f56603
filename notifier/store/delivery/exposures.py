"""Exposures: who has been counted in an experiment, by a hash of both, so that each person counts once."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.experiments import exposure_id
from notifier.store.core import rows
from notifier.store.core.effects import exposure

TOGETHER: Final = 5_000
"""Exposures removed in one transaction."""


async def add(connection: AsyncConnection, dialect: str, people: Mapping[str, str]) -> set[str]:
    """Write people's exposures, by their id and the experiment's; returns the ids of those that are new."""
    if not people:
        return set()
    found = await connection.execute(_known(dialect), {"rows": rows.ids(people)})
    new = people.keys() - {row.id for row in found}
    if new:
        given = [{"id": id_, "experiment": people[id_]} for id_ in sorted(new)]
        await connection.execute(_insert(dialect), {"rows": given})
    return set(new)


async def experiments(connection: AsyncConnection) -> list[str]:
    """The experiments of which there are exposures."""
    return list(await connection.scalars(sa.select(exposure.c.experiment).distinct()))


async def forget(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> None:
    """Remove exposures by id, as of people who are erased."""
    if ids:
        await connection.execute(_delete(dialect), {"rows": rows.ids(sorted(ids))})


async def forget_person(connection: AsyncConnection, dialect: str, person: str) -> int:
    """Remove a person's exposures; returns how many there were."""
    wanted = [exposure_id(each, person) for each in await experiments(connection)]
    found = [row.id for row in await connection.execute(_known(dialect), {"rows": rows.ids(wanted)})] if wanted else []
    await forget(connection, dialect, found)
    return len(found)


async def end(connection: AsyncConnection, dialect: str, experiment: str) -> int:
    """Remove the exposures of an experiment that is over, some at a time; returns how many."""
    wanted = sa.select(exposure.c.id).where(exposure.c.experiment == experiment).limit(TOGETHER)
    found = [row.id for row in await connection.execute(wanted)]
    await forget(connection, dialect, found)
    return len(found)


@cache
def _known(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [exposure.c.id])
    return sa.select(exposure.c.id).select_from(rows.lookup(wanted, exposure, exposure.c.id == wanted.c.id))


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.append(dialect, exposure, [exposure.c.id, exposure.c.experiment])


@cache
def _delete(dialect: str) -> sa.Delete:
    return rows.delete(dialect, exposure, rows.batch(dialect, [exposure.c.id]))
