"""Availability alerts: people wait for a free port of a place, and each port that gets free is offered to one of them.

An offer is a lease of a port: its id and availability epoch are the fencing token, and it has an end. It reserves
nothing, for anybody may plug in; it says whose turn it is to be told. People are told in the order in which they asked.
Where several ports are free, they are dealt out so that nobody goes without who could have had one beside all before.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from notifier.domain.clock import DAY, HOUR, MINUTE
from notifier.domain.stations import Condition, Connector, Evse
from notifier.domain.text import WORD

OFFER: Final = 10 * MINUTE
"""Milliseconds that an offer lasts: the way from a café nearby to the car and to the port; who needs longer keeps the
next one waiting beside a port that is free."""
LASTS: Final = 2 * HOUR
"""Milliseconds after which an alert that nothing came of ends: by then its driver has charged elsewhere."""
MOST: Final = 5
"""Alerts of a person at once: the places within reach that somebody chooses between."""
KEPT: Final = DAY
"""Milliseconds that an alert is remembered once it is over: for so long nobody is told twice of one availability."""

Standard = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=WORD)]
"""A connector's standard in OCPI's words, such as `IEC_62196_T2_COMBO`."""


class AlertState(StrEnum):
    """Whether an alert waits for a port, has been offered one, or is over."""

    WAITING = "waiting"
    OFFERED = "offered"
    OVER = "over"


class Ended(StrEnum):
    """Why an alert is over."""

    TOLD = "told"
    TIMED_OUT = "timed_out"
    LEFT = "left"
    CHARGING = "charging"


class Alert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody waits since `asked_at` for a port of a place, with a connector of one standard or with any.

    Its state lasts `until` an instant; of one that is over that is when it ended. What was offered is the port
    `evse_id` in its availability `epoch`. `tell_at` is there while that is still to be told, or to
    be stopped since somebody took the port.
    """

    id: str
    location_id: str
    recipient_id: str
    connector: str | None = None
    asked_at: int
    state: AlertState = AlertState.WAITING
    until: int
    ended: Ended | None = None
    evse_id: str | None = None
    epoch: int | None = None
    tell_at: int | None = None

    @property
    def place_in_line(self) -> tuple[int, str]:
        """The order of asking."""
        return self.asked_at, self.id

    @property
    def is_live(self) -> bool:
        """Whether it waits or is offered a port."""
        return self.state != AlertState.OVER


def plugs(port: Evse, standard: str | None) -> list[Connector]:
    """A port's connectors of a standard, or all of them."""
    return [each for each in port.connectors if standard in (None, each.standard)]


def takes(port: Evse, standard: str | None) -> bool:
    """Whether a port has a connector of a standard; any port is good for whom any connector is."""
    return standard is None or bool(plugs(port, standard))


def is_free(port: Evse) -> bool:
    """Whether a port is free, and has been for so long that it counts."""
    return port.settled and port.condition == Condition.FREE


def is_same(alert: Alert, port: Evse | None) -> bool:
    """Whether a port is still as free as when it was offered: nobody has taken it since."""
    return port is not None and is_free(port) and (alert.evse_id, alert.epoch) == (port.id, port.epoch)


def end(alert: Alert, why: Ended, now: int) -> Alert:
    """The alert once it is over; the same object where it is already."""
    if not alert.is_live:
        return alert
    return msgspec.structs.replace(alert, state=AlertState.OVER, until=now, ended=why, tell_at=None)


def passed(alert: Alert, now: int) -> Alert:
    """The alert after time has passed; the same object where that changes nothing."""
    if not alert.is_live or now < alert.until:
        return alert
    return end(alert, Ended.TOLD if alert.state == AlertState.OFFERED else Ended.TIMED_OUT, now)


def offers(ports: Iterable[Evse], alerts: Iterable[Alert], now: int) -> list[Alert]:
    """Those alerts of a place that are offered a port now, in the order of asking, as they are then.

    A live offer holds its port while that is free; when somebody else takes it the offer stays, and the port is offered
    again once it has been free anew. Nobody is offered the same availability twice, which the alerts that are over
    tell.
    """
    known = [passed(alert, now) for alert in alerts]
    held = {(each.evse_id, each.epoch) for each in known if each.state == AlertState.OFFERED}
    told = {(each.recipient_id, each.evse_id, each.epoch) for each in known}
    free = sorted(
        (port for port in ports if is_free(port) and (port.id, port.epoch) not in held), key=lambda port: port.id
    )
    waiting = sorted((each for each in known if each.state == AlertState.WAITING), key=lambda each: each.place_in_line)

    def wants(alert: Alert, port: Evse) -> bool:
        return takes(port, alert.connector) and (alert.recipient_id, port.id, port.epoch) not in told

    wanted = {alert.id: [port for port in free if wants(alert, port)] for alert in waiting}
    dealt = _deal(waiting, wanted)
    return [_offered(alert, dealt[alert.id], now) for alert in waiting if alert.id in dealt]


def _deal(waiting: Sequence[Alert], wanted: Mapping[str, Sequence[Evse]]) -> dict[str, Evse]:
    """One port for each, by alert: who comes later gets what is left, for which those before may change ports but none
    loses theirs (augmenting paths: Kuhn, 1955)."""
    ports = len({port.id for each in wanted.values() for port in each})
    taken: dict[str, tuple[str, Evse]] = {}

    def find(alert_id: str, seen: set[str]) -> bool:
        # Those that nobody has come first: who has a port keeps it if need not be.
        for port in sorted(wanted[alert_id], key=lambda port: port.id in taken):
            if port.id not in seen:
                seen.add(port.id)
                if port.id not in taken or find(taken[port.id][0], seen):
                    taken[port.id] = alert_id, port
                    return True
        return False

    for alert in waiting:
        if len(taken) == ports:
            break
        find(alert.id, set())
    return dict(taken.values())


def _offered(alert: Alert, port: Evse, now: int) -> Alert:
    return msgspec.structs.replace(
        alert, state=AlertState.OFFERED, until=now + OFFER, evse_id=port.id, epoch=port.epoch, tell_at=now
    )  # fmt: skip


def next_look(alert: Alert, others: Iterable[Alert]) -> int:
    """When an alert of a place must be looked at again: its state ends, or an offer to another, whose port may then be
    its own; or it is no longer remembered."""
    if not alert.is_live:
        return alert.until + KEPT
    if alert.state == AlertState.OFFERED:
        return alert.until
    return min([alert.until, *(each.until for each in others if each.state == AlertState.OFFERED)])


def ahead(alert: Alert, others: Iterable[Alert]) -> int:
    """How many of a place's alerts are offered a port before this one, where both could use it."""
    if alert.state != AlertState.WAITING:
        return 0
    return sum(
        each.state == AlertState.WAITING
        and each.place_in_line < alert.place_in_line
        and (None in (each.connector, alert.connector) or each.connector == alert.connector)
        for each in others
    )
