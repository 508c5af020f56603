"""What whoever shows stations reads: all places and ports page by page, and then what has changed since.

A number is read before the rows that it covers, since each statement sees what is committed when it begins: rows that
are newer than the number are read again with the next one, and none is missed.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.geography import cell_of
from notifier.domain.published import Place, Port
from notifier.domain.stations import Connector, EvseStatus
from notifier.store.core.database import Database
from notifier.store.core.stations import evse, location
from notifier.store.stations import revisions
from notifier.store.stations.locations import MICRO

PAGE: Final = 2_000
"""Rows that are read at once: some 20 ms of the event loop, in which nobody else is served."""
KINDS: Final = 10_000
"""Different lists of plugs that are kept once: ports of a model have the same."""


class News(NamedTuple):
    """Places without their ports, and ports each with the id of its place."""

    places: Sequence[Place]
    ports: Sequence[tuple[str, Port]]


async def newest(database: Database) -> int:
    """The number of the newest change; 0 before the first."""
    return await revisions.newest(database)


async def everything(database: Database) -> AsyncIterator[News]:
    """All places, and then all ports, page by page; what is written meanwhile may be among them."""
    last = ""
    while places := await _page(database, _PLACES.where(location.c.id > last).order_by(location.c.id).limit(PAGE)):
        yield News([_place(row) for row in places], ())
        last = places[-1].id
    last = ""
    while ports := await _page(database, _PORTS.where(evse.c.id > last).order_by(evse.c.id).limit(PAGE)):
        yield News((), _ports(ports))
        last = ports[-1].id


async def since(database: Database, number: int) -> News:
    """What changed after a revision."""
    places = await _page(database, _PLACES.where(location.c.revision > number))
    ports = await _page(database, _PORTS.where(evse.c.revision > number))
    return News([_place(row) for row in places], _ports(ports))


async def _page(database: Database, query: sa.Select[Any]) -> Sequence[Any]:
    async def work(connection: AsyncConnection) -> Sequence[Any]:
        found: Sequence[Any] = (await connection.execute(query)).all()
        return found

    return await database.read(work)


def _place(row: Any) -> Place:
    latitude, longitude = row.latitude / MICRO, row.longitude / MICRO
    return Place(
        id=row.id, name=row.name, address=row.address, city=_word(row.city), operator=_word(row.operator),
        time_zone=None if row.time_zone is None else _word(row.time_zone), latitude=latitude, longitude=longitude,
        hidden=bool(row.hidden), cell=cell_of(latitude, longitude), put=row.revision, revision=row.revision,
        formed=row.revision,
    )  # fmt: skip


def _ports(rows: Iterable[Any]) -> list[tuple[str, Port]]:
    return [
        (location_id, Port(id_, uid, _connectors(connectors), EvseStatus(status), since_, heard_at, revision))
        for id_, location_id, uid, connectors, status, since_, heard_at, revision in rows
    ]


@lru_cache(KINDS)
def _connectors(text: str) -> tuple[Connector, ...]:
    return msgspec.json.decode(text, type=tuple[Connector, ...])


@lru_cache(KINDS)
def _word(text: str) -> str:
    """The same text for all places that have it: cities and operators are many places'."""
    return text


_PLACES: Final = sa.select(
    *(
        location.c[name]
        for name in (
            "id", "name", "address", "city", "operator", "time_zone", "latitude", "longitude", "hidden", "revision",
        )
    )
)  # fmt: skip
_PORTS: Final = sa.select(
    *(
        evse.c[name]
        for name in ("id", "location_id", "uid", "connectors", "status", "since", "heard_at", "revision")
    )
)  # fmt: skip
