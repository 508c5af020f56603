"""Outcomes: what messages are for is awaited from the decision on, and written down when it comes."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.twins import plain
from notifier.pipeline.engine import Engine
from notifier.pipeline.plan import Plan
from notifier.store.delivery import awaited, exposures
from notifier.store.delivery.awaited import Awaited
from notifier.store.delivery.deliveries import NewDelivery


async def write_outcomes(connection: AsyncConnection, engine: Engine, plan: Plan, new: Iterable[NewDelivery]) -> None:
    """Await the outcomes of new deliveries, and write down those that a plan's events are."""
    dialect = engine.database.dialect
    found = [
        msgspec.structs.replace(each, locale=engine.renderer.spoken(plain(each.type), each.locale))
        for each in plan.awaited_of(new)
    ]
    await awaited.add(connection, dialect, await _first_of_each(connection, dialect, found))
    await awaited.answer(connection, dialect, plan.answers)


async def _first_of_each(connection: AsyncConnection, dialect: str, found: Sequence[Awaited]) -> list[Awaited]:
    """The same, of which only the first of each person in an experiment says who it is."""
    people = {each.person: each.variant.partition("/")[0] for each in found if each.person is not None}
    if not people:
        return list(found)
    new = await exposures.add(connection, dialect, people)
    made = []
    for each in found:
        first = each.person in new
        new.discard(each.person or "")
        made.append(each if first else msgspec.structs.replace(each, person=None))
    return made
