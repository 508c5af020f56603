"""Scenario of many callers that report the same id."""

import asyncio
from collections import Counter

import msgspec

from notifier.chaos import load
from notifier.chaos.bed import make_bed
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look

CALLERS = 100


async def same_id(options: Options) -> ScenarioOutcome:
    """Post one id a hundred times concurrently, then the same id with another body."""
    rounds = 3 if options.short else 20
    async with make_bed(options) as bed:
        answers: list[list[tuple[int, bytes]]] = []
        for number in range(rounds):
            event = load.payment(number)
            answers.append(await asyncio.gather(*(bed.post(event) for _ in range(CALLERS))))
        changed, _ = await bed.post(load.payment(0) | {"data": load.payment(1)["data"]})
        accepted = [msgspec.json.decode(each[0][1])["event"] for each in answers]
        seen = await look(bed, accepted, each=3)
    statuses = Counter(status for each in answers for status, _ in each)
    return ScenarioOutcome(
        seen.figures | {"posts": rounds * CALLERS, "statuses": dict(statuses), "events": len(seen.ledger.events)},
        demands(seen.findings)
        | {
            "every post is answered 202": set(statuses) == {202},
            "answers to one id are identical": all(len(set(each)) == 1 for each in answers),
            "one id is one event": len(seen.ledger.events) == rounds,
            "another body is a 409": changed == 409,
        },
    )
