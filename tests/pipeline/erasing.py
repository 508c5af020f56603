"""A person who is erased, and what tells of one."""

from typing import Any

import sqlalchemy as sa

from notifier.domain.clock import ManualClock
from notifier.domain.consent import Consent
from notifier.domain.messages import Device
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.ocpi.sessions import StoredSession
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.erasure import ENDED, sweep
from notifier.store.core.schema import (
    event,
    metadata,
)
from notifier.store.delivery import notes, sessions
from notifier.store.people import erasures
from tests.pipeline.samples import NOW

ID, TOKEN, PHONE, MAIL = "c4n4ry-id", "C4N4RY-TOKEN", "+4915123456789", "c4n4ry@example.com"
CANARIES = ("c4n4ry", PHONE)
"""In lower case: whatever holds one of these tells of the person who is erased."""

PERSON = RecipientDetails(
    name="C4n4ry", email=MAIL, phone=PHONE, locale="de-AT", time_zone="Europe/Vienna", tokens=[TOKEN],
    devices=[Device(value="c4n4ry-device")], fleets=["acme"], attributes={"plan": "c4n4ry"},
    preferences=Preferences(time_zone="Europe/Paris"),
)  # fmt: skip
BEA = RecipientDetails(name="Bea", phone="+4915198765432", email="bea@example.com", tokens=["NL-TST-BEA"])
AGREED = Consent(category="offers", channel="all", granted=True, wording="2026-03", source="app")


async def rows(engine: WorkerEngine, table: sa.FromClause) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(sa.select(table).order_by(*table.primary_key)))


async def found(engine: WorkerEngine, *canaries: str) -> set[str]:
    """The columns of the database that hold one of these, in any case."""
    return {
        f"{table.name}.{name}"
        for table in metadata.sorted_tables
        for row in await rows(engine, table)
        for name, value in row._mapping.items()
        if any(canary in str(value).lower() for canary in canaries)
    }


async def erase(engine: WorkerEngine, clock: ManualClock, *ids: str) -> None:
    """Erase people, and let the clock sweep up behind them to the end."""
    await erasures.begin(engine.database, ids or (ID,), "test", clock.now())
    assert await sweep(engine) == len(ids or (ID,))
    clock.advance(ENDED)
    assert await sweep(engine) == len(ids or (ID,))
    assert await sweep(engine) == 0


async def keep_session(engine: WorkerEngine, name: str, token: str) -> None:
    state = StoredSession(session={"id": name, "cdr_token": {"uid": "u", "contract_id": token}}, last_updated=1)
    await sessions.update(engine.database, name, lambda _: (state, []), NOW)


async def read(engine: WorkerEngine, who: str, ids: list[str]) -> None:
    async with engine.database.engine.begin() as connection:
        await notes.write(connection, engine.database.dialect, who, ids, "read", NOW)


async def set_subject(engine: WorkerEngine, id_: str, subject: str) -> None:
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.update(event).where(event.c.id == id_).values(subject=subject))
