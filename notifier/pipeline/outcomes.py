"""Outcomes: what messages are for is awaited from the decision on, and written down when it comes."""

from collections.abc import Iterable

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.twins import plain
from notifier.pipeline.engine import Engine
from notifier.pipeline.plan import Plan
from notifier.store.delivery import awaited
from notifier.store.delivery.deliveries import NewDelivery


async def write_outcomes(connection: AsyncConnection, engine: Engine, plan: Plan, new: Iterable[NewDelivery]) -> None:
    """Await the outcomes of new deliveries, and write down those that a plan's events are."""
    dialect = engine.database.dialect
    found = [
        msgspec.structs.replace(each, locale=engine.renderer.spoken(plain(each.type), each.locale))
        for each in plan.awaited_of(new)
    ]
    await awaited.add(connection, dialect, found)
    await awaited.answer(connection, dialect, plan.answers)
