"""Scenario of nodes whose wall clocks are a minute off."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from notifier.chaos import load
from notifier.chaos.bed import hooked, make_bed
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look
from notifier.chaos.witness import Arrival
from notifier.domain.clock import SECOND

OFF = 61  # seconds
ASKED = 5  # seconds that the provider asks to wait at each text's first try
EARLY = 1  # second that a text may go before that
TIME_TO_LIVE = timedelta(minutes=10)  # of session.started
USEFUL = timedelta(seconds=40)  # seconds that a nearly expired message has left: less than the clock's error
EDGE = 20  # messages that are nearly too old, and as many that are just too old


async def clock_skew(options: Options) -> ScenarioOutcome:
    """Run web and a worker a minute fast beside a worker with the right time, then a minute slow."""
    figures: dict[str, object] = {}
    held: dict[str, bool] = {}
    for off in (OFF,) if options.short else (OFF, -OFF):
        told, demanded = await _skewed(options, off)
        figures |= {name: _joined(figures.get(name), value) for name, value in told.items()}
        held |= {f"{demand} ({off:+} s)": fulfilled for demand, fulfilled in demanded.items()}
    return ScenarioOutcome(figures, held)


async def _skewed(options: Options, off: int) -> tuple[dict[str, object], dict[str, bool]]:
    count = 100 if options.short else 500
    settings: dict[str, object] = {"worker_processes": 1}
    skewed = dict.fromkeys(("web", "worker"), hooked(skew=str(off)))
    async with make_bed(
        options, settings=settings, processes=("web", "worker", "worker-2", "clock"), environments=skewed
    ) as bed:
        await bed.witness.order(
            {
                "channel": "sms",
                "action": "fail",
                "status": 429,
                "code": 20429,
                "retry_after": ASKED,
                "times": count // 4,
            }
        )
        now = datetime.now(UTC)
        nearly = [_started(number, now - TIME_TO_LIVE + USEFUL) for number in range(EDGE)]
        too_old = [_started(number, now - TIME_TO_LIVE - USEFUL) for number in range(EDGE, 2 * EDGE)]
        accepted = await load.report(bed.producer, [*nearly, *too_old], 2 * EDGE)
        accepted += await load.report(bed.producer, load.numbered(load.payment, count=count), count / 5)
        seen = await look(bed, accepted)
    by_state = {
        row.event_id: row.state.value for row in seen.ledger.deliveries.values() if row.type == "session-started"
    }
    states = {told.source_id: by_state[told.id] for told in seen.ledger.events.values() if told.id in by_state}
    earliest = _earliest(seen.arrivals)
    return (
        {**seen.figures, "sent_before_due_s": max(-earliest, 0.0)},
        {
            **demands(seen.findings),
            f"nothing is sent more than {EARLY} s before it is due": earliest >= -EARLY,
            "a nearly expired message is sent": all(states[event["id"]] == "sent" for event in nearly),
            "an expired message is not sent": all(states[event["id"]] == "expired" for event in too_old),
        },
    )


def _joined(before: object, value: object) -> object:
    """Merge the figures of both runs: counts add up, of times the worst counts."""
    match before, value:
        case int(), int():
            return before + value
        case float(), float():
            return max(before, value)
        case _:
            return value


def _started(number: int, at: datetime) -> load.Event:
    """Make an event of one push that soon expires."""
    data = {
        "driver_id": f"driver-{number}",
        "session_id": f"session-{number}",
        "station": "Gent Zuid, bay 3",
        "started_at": at.isoformat(),
    }
    return {"type": "session.started", "id": f"started/{number}", "time": at, "data": data}


def _earliest(arrivals: Sequence[Arrival]) -> float:
    """How long before the provider's Retry-After the earliest text came again, in seconds: less than zero is early."""
    refused: dict[str, int] = {}
    margins = []
    for arrival in arrivals:
        if arrival.reference in refused:
            margins.append(arrival.received_at - refused.pop(arrival.reference) - ASKED * SECOND)
        if arrival.verdict == "refused":
            refused[arrival.reference] = arrival.received_at
    return round(min(margins, default=-float("inf")) / SECOND, 2)
