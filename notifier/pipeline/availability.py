"""Availability alerts: people ask, leave, or begin to charge; the clock offers free ports, and each offer is told as an
event of our own, which the pipeline decides in the person's bucket.

An offer is written with a mark that it is to be told, then its event is accepted, then the mark is cleared. The event's
id is made of the offer, so whoever ends in between tells nothing twice. Whatever ends an alert stops in the same
transaction what is on its way.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics, policy
from notifier.domain.availability_alerts import MOST, OFFER, Alert, Ended, is_same, passed, plugs, takes
from notifier.domain.catalog import Catalog
from notifier.domain.clock import SECOND, to_datetime
from notifier.domain.cloudevents import CheckedEvent, EventReader
from notifier.domain.deliveries import Reason
from notifier.domain.errors import Problem, StoreUnavailable
from notifier.domain.events import Event
from notifier.domain.problems import problem
from notifier.domain.recipients import Recipient
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.engine import Engine
from notifier.pipeline.plan import people_of
from notifier.runtime.background import every
from notifier.store.delivery import supersessions
from notifier.store.delivery.supersessions import Supersession
from notifier.store.people import locking
from notifier.store.stations import alerts, evses, locations, revisions
from notifier.store.stations.alerts import Untold

PORT_FREE: Final = "port.free"
"""The type of the event that tells an offer. Where no notification type listens to it nobody is told."""
STARTED: Final = "session.started"
"""The type of the event by which somebody charges, and waits no more."""
SOURCE: Final = "notifier"
"""The source of events that are our own."""

EVERY: Final = 1.0
"""Seconds between two looks: who asks where a port is free waits so long, and a look that finds nothing is a query."""
DUE: Final = 200
"""Alerts whose places are looked at in one transaction: while it lasts no port's report is written."""
OFFERS: Final = 500
"""Offers that are told in one go."""
WATTS: Final = 1_000
"""Watts of a kilowatt."""
AGAIN: Final = 5 * SECOND
"""Milliseconds until an offer is told again whose person's bucket doesn't answer."""

log = structlog.get_logger(__name__)


async def ask(engine: Engine, recipient_id: str, location_id: str, connector: str | None) -> tuple[Alert, bool]:
    """Have somebody told once when a port of a place is free; returns the alert, and whether it is new. Who asks again
    keeps their place, unless it is for another connector.

    Raises Problem for nobody, nowhere, a connector that isn't there, or too many alerts; StoreUnavailable.
    """
    there, now = engine.of(recipient_id), engine.clock.now()
    dialect = there.database.dialect

    async def work(connection: AsyncConnection) -> tuple[Alert, bool]:
        if not await locking.lock(connection, dialect, [recipient_id]):
            raise problem(40401, "there is no recipient with this id")
        await revisions.hold(connection, dialect)
        place = await locations.shown(connection, location_id)
        ports = [port for port in await evses.at(connection, dialect, location_id) if port.condition is not None]
        if place is None or not ports:
            raise problem(40401, "no station has this id")
        held = [each for each in await alerts.live(connection, dialect, recipient_id) if passed(each, now) is each]
        here = [each for each in held if each.location_id == location_id]
        if here and here[0].connector == connector:
            return here[0], False
        if len(held) - len(here) >= MOST:
            raise problem(42205, f"this recipient has {MOST} alerts, which is the limit; delete one")
        if not any(takes(port, connector) for port in ports):
            raise problem(42205, "no port of this station has such a connector", "/connector")
        await _end(connection, engine.catalog, dialect, here, Ended.LEFT, now)
        return await alerts.add(connection, dialect, recipient_id, location_id, connector, now), True

    return await there.database.write(work)


async def leave(engine: Engine, recipient_id: str, location_id: str) -> None:
    """End somebody's alert at a place: they are told nothing of it from now on. Repeating it changes nothing. Raises
    StoreUnavailable."""
    there, now = engine.of(recipient_id), engine.clock.now()
    dialect = there.database.dialect

    async def work(connection: AsyncConnection) -> None:
        held = await alerts.live(connection, dialect, recipient_id)
        here = [each for each in held if each.location_id == location_id]
        await _end(connection, engine.catalog, dialect, here, Ended.LEFT, now)

    await there.database.write(work)


async def end_of_drivers(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Iterable[Event],
    members: Mapping[str, list[Recipient]], now: int,
) -> None:  # fmt: skip
    """End what those have asked for who begin to charge by a batch's events; other batches cost nothing."""
    began: dict[str, int] = {}
    for event in batch:
        if event.type == STARTED:
            for kind in catalog.listeners.get(STARTED, ()):
                for person in (kind.audience == "driver" and people_of(kind, event, members)) or ():
                    began[person.id] = max(event.starts_at, began.get(person.id, 0))
    if began:
        ended = await alerts.end_of_people(connection, dialect, began, now)
        await supersessions.add(connection, dialect, _stops(catalog, ended, now))


async def _end(
    connection: AsyncConnection, catalog: Catalog, dialect: str, ended: Sequence[Alert], why: Ended, now: int
) -> None:
    await alerts.end_all(connection, dialect, ended, why, now)
    await supersessions.add(connection, dialect, _stops(catalog, ended, now))


def _stops(catalog: Catalog, ended: Iterable[Alert], now: int) -> list[Supersession]:
    """What stops the messages about alerts that were offered a port, as they were then."""
    return [
        Supersession(
            subject_key=policy.subject_key(kind, {kind.about: alert.id}), until=max(now, alert.until),
            reason=Reason.CANCELLED, event_id=alert.id,
        )
        for alert in ended
        if alert.evse_id is not None
        for kind in catalog.listeners.get(PORT_FREE, ())
    ]  # fmt: skip


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Offer what is free and tell it until told to stop, beside the clock's ticks."""
    teller = Teller(engine)
    try:
        await every("availability", EVERY, partial(_round, engine, teller), stop)
    finally:
        await teller.close()


async def _round(engine: Engine, teller: "Teller") -> None:
    await look(engine)
    await teller.tell()


async def look(engine: Engine) -> None:
    """Look at all places where somebody waits and something has changed, and offer the ports that are free."""
    while await alerts.look_at_due(engine.whole.database, engine.clock.now(), DUE) == DUE:
        pass


class Teller:
    """Tells people which ports they are offered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.whole
        self._is_heard = PORT_FREE in engine.catalog.event_types
        self._reader = EventReader(engine.catalog)
        self._intake = Intake(engine.whole)

    async def tell(self) -> None:
        """Tell all offers that aren't told. Of a port that somebody has taken meanwhile nobody is told, and what is on
        its way of it is stopped."""
        now = self._engine.clock.now()
        while found := await alerts.untold(self._engine.database, now, OFFERS):
            parts: dict[int, list[Untold]] = {}
            for each in found:
                parts.setdefault(self._engine.of(each.alert.recipient_id).database.bucket, []).append(each)
            for bucket, part in parts.items():
                ids, again_at = [each.alert.id for each in part], None
                try:
                    await self._tell(self._engine.buckets[bucket], part, now)
                except StoreUnavailable as error:
                    log.warning("availability.bucket_away", bucket=bucket, offers=len(part), error=str(error))
                    again_at = now + AGAIN
                await alerts.tell_again(self._engine.database, ids, again_at)

    async def close(self) -> None:
        """Wait until what was reported is signalled."""
        await self._intake.close()

    async def _tell(self, there: Engine, part: Sequence[Untold], now: int) -> None:
        """Tell the offers to people of a bucket."""
        true = [each for each in part if is_same(each.alert, each.port)]
        taken = [each.alert for each in part if each not in true]
        if taken:
            dialect, stops = there.database.dialect, _stops(there.catalog, taken, now)
            await there.database.write(lambda connection: supersessions.add(connection, dialect, stops))
        told = true if self._is_heard else []
        for each, answer in zip(told, await self._intake.accept([self._event(each) for each in told]), strict=True):
            if not isinstance(answer, Accepted):
                log.error("availability.refused", alert=each.alert.id, code=answer.code)
        metrics.port_offers.labels("told").inc(len(told))
        metrics.port_offers.labels("taken").inc(len(taken))

    def _event(self, told: Untold) -> CheckedEvent | Problem:
        alert, place, port = told.alert, told.place, told.port
        assert port is not None  # noqa: S101 (`is_same` says so)
        power = max((each.power for each in plugs(port, alert.connector)), default=0)
        data = {
            "driver_id": alert.recipient_id, "alert_id": alert.id, "station_id": place.id, "station": place.name,
            "port": port.uid if port.port is None else str(port.port), "until": to_datetime(alert.until),
            "power_kw": power / WATTS or None, "time_zone": place.time_zone,
        }  # fmt: skip
        try:
            return self._reader.made(
                PORT_FREE, SOURCE, f"{alert.id}/{alert.epoch}", alert.id, alert.until - OFFER, data
            )  # fmt: skip
        except Problem as error:
            return error
