"""Experiments as they are kept: a document each, written over the revision that was read, with an audit entry."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.experiments import Experiment, ExperimentState
from notifier.store.core import audit, rows
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database
from notifier.store.core.staff import experiment

MOST: Final = 1_000
"""Experiments that are listed: some years of a busy team."""


async def every(database: Database, state: ExperimentState | None = None) -> list[Experiment]:
    """All experiments, or those in a state, the one that was changed last first."""
    query = sa.select(experiment.c.document).order_by(experiment.c.updated_at.desc(), experiment.c.id).limit(MOST)
    if state is not None:
        query = query.where(experiment.c.state == state)

    async def work(connection: AsyncConnection) -> list[Experiment]:
        return [_read(row) for row in await connection.execute(query)]

    return await database.read(work)


async def get(database: Database, id_: str) -> Experiment | None:
    """An experiment; None where there is none with this id."""

    async def work(connection: AsyncConnection) -> Experiment | None:
        row = (await connection.execute(_ONE, {"wanted": id_})).first()
        return None if row is None else _read(row)

    return await database.read(work)


async def save(database: Database, new: Experiment, entry: AuditEntry) -> bool:
    """Write an experiment over the revision before it, and the audit's entry; False where somebody else has changed it
    meanwhile."""
    document = msgspec.json.encode(new)
    row: dict[str, Any] = {
        "id": new.id, "type": new.plan.type, "state": new.state, "revision": new.revision,
        "updated_at": new.updated_at, "document": msgspec.Raw(document),
    }  # fmt: skip

    async def work(connection: AsyncConnection) -> bool:
        if new.revision == 1:
            statement = rows.insert(database.dialect, experiment, list(experiment.c))
            saved = (await connection.execute(statement, {"rows": [row]})).rowcount == 1
        else:
            before = sa.and_(experiment.c.id == new.id, experiment.c.revision == new.revision - 1)
            values = {name: value for name, value in row.items() if name != "id"} | {"document": document.decode()}
            saved = (await connection.execute(sa.update(experiment).where(before).values(values))).rowcount == 1
        if saved:
            await audit.add(connection, database.dialect, [entry])
        return saved

    return await database.write(work)


def _read(row: sa.Row[Any]) -> Experiment:
    return msgspec.json.decode(row.document, type=Experiment)


_ONE: Final = sa.select(experiment.c.document).where(experiment.c.id == sa.bindparam("wanted"))
