"""Scenario of a person about whom several types report in a loop."""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final

from notifier.broker import BACKGROUND
from notifier.chaos import load
from notifier.chaos.bed import make_bed
from notifier.chaos.ledger import LedgerSnapshot, first_arrivals
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look
from notifier.domain.deliveries import Reason, State
from notifier.domain.regulation import load_regulation
from notifier.pipeline.often import SHARE

KINDS: Final = (load.payment, load.complete, load.idle)
"""Events that are reported by turns, each of a type of its own."""
TOGETHER: Final = 500  # events in a request


async def one_person(options: Options) -> ScenarioOutcome:
    """Report events of several types about one person all at once, far more than policy lets the person hear of."""
    count = 500 if options.short else 2500
    with tempfile.TemporaryDirectory(prefix="notifier-chaos-templates-") as folder:
        made = load.templates(Path(folder), is_limited=True)
        per_person = load_regulation(made).per_person
        most = per_person.most if per_person else 0
        async with make_bed(options, settings={"templates": made}) as bed:
            # Of each number that is a multiple of theirs the driver is the same.
            events = [KINDS[number % len(KINDS)](number * load.PEOPLE) for number in range(count)]
            accepted = []
            for first in range(0, count, TOGETHER):
                accepted += (await bed.post_many(events[first : first + TOGETHER]))[1]
            seen = await look(bed, accepted)
            processes = bed.system.settings.worker_processes + len(BACKGROUND)
    arrived = {seen.ledger.deliveries[id_].event_id for _, id_ in first_arrivals(seen.arrivals)}
    over = _over_cap(seen.ledger)
    bound = most + (processes - 1) * (most // SHARE)
    counted = {"processes": processes, "bound": bound, "told": len(arrived), "over_cap": len(over)}
    return ScenarioOutcome(
        seen.figures | counted,
        demands(seen.findings)
        | {
            "every event is accepted": len(accepted) == count,
            "the person hears of as many as policy allows, and of a tenth more for each further process at most": (
                most <= len(arrived) <= bound
            ),
            "of every other event it is known that it was one too many": (
                not arrived & over and arrived | over == set(accepted)
            ),
        },
    )  # fmt: skip


def _over_cap(ledger: LedgerSnapshot) -> set[str]:
    """Return the events of which all deliveries were too many."""
    ends: defaultdict[str, set[tuple[State, str | None]]] = defaultdict(set)
    for row in ledger.deliveries.values():
        ends[row.event_id].add((row.state, row.reason))
    return {id_ for id_, those in ends.items() if those == {(State.SUPPRESSED, Reason.OVER_CAP)}}
