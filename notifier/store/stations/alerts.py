"""Availability alerts as they are kept: who waits at a place, what they were offered, and what is still to be told.

Rows are locked by the order of their ids. Whoever asks, and the clock that offers, also hold `revisions`: so the order
of asking at a place is that of the transactions, and no port changes while it is offered.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.availability_alerts import LASTS, Alert, AlertState, Ended, end, next_look, offers, passed
from notifier.domain.ids import make_id
from notifier.domain.stations import Evse, Location
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.stations import availability_alert, evse, location
from notifier.store.stations import evses, locations, revisions

_COLUMNS: Final = [availability_alert.c[name] for name in Alert.__struct_fields__]
_LIVE: Final = (AlertState.WAITING, AlertState.OFFERED)


class Standing(NamedTuple):
    """A person's alert, the place's name, and those who wait or are offered a port at the same place."""

    alert: Alert
    name: str
    others: list[Alert]


class Untold(NamedTuple):
    """An offer that is still to be told, the place, and the port as it is now, if it is there."""

    alert: Alert
    place: Location
    port: Evse | None


async def live(connection: AsyncConnection, dialect: str, recipient_id: str) -> list[Alert]:
    """A person's alerts that aren't over, locked."""
    query = _select().where(
        availability_alert.c.recipient_id == recipient_id, availability_alert.c.state.in_(_LIVE)
    )  # fmt: skip
    return [_read(row) for row in await connection.execute(rows.locking(query, dialect, availability_alert))]


async def add(
    connection: AsyncConnection, dialect: str, recipient_id: str, location_id: str, connector: str | None, now: int
) -> Alert:
    """Have somebody wait at a place from now on, behind all who do; the caller holds `revisions`."""
    last = await connection.scalar(_LAST, {"location_id": location_id})
    asked_at = now if last is None else max(now, last + 1)
    new = Alert(
        id=make_id("availability-alert", recipient_id, location_id, str(asked_at)), location_id=location_id,
        recipient_id=recipient_id, connector=connector, asked_at=asked_at, until=asked_at + LASTS,
    )  # fmt: skip
    await _put(connection, dialect, [(new, now)])
    return new


async def end_all(
    connection: AsyncConnection, dialect: str, ended: Iterable[Alert], why: Ended, now: int
) -> list[Alert]:
    """End alerts that are locked; a port that one of them was offered is offered to the next at once. Returns them as
    they are now."""
    over = [(end(alert, why, now), alert.state == AlertState.OFFERED) for alert in ended]
    await _put(
        connection, dialect, [(alert, now if had_port else next_look(alert, ())) for alert, had_port in over]
    )  # fmt: skip
    return [alert for alert, _ in over]


async def end_of_people(connection: AsyncConnection, dialect: str, began: Mapping[str, int], now: int) -> list[Alert]:
    """End what people asked for before an instant, each by id, since they charge; returns the alerts as they were.

    Nearly always there is none, which one look says.
    """
    given = [{"recipient_id": id_} for id_ in sorted(began)]
    found = await connection.execute(_of_people(dialect), {"rows": given})
    asked = [row.id for row in found if row.asked_at <= began[row.recipient_id]]
    if not asked:
        return []
    held = [_read(row) for row in await connection.execute(_by_id(dialect), {"rows": rows.ids(asked)})]
    ended = [each for each in held if each.is_live]
    await end_all(connection, dialect, ended, Ended.CHARGING, now)
    return ended


async def of_person(database: Database, recipient_id: str) -> list[Standing]:
    """What somebody has asked for, the newest of each place first, with those that are over and still remembered."""

    async def work(connection: AsyncConnection) -> list[Standing]:
        query = (
            sa.select(*_COLUMNS, location.c.name)
            .outerjoin(location, location.c.id == availability_alert.c.location_id)
            .where(availability_alert.c.recipient_id == recipient_id)
            .order_by(availability_alert.c.asked_at.desc(), availability_alert.c.id)
        )
        mine = [(_read(row), row.name or "") for row in await connection.execute(query)]
        there: dict[str, list[Alert]] = {}
        if places := {alert.location_id for alert, _ in mine if alert.is_live}:
            for row in await connection.execute(_waiting(database.dialect), {"rows": _places(places)}):
                there.setdefault(row.location_id, []).append(_read(row))
        return [Standing(alert, name, there.get(alert.location_id, [])) for alert, name in mine]

    return await database.read(work)


async def look_at_due(database: Database, now: int, limit: int) -> int:
    """Look at places where somebody's time has come or something has changed, and offer the ports that are free there;
    returns how many alerts were due, of which it looks at `limit`, with all others at their places."""

    async def due(connection: AsyncConnection) -> list[str]:
        return list((await connection.execute(_DUE, {"now": now, "limit": limit})).scalars())

    async def work(connection: AsyncConnection) -> int:
        dialect = database.dialect
        await revisions.hold(connection, dialect)
        found = await due(connection)
        places = {"rows": _places(set(found))}
        asked: dict[str, list[tuple[Alert, int]]] = {each["location_id"]: [] for each in places["rows"]}
        for row in await connection.execute(_asked(dialect), places | {"now": now}):
            asked[row.location_id].append((_read(row), row.next_check_at))
        ports: dict[str, list[Evse]] = {}
        for row in await connection.execute(_ports(dialect), places):
            ports.setdefault(row.location_id, []).append(evses.read(row))
        for location_id, there in asked.items():
            await _look(connection, dialect, there, ports.get(location_id, ()), now)
        return len(found)

    return await database.write(work) if await database.read(due) else 0


async def _look(
    connection: AsyncConnection, dialect: str, there: Sequence[tuple[Alert, int]], ports: Iterable[Evse], now: int
) -> None:
    """Offer the ports of a place, end what is over, and forget what was over long ago."""
    after = {alert.id: passed(alert, now) for alert, _ in there}
    after |= {alert.id: alert for alert in offers(ports, after.values(), now)}
    checks = {id_: next_look(alert, after.values()) for id_, alert in after.items()}
    changed = [
        (after[alert.id], checks[alert.id])
        for alert, check in there
        if (alert, check) != (after[alert.id], checks[alert.id]) and checks[alert.id] > now
    ]
    await _put(connection, dialect, changed)
    if past := [id_ for id_, check in checks.items() if check <= now]:
        await connection.execute(_forget(dialect), {"rows": rows.ids(past)})


async def untold(database: Database, now: int, limit: int) -> list[Untold]:
    """Offers that are to be told, those first that have waited for longest."""

    async def work(connection: AsyncConnection) -> list[Untold]:
        found = (await connection.execute(_UNTOLD, {"now": now, "limit": limit})).all()
        own, theirs = len(_COLUMNS), len(_COLUMNS) + len(locations.FIELDS)
        return [
            Untold(
                _read(row), locations.read(row[own:theirs]), None if row[theirs] is None else evses.read(row[theirs:])
            )
            for row in found
        ]

    return await database.read(work)


async def tell_again(database: Database, ids: Iterable[str], at: int | None) -> None:
    """Have offers told at an instant, or, with None, no more."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(_tell(database.dialect), {"rows": rows.ids(sorted(ids)), "at": at})

    await database.write(work)


async def _put(connection: AsyncConnection, dialect: str, given: Iterable[tuple[Alert, int]]) -> None:
    wanted = [{**msgspec.structs.asdict(alert), "next_check_at": check} for alert, check in given]
    if wanted:
        await connection.execute(_upsert(dialect), {"rows": wanted})


def _read(row: sa.Row[*tuple[Any, ...]]) -> Alert:
    return msgspec.convert(dict(zip(Alert.__struct_fields__, row[: len(_COLUMNS)], strict=True)), Alert)


def _places(ids: Iterable[str]) -> list[dict[str, str]]:
    return [{"location_id": id_} for id_ in sorted(ids)]


def _select() -> sa.Select[Any]:
    return sa.select(*_COLUMNS).order_by(availability_alert.c.id)


_LAST: Final = sa.select(sa.func.max(availability_alert.c.asked_at)).where(
    availability_alert.c.location_id == sa.bindparam("location_id")
)
_DUE: Final = (
    sa.select(availability_alert.c.location_id)
    .where(availability_alert.c.next_check_at <= sa.bindparam("now"))
    .order_by(availability_alert.c.next_check_at)
    .limit(sa.bindparam("limit"))
)
_UNTOLD: Final = (
    sa.select(*_COLUMNS, *locations.FIELDS, *evses.FIELDS)
    .join(location, location.c.id == availability_alert.c.location_id)
    .outerjoin(evse, evse.c.id == availability_alert.c.evse_id)
    .where(availability_alert.c.tell_at <= sa.bindparam("now"), availability_alert.c.state == AlertState.OFFERED)
    .order_by(availability_alert.c.tell_at)
    .limit(sa.bindparam("limit"))
)


@cache
def _by_id(dialect: str) -> sa.Select[Any]:
    return rows.locked(dialect, _COLUMNS)


@cache
def _of_people(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [availability_alert.c.recipient_id])
    found = rows.lookup(given, availability_alert, availability_alert.c.recipient_id == given.c.recipient_id)
    columns = (availability_alert.c[name] for name in ("id", "recipient_id", "asked_at"))
    return sa.select(*columns).select_from(found).where(availability_alert.c.state.in_(_LIVE))


@cache
def _waiting(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [availability_alert.c.location_id])
    found = rows.lookup(given, availability_alert, availability_alert.c.location_id == given.c.location_id)
    return _select().select_from(found).where(availability_alert.c.state.in_(_LIVE))


@cache
def _asked(dialect: str) -> sa.Select[Any]:
    """Those who wait or are offered a port, whose time has come, and who have been told of a port, locked."""
    given = rows.batch(dialect, [availability_alert.c.location_id])
    found = rows.lookup(given, availability_alert, availability_alert.c.location_id == given.c.location_id)
    query = (
        sa.select(*_COLUMNS, availability_alert.c.next_check_at)
        .select_from(found)
        .where(
            sa.or_(
                availability_alert.c.state.in_(_LIVE),
                availability_alert.c.evse_id.is_not(None),
                availability_alert.c.next_check_at <= sa.bindparam("now"),
            )
        )
        .order_by(availability_alert.c.id)
    )
    return rows.locking(query, dialect, availability_alert)


@cache
def _ports(dialect: str) -> sa.Select[Any]:
    given = rows.batch(dialect, [evse.c.location_id])
    return sa.select(*evses.FIELDS).select_from(rows.lookup(given, evse, evse.c.location_id == given.c.location_id))


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, availability_alert, [*_COLUMNS, availability_alert.c.next_check_at])


@cache
def _forget(dialect: str) -> sa.Delete:
    return rows.delete(dialect, availability_alert, rows.batch(dialect, [availability_alert.c.id]))


@cache
def _tell(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [availability_alert.c.id])
    told = rows.update(availability_alert, wanted, availability_alert.c.tell_at.is_not(None))
    return told.values(tell_at=sa.bindparam("at"))
