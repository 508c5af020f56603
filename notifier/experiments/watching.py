"""Watching: the clock ends experiments that do harm or have lasted as long as was planned, and forgets whom the ended
ones counted."""

import asyncio
from functools import partial
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.errors import Problem
from notifier.domain.experiments import Experiment, ExperimentState
from notifier.domain.statistics import Finding
from notifier.experiments import managing, results
from notifier.pipeline.engine import Engine
from notifier.runtime.background import every, keep_going
from notifier.store.console import experiments as store
from notifier.store.core.database import Database
from notifier.store.delivery import exposures

EVERY: Final = 60.0
"""Seconds between two looks at what runs: an hour's counts are final once an hour."""
ACTOR: Final = "notifier"
"""Who ended an experiment by itself, for the audit."""
ENDING: Final = frozenset({Finding.HARM, Finding.NO_WINNER})
"""What ends an experiment by itself: a winner is a person's to decide for, and a mismatch needs somebody who looks."""

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Watch until told to stop, beside the clock's ticks."""
    await keep_going("watching", partial(every, "watching", EVERY, partial(watch, engine), stop))


async def watch(engine: Engine) -> None:
    """End what is over, and forget whom it counted."""
    running = await store.every(engine.database, ExperimentState.RUNNING)
    for each in running:
        if each.plan.type in engine.catalog.types:
            await _end_where_it_is_over(engine, each)
    still = {each.id for each in await store.every(engine.database, ExperimentState.RUNNING)}
    for bucket in engine.database.buckets:
        for id_ in await _counted(bucket):
            if id_ not in still:
                await _forget(bucket, id_)


async def _end_where_it_is_over(engine: Engine, running: Experiment) -> None:
    found = await results.read(engine, running)
    if found.finding not in ENDING:
        return
    try:
        await managing.end(engine, running.id, ACTOR, found.words)
    except Problem:  # somebody changes it at this moment, and it is looked at again
        return
    log.info("experiments.ended", experiment=running.id, finding=found.finding)


async def _counted(bucket: Database) -> list[str]:
    async def work(connection: AsyncConnection) -> list[str]:
        return await exposures.experiments(connection)

    return await bucket.read(work)


async def _forget(bucket: Database, experiment: str) -> None:
    async def work(connection: AsyncConnection) -> int:
        return await exposures.end(connection, bucket.dialect, experiment)

    while await bucket.write(work) == exposures.TOGETHER:
        pass
