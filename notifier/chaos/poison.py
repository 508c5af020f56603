"""Scenario of poison messages and rows, which crash or block workers, and of their neighbours."""

import asyncio

from notifier.chaos import faults, ledger, load
from notifier.chaos.bed import hooked, make_bed
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import State

UNDECIDABLE, UNSENDABLE = "undecidable", "unsendable"
POISON = f"{UNDECIDABLE} notifier.policy.decide; {UNSENDABLE} notifier.pipeline.prepare.prepare"
TRIES = 3  # crashes by one row until it is put aside
DELAYED = 5  # seconds that neighbours may be late for it
IN_HAND = 30  # seconds for those that a dying worker had in hand: the provider may have them, so the lease has to end
RATE = 30  # events a second beside it
END = 150  # seconds until the last poison is put aside: three leases and some


async def poison(options: Options) -> ScenarioOutcome:
    """Put undecodable bytes and unknown actors into every queue, and rows that crash deciding or rendering workers."""
    seconds = 8 if options.short else 12
    words = [UNDECIDABLE] if options.short else [UNDECIDABLE, UNSENDABLE]
    environments = {"worker": hooked(poison=POISON)}
    people = {**load.people(), **load.people(["push"], "poisoned")}
    async with make_bed(options, environments=environments, people=people) as bed:
        telling = asyncio.create_task(
            load.report(bed.producer, load.numbered(load.payment, count=seconds * RATE), RATE)
        )
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(faults.spoil, bed.system.settings.broker_url, bed.system.namespace)
        await asyncio.sleep(seconds / 4)
        poisoned = await bed.producer.send_many([_poisoned(number, word) for number, word in enumerate(words)])
        neighbours = await telling
        seen = await look(bed, [*neighbours, *map(str, poisoned)], within=END)
        deaths = faults.deaths(bed.system, "worker")
    rows = {row.key: row for row in seen.ledger.deliveries.values()}
    waits = {True: [0], False: [0]}
    first = ledger.first_arrivals(seen.arrivals)
    for key, arrival in first.items():
        told = seen.ledger.events[rows[key].event_id]
        if told.id in neighbours:
            waits[rows[key].crashes > 0].append(arrival.received_at - told.accepted_at)
    aside = [
        told.quarantined_at is not None
        or {row.state for row in rows.values() if row.event_id == id_} - {State.SUPPRESSED} == {State.FAILED}
        for id_, told in seen.ledger.events.items()
        if id_ in poisoned
    ]
    delayed, in_hand = (max(waits[crashed]) / SECOND for crashed in (False, True))
    return ScenarioOutcome(
        seen.figures
        | {"poisoned": len(words), "deaths": deaths, "neighbours_waited_s": delayed, "in_hand_waited_s": in_hand},
        demands(seen.findings, len(waits[True]))
        | {
            "rows that crash workers are put aside": len(aside) == len(words) and all(aside),
            f"after {TRIES} tries": deaths <= TRIES * len(words),
            f"neighbours are late by {DELAYED} s": delayed <= DELAYED,
            f"those in a crashing worker's hands by {IN_HAND} s": in_hand <= IN_HAND,
        },
    )


def _poisoned(number: int, word: str) -> load.Event:
    event = load.payment(number, "poisoned")
    return event | {"id": f"poisoned/{number}", "data": event["data"] | {"account_id": word, "payment_method": word}}
