"""Ports as they are, and what they said before."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import dated, make_id
from notifier.domain.stations import Connector, Evse, EvseStatus, Source, look, report
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.stations import evse, evse_status
from notifier.store.stations import revisions, waking

FIELDS: Final = [evse.c[name] for name in Evse.__struct_fields__]
"""The columns of a port's struct, in its fields' order."""

_STATE: Final = [
    evse.c[name]
    for name in (
        "id", "source", "status", "since", "last_updated", "heard_at", "epoch", "settled", "next_check_at", "revision",
    )
]  # fmt: skip
"""What a report may change."""

_connectors: Final = msgspec.json.Decoder(tuple[Connector, ...]).decode


class StatusReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is told of a port, which is named by our id or by `station` and `port` as OCPP does; a report of a station
    without a port is about all of its ports. `status` is None for a mere sign of life; `at` is its owner's instant."""

    id: str | None = None
    station: str | None = None
    port: int | None = None
    status: EvseStatus | None
    at: int
    source: Source


class Changed(NamedTuple):
    """A port before and after; `before` is None where it is new."""

    before: Evse | None
    after: Evse


def read(row: Sequence[Any]) -> Evse:
    """A port from the columns `FIELDS`."""
    id_, location_id, uid, connectors, station, port, source, status, since, last_updated, heard_at, epoch, settled = (
        row[: len(FIELDS)]
    )
    return Evse(
        id=id_, location_id=location_id, uid=uid, connectors=_connectors(connectors), station=station, port=port,
        source=source, status=EvseStatus(status), since=since, last_updated=last_updated, heard_at=heard_at,
        epoch=epoch, settled=bool(settled),
    )  # fmt: skip


async def report_statuses(database: Database, reports: Sequence[StatusReport], now: int) -> list[list[Changed]]:
    """Take reports in their order; returns for each the ports that it named, as they were and are. An empty list is a
    port that nobody has put."""

    async def work(connection: AsyncConnection) -> list[list[Changed]]:
        number = await revisions.hold(connection, database.dialect)
        known = await _named(connection, database.dialect, reports)
        by_station: dict[str, list[str]] = {}
        for each in known.values():
            if each.station is not None:
                by_station.setdefault(each.station, []).append(each.id)
        now_are = dict(known)
        answers = []
        for told in reports:
            changed = []
            for id_ in [told.id] if told.id is not None else by_station.get(told.station or "", ()):
                before = now_are.get(id_)
                if before is None or (told.id is None and told.port not in (None, before.port)):
                    continue
                now_are[id_] = report(before, told.status, told.at, now, told.source)
                changed.append(Changed(before, now_are[id_]))
            answers.append(changed)
        await _write(connection, database.dialect, number, [Changed(known[id_], now_are[id_]) for id_ in known])
        return answers

    return await database.write(work)


async def look_at_due(database: Database, now: int, limit: int) -> list[Evse]:
    """Look at ports that time changes, at most `limit` of them, and wake those who wait where one is free; returns them
    as they are now."""

    async def due(connection: AsyncConnection) -> bool:
        return (await connection.execute(_DUE, {"now": now, "limit": 1})).first() is not None

    async def work(connection: AsyncConnection) -> list[Evse]:
        number = await revisions.hold(connection, database.dialect)
        found = [read(row) for row in await connection.execute(_DUE, {"now": now, "limit": limit})]
        changed = [Changed(each, look(each, now)) for each in found]
        await _write(connection, database.dialect, number, changed)
        await waking.wake(connection, {each.after.location_id for each in changed if each.after.settled}, now)
        return [each.after for each in changed]

    return await database.write(work) if await database.read(due) else []


async def of_stations(database: Database, names: Sequence[str]) -> list[Evse]:
    """The ports of stations of OCPP, by the stations' names."""
    if not names:
        return []

    async def work(connection: AsyncConnection) -> list[Evse]:
        wanted = [{"station": name} for name in names]
        return [read(row) for row in await connection.execute(_by_station(database.dialect), {"rows": wanted})]

    return await database.read(work)


async def at(connection: AsyncConnection, dialect: str, location_id: str) -> list[Evse]:
    """The ports of a place."""
    wanted = {"rows": [{"location_id": location_id}]}
    return [read(row) for row in await connection.execute(_by_location(dialect), wanted)]


async def of_locations(database: Database, ids: Sequence[str]) -> list[Evse]:
    """The ports of places, by the places' ids."""
    if not ids:
        return []

    async def work(connection: AsyncConnection) -> list[Evse]:
        wanted = [{"location_id": id_} for id_ in ids]
        return [read(row) for row in await connection.execute(_by_location(database.dialect), {"rows": wanted})]

    return await database.read(work)


async def put(
    connection: AsyncConnection, dialect: str, number: int, changed: Iterable[tuple[Changed, msgspec.Raw]]
) -> None:
    """Write ports with what their owner put, and what they said, if it is news."""
    given = list(changed)
    if given:
        wanted = [_row(each.after, number) | {"document": document} for each, document in given]
        await connection.execute(_upsert(dialect), {"rows": wanted})
        await _note(connection, dialect, [each for each, _ in given])
        await waking.recall(connection, _taken(each for each, _ in given))


async def history(database: Database, evse_id: str, limit: int) -> list[tuple[int, EvseStatus]]:
    """What a port said and when, newest first."""
    query = (
        sa.select(evse_status.c.at, evse_status.c.status)
        .where(evse_status.c.evse_id == evse_id)
        .order_by(evse_status.c.at.desc(), evse_status.c.id.desc())
        .limit(limit)
    )

    async def work(connection: AsyncConnection) -> list[tuple[int, EvseStatus]]:
        return [(row.at, EvseStatus(row.status)) for row in await connection.execute(query)]

    return await database.read(work)


async def _named(connection: AsyncConnection, dialect: str, reports: Sequence[StatusReport]) -> Mapping[str, Evse]:
    found: dict[str, Evse] = {}
    if by_id := sorted({each.id for each in reports if each.id is not None}):
        found |= {row.id: read(row) for row in await connection.execute(_by_id(dialect), {"rows": rows.names(by_id)})}
    if by_station := sorted({each.station for each in reports if each.id is None and each.station is not None}):
        wanted = [{"station": name} for name in by_station]
        found |= {row.id: read(row) for row in await connection.execute(_by_station(dialect), {"rows": wanted})}
    return found


async def _write(connection: AsyncConnection, dialect: str, number: int, changed: Sequence[Changed]) -> None:
    """Write what isn't as it was. A sign of life alone is no news, and raises no port's revision."""
    news: list[Changed] = []
    alive: list[Changed] = []
    for each in changed:
        if each.after is not each.before:
            (news if each.before is not None and _is_news(each.before, each.after) else alive).append(each)
    if news:
        await connection.execute(_update(dialect), {"rows": [_state(each.after, number) for each in news]})
        await _note(connection, dialect, news)
        await waking.recall(connection, _taken(news))
        await revisions.put(connection, number)
    if alive:
        await connection.execute(_heard(dialect), {"rows": [_state(each.after, number) for each in alive]})


def _taken(changed: Iterable[Changed]) -> list[Evse]:
    """Those ports that were free, and are no more."""
    return [each.after for each in changed if each.before and each.before.settled and not each.after.settled]


def _is_news(before: Evse, after: Evse) -> bool:
    return (before.status, before.since, before.epoch, before.settled) != (
        after.status, after.since, after.epoch, after.settled
    )  # fmt: skip


async def _note(connection: AsyncConnection, dialect: str, changed: Sequence[Changed]) -> None:
    noted = [
        {"id": dated(make_id("evse-status", each.after.id, str(each.after.since), each.after.status), each.after.since),
         "evse_id": each.after.id, "at": each.after.since, "status": each.after.status}
        for each in changed
        if each.before is None or each.before.status != each.after.status
    ]  # fmt: skip
    if noted:
        await connection.execute(_append(dialect), {"rows": noted})


def _row(of: Evse, number: int) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(of), "settled": int(of.settled), "next_check_at": of.next_check_at, "revision": number,
    }  # fmt: skip


def _state(of: Evse, number: int) -> dict[str, Any]:
    row = _row(of, number)
    return {column.name: row[column.name] for column in _STATE}


_DUE: Final = (
    sa.select(*FIELDS)
    .where(evse.c.next_check_at <= sa.bindparam("now"))
    .order_by(evse.c.next_check_at)
    .limit(sa.bindparam("limit"))
)


@cache
def _by_id(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [evse.c.id])
    return sa.select(*FIELDS).select_from(rows.lookup(given, evse, evse.c.id == given.c.id))


@cache
def _by_station(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [evse.c.station])
    found = rows.lookup(given, evse, evse.c.station == given.c.station)
    return sa.select(*FIELDS).select_from(found).order_by(evse.c.id)


@cache
def _by_location(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [evse.c.location_id])
    found = rows.lookup(given, evse, evse.c.location_id == given.c.location_id)
    return sa.select(*FIELDS).select_from(found).order_by(evse.c.id)


@cache
def _update(dialect: str) -> sa.Update:
    given = rows.batch(dialect, _STATE)
    return rows.update(evse, given).values({column.name: given.c[column.name] for column in _STATE[1:]})


@cache
def _heard(dialect: str) -> sa.Update:
    alive = [evse.c[name] for name in ("id", "last_updated", "heard_at", "next_check_at")]
    given = rows.batch(dialect, alive)
    return rows.update(evse, given).values({column.name: given.c[column.name] for column in alive[1:]})


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, evse, list(evse.c))


@cache
def _append(dialect: str) -> sa.Insert:
    return rows.insert(dialect, evse_status, list(evse_status.c))
