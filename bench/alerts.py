"""Alerts under a campaign: urgent events at a steady rate, alone, then beside so many bulk messages, all due."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.bed import Bed, make_bed
from bench.load import PEOPLE, report_at
from bench.options import Options
from bench.steady import latencies, percentiles
from notifier.chaos import bulk
from notifier.domain.deliveries import Lane
from notifier.domain.messages import Device
from notifier.domain.recipients import device_id
from notifier.store.core.schema import open_event
from notifier.store.core.status import rendered as delivery

RATE = 20  # alerts a second


async def alerts(options: Options) -> dict[str, Any]:
    """The latency of alerts without and with a campaign of `rows` messages; what is left of it is called off."""
    targets = [(f"driver-{number}", device_id(Device(value=f"token-{number}"))) for number in range(PEOPLE)]
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        settings = {"templates": bulk.templates(Path(folder))}
        async with make_bed(database=options.database, settings=settings, sinking=False) as bed:
            count = RATE * options.seconds
            alone, beside = range(count), range(count, 2 * count)
            await report_at(bed.producer, alone, RATE)
            await bed.quiet()
            campaign = await bulk.begin(bed.system, "bench", targets, options.rows)
            await report_at(bed.producer, beside, RATE)
            await _handed_over(bed)
            left = await bulk.call_off(bed.system, campaign)
            await bed.quiet()
            told = [percentiles(await latencies(bed, numbers)) for numbers in (alone, beside)]
            books = await bed.books(2 * count)
    return {
        "scenario": "alerts", "database": options.database, "events": 2 * count, "campaign": options.rows,
        "campaign_sent_meanwhile": options.rows - left, "alone_ms": told[0], "beside_ms": told[1],
        "p99_ratio": round(told[1]["p99"] / max(told[0]["p99"], 1), 2), **books,
    }  # fmt: skip


async def _handed_over(bed: Bed) -> None:
    """Wait until nothing but the campaign is left to do."""
    waits = sa.select(
        sa.or_(
            sa.exists().where(delivery.c.next_check_at.is_not(None), delivery.c.lane != Lane.BULK),
            sa.exists().where(open_event.c.next_check_at.is_not(None)),
        )
    )

    async def work(connection: AsyncConnection) -> bool:
        return bool((await connection.execute(waits)).scalar_one())

    async with asyncio.timeout(60):
        while await bed.system.database.read(work):  # noqa: ASYNC110 (it is other processes that are waited for)
            await asyncio.sleep(0.2)
