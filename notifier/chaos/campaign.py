"""A campaign beside alerts: bulk messages never delay urgent ones."""

import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from notifier.chaos import bulk, load
from notifier.chaos.bed import Bed, make_bed, until
from notifier.chaos.ledger import count, p99
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look
from notifier.domain.deliveries import State
from notifier.domain.recipients import device_id
from notifier.store.core.status import rendered as delivery

RATE = 10  # alerts a second
SLOWER = 2  # times the baseline that alerts may take beside the campaign
NOISE = 0.25
"""Seconds of measurement noise: on two cores that send, render and receive a campaign at once, an alert passes five
processes that each wait for their turn. It is a quarter of what a person would notice."""
TOLD = 30  # seconds for the last alerts to arrive


async def campaign(options: Options) -> ScenarioOutcome:
    """Send alerts alone, then alerts beside a campaign that is due all at once."""
    size, seconds = (40_000, 8) if options.short else (1_000_000, 20)
    people = load.people()
    targets = [(person, device_id(each)) for person, details in people.items() for each in details.devices or []]
    with tempfile.TemporaryDirectory(prefix="notifier-chaos-") as folder:
        async with make_bed(options, settings={"templates": bulk.templates(Path(folder))}, people=people) as bed:
            warm = await load.warm_up(bed.producer)
            alone = await load.report(bed.producer, load.numbered(load.payment, count=seconds * RATE), RATE)
            await bed.quiet()
            began = time.monotonic()
            offer = await bulk.begin(bed.system, "chaos", targets, size)
            written = time.monotonic() - began
            more = load.numbered(load.payment, seconds * RATE, seconds * RATE)
            beside = await load.report(bed.producer, more, RATE)
            with suppress(TimeoutError):  # the demands say what is missing
                await until(
                    partial(_are_told, bed, beside), TOLD
                )  # otherwise the last alert would wait for the cancelled rows
            left = await bulk.call_off(bed.system, offer)
            seen = await look(bed, [*warm, *alone, *beside, offer])
    before, during = (p99(seen.ledger, seen.arrivals, ids) for ids in (alone, beside))
    slower = {channel: during[channel] - SLOWER * before[channel] for channel in before}
    return ScenarioOutcome(
        seen.figures
        | {
            "campaign": size, "written_s": round(written, 1), "campaign_sent": size - left, "called_off": left,
            "alone_p99_s": before, "beside_p99_s": during,
        },
        demands(seen.findings)
        | {
            "the campaign was under way all the time": 0 < left < size,
            f"alerts take no more than {SLOWER} × the baseline and {NOISE} s": max(slower.values()) <= NOISE,
        },
    )  # fmt: skip


async def _are_told(bed: Bed, events: Sequence[str]) -> bool:
    told = await count(bed.system.database, delivery.c.event_id.in_(events), delivery.c.state == State.SENT)
    return told == len(load.CHANNELS) * len(events)
