"""Places as their owners put them: one update follows the other, each on what the one before has left."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.stations import Evse, Location
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.stations import evse, location
from notifier.store.stations import evses, revisions
from notifier.store.stations.evses import Changed

MICRO: Final = 1_000_000
"""Parts of a degree in which coordinates are kept."""

FIELDS: Final = [location.c[name] for name in Location.__struct_fields__]
"""The columns of a place's struct, in its fields' order."""


class StoredEvse(msgspec.Struct, frozen=True):
    """A port, and what its owner put of it; its status and the instant of that stand in the port."""

    evse: Evse
    document: msgspec.Raw


class StoredLocation(msgspec.Struct, frozen=True):
    """A place, what its owner put of it without its ports, and the ports by id."""

    location: Location
    document: msgspec.Raw
    evses: Mapping[str, StoredEvse]


Step = Callable[[StoredLocation | None], StoredLocation | None]
"""Makes of a place as it is stored, None where it is new, the place as it is to be; None or the same where nothing
changes."""


def read(row: Sequence[Any]) -> Location:
    """A place from the columns `FIELDS`."""
    id_, party, name, address, city, country, operator, time_zone, latitude, longitude, hidden, last_updated = row[
        : len(FIELDS)
    ]
    return Location(
        id=id_, party=party, name=name, address=address, city=city, country=country, operator=operator,
        time_zone=time_zone, latitude=latitude / MICRO, longitude=longitude / MICRO, hidden=bool(hidden),
        last_updated=last_updated,
    )  # fmt: skip


async def update(database: Database, id_: str, step: Step) -> StoredLocation | None:
    """Apply one update to a place; returns it as it is now. What `step` raises leaves everything as it was."""

    async def work(connection: AsyncConnection) -> StoredLocation | None:
        number = await revisions.hold(connection, database.dialect)
        before = await _stored(connection, id_)
        after = step(before)
        if after is None or after == before:
            return before
        await _put(connection, database.dialect, number, before, after)
        await revisions.put(connection, number)
        return after

    return await database.write(work)


async def get(database: Database, id_: str) -> StoredLocation | None:
    """A place with its ports and what was put of them; None where there is none."""

    async def work(connection: AsyncConnection) -> StoredLocation | None:
        return await _stored(connection, id_)

    return await database.read(work)


async def shown(connection: AsyncConnection, id_: str) -> Location | None:
    """A place that its owner wants published; None where there is none."""
    query = sa.select(*FIELDS).where(location.c.id == id_, location.c.hidden == 0)
    row = (await connection.execute(query)).first()
    return None if row is None else read(row)


async def named(database: Database, ids: Sequence[str]) -> dict[str, Location]:
    """Places by id, without those that nobody has put."""
    if not ids:
        return {}

    async def work(connection: AsyncConnection) -> dict[str, Location]:
        found = await connection.execute(_by_id(database.dialect), {"rows": rows.names(sorted(set(ids)))})
        return {row.id: read(row) for row in found}

    return await database.read(work)


async def changed_since(database: Database, number: int) -> tuple[list[Location], list[Evse]]:
    """Places and ports that changed after a revision, or all there are for 0."""

    async def work(connection: AsyncConnection) -> tuple[list[Location], list[Evse]]:
        places = [read(row) for row in await connection.execute(_PLACES_SINCE, {"number": number})]
        return places, [evses.read(row) for row in await connection.execute(_PORTS_SINCE, {"number": number})]

    return await database.read(work)


async def _stored(connection: AsyncConnection, id_: str) -> StoredLocation | None:
    query = sa.select(*FIELDS, location.c.document).where(location.c.id == id_)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    ports = sa.select(*evses.FIELDS, evse.c.document).where(evse.c.location_id == id_).order_by(evse.c.id)
    found = {
        each.id: StoredEvse(evses.read(each), msgspec.Raw(each.document.encode()))
        for each in await connection.execute(ports)
    }
    return StoredLocation(read(row), msgspec.Raw(row.document.encode()), found)


async def _put(
    connection: AsyncConnection, dialect: str, number: int, before: StoredLocation | None, after: StoredLocation
) -> None:
    if before is None or (before.location, before.document) != (after.location, after.document):
        place = after.location
        row = msgspec.structs.asdict(place) | {
            "latitude": round(place.latitude * MICRO), "longitude": round(place.longitude * MICRO),
            "hidden": int(place.hidden), "revision": number, "document": after.document,
        }  # fmt: skip
        await connection.execute(_upsert(dialect), {"rows": [row]})
    known = before.evses if before else {}
    await evses.put(
        connection, dialect, number,
        [
            (Changed(known[id_].evse if id_ in known else None, each.evse), each.document)
            for id_, each in after.evses.items()
            if known.get(id_) != each
        ],
    )  # fmt: skip


_PLACES_SINCE: Final = sa.select(*FIELDS).where(location.c.revision > sa.bindparam("number"))
_PORTS_SINCE: Final = sa.select(*evses.FIELDS).where(evse.c.revision > sa.bindparam("number"))


@cache
def _by_id(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [location.c.id])
    return sa.select(*FIELDS).select_from(rows.lookup(given, location, location.c.id == given.c.id))


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, location, list(location.c))
