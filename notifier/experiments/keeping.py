"""How each process comes to know the experiments that run."""

from typing import Final

import structlog

from notifier.domain.catalog import Catalog
from notifier.domain.experiments import Experiments, ExperimentState, Running
from notifier.rendering import Renderer
from notifier.runtime.background import keep_fresh
from notifier.store.console import experiments as store
from notifier.store.core.database import Database
from notifier.texts import publishing

REFRESH: Final = 2.0
"""Seconds until every process knows of an experiment, as of a published text: a query of one small table."""

log = structlog.get_logger(__name__)


async def refresh(database: Database, catalog: Catalog, renderer: Renderer, known: Experiments) -> None:
    """Read the experiments that run, and load the texts of their arms. One whose texts can't be used doesn't run here:
    its people are told as if there were none."""
    found = await store.every(database, ExperimentState.RUNNING)
    if [(each.id, each.revision) for each in found] == known.revisions:
        return
    usable = []
    for each in found:
        versions = [arm.version for arm in each.plan.arms.values() if arm.version is not None]
        if all([await publishing.have(database, renderer, each.plan.type, version) for version in versions]):
            usable.append(each)
        else:
            log.error("experiments.texts_refused", experiment=each.id, versions=versions)
    known.use(found, Running(usable, catalog.types))


async def keep(database: Database, catalog: Catalog, renderer: Renderer, known: Experiments) -> None:
    """Refresh until cancelled; a database that is away is waited for."""
    await keep_fresh(REFRESH, lambda: refresh(database, catalog, renderer, known))
