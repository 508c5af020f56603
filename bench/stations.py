"""Stations as they change: many who look at a map while many ports report, and urgent alerts beside them."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.alerts import RATE
from bench.bed import Bed, make_bed
from bench.cpu import memory_of
from bench.load import report_at
from bench.options import Options
from bench.steady import latencies, percentiles
from bench.viewers import Plan, Seen
from notifier.domain.stations import Connector, Evse, EvseStatus
from notifier.runtime.coalesce import Coalescer
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.stations import evse, location
from notifier.store.stations import evses, revisions
from notifier.store.stations.evses import StatusReport

PORTS_OF_A_VIEWER: Final = 20
"""Ports in all for each viewer: 100,000 for 5,000."""
PORTS: Final = (1, 2, 2, 5)
"""Ports of places in turn: 2.5 each."""
CHANGES_OF_A_VIEWER: Final = 0.2
"""Changes a second in all for each viewer: 1,000 for 5,000."""
TOWNS: Final = 200
SPREAD: Final = 0.05
"""Degrees around a town's centre within which two thirds of its places are."""
SCREEN: Final = 0.03
"""Degrees from the centre of a screen to its edge: a town's quarter, 4 by 7 km."""
SLICE: Final = 0.02
"""Seconds of changes that are reported together."""
PAGE: Final = 1_000
"""Rows that are made at once."""
P99_MS: Final = 1_500
RSS_MB: Final = 300
ALERTS: Final = 2.0
"""Demands: from status to screen, the web process' memory, and how many times as late alerts may be."""


async def stations(options: Options) -> dict[str, Any]:
    """Latency from a status to those who look, alerts' without and with them, and memory and CPU of the web process."""
    viewers, chance = options.viewers, random.Random(1)  # noqa: S311 (the same places each time)
    towns = [(chance.uniform(50.8, 53.4), chance.uniform(3.5, 7.0)) for _ in range(TOWNS)]
    per_second = round(viewers * CHANGES_OF_A_VIEWER)
    async with make_bed(database=options.database, sinking=False) as bed:
        ports = await _fill(bed.system.database, viewers * PORTS_OF_A_VIEWER, towns, chance)
        count = RATE * options.seconds
        alone, beside = range(count), range(count, 2 * count)
        await report_at(bed.producer, alone, RATE)
        await bed.quiet()
        began = time.monotonic()
        async with _looking(bed, [_screen(*chance.choice(towns)) for _ in range(viewers)]) as looking:
            connected_in, before = time.monotonic() - began, bed.cpu()
            async with asyncio.TaskGroup() as group:
                group.create_task(report_at(bed.producer, beside, RATE))
                changes = group.create_task(_change(bed.system.database, ports, per_second, options.seconds, chance))
            after = bed.cpu()
            rss = memory_of([bed.system.running["web"].pid]) / 2**20
        await bed.quiet()
        alerts = [percentiles(await latencies(bed, numbers)) for numbers in (alone, beside)]
        books = await bed.books(2 * count)
    (seen,) = looking
    lag = percentiles([round(each) for each in seen.lags_ms])
    ratio = round(alerts[1]["p99"] / max(alerts[0]["p99"], 1), 2)
    missed = [
        *(["p99_ms"] if lag.get("p99", P99_MS + 1) > P99_MS else []),
        *(["rss_mb"] if rss > RSS_MB else []),
        *(["alerts"] if ratio > ALERTS else []),
        *(["ended"] if seen.ended else []),
    ]
    return {
        "scenario": "stations", "database": options.database, "clients": viewers, "evses": len(ports),
        "changes_per_s": round(changes.result() / options.seconds), "seconds": options.seconds,
        "p50_ms": lag.get("p50"), "p99_ms": lag.get("p99"), "most_ms": lag.get("most"), "read": lag.get("count"),
        "rss_mb": round(rss),
        "connected_in_s": round(connected_in, 1), "chunks_per_s": round(seen.chunks / options.seconds),
        "mb_per_s": round(seen.bytes / options.seconds / 1e6, 1), "ended": seen.ended,
        "cpu_s": {name: round(after[name] - before[name], 1) for name in after} | {"viewers": seen.cpu_s},
        "alerts_alone_ms": alerts[0], "alerts_beside_ms": alerts[1], "alerts_ratio": ratio, "missed": missed, **books,
    }  # fmt: skip


async def _fill(
    database: Database, count: int, towns: Sequence[tuple[float, float]], chance: random.Random
) -> list[str]:
    """Put so many ports at places around the towns; returns their ids."""
    now, ids = round(time.time() * 1000), list[str]()
    connectors = [
        msgspec.json.encode([Connector("1", "IEC_62196_T2", 22_000)]),
        msgspec.json.encode([Connector("1", "IEC_62196_T2_COMBO", 150_000), Connector("2", "CHADEMO", 50_000)]),
    ]
    places: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    while len(ids) < count:
        number = len(places)
        latitude, longitude = (chance.gauss(middle, SPREAD) for middle in towns[number % TOWNS])
        id_ = f"NL-BEN-{number:06}"
        places.append({
            "id": id_, "party": "NL-BEN", "name": f"Parking {number}", "address": f"Stationsstraat {number}",
            "city": f"Town {number % TOWNS}", "country": "NLD", "operator": "Bench", "time_zone": "Europe/Amsterdam",
            "latitude": round(latitude * 1e6), "longitude": round(longitude * 1e6), "hidden": 0, "last_updated": now,
            "revision": 1, "document": "{}",
        })  # fmt: skip
        for port in range(min(PORTS[number % len(PORTS)], count - len(ids))):
            one = Evse(
                id=f"{id_}-{port}", location_id=id_, uid=str(port), source="ocpi", status=EvseStatus.CHARGING,
                since=now, last_updated=now, heard_at=now,
            )  # fmt: skip
            ids.append(one.id)
            found.append(
                msgspec.structs.asdict(one)
                | {"connectors": connectors[number % 2].decode(), "settled": 0, "next_check_at": one.next_check_at}
                | {"revision": 1, "document": "{}"}
            )

    async def work(connection: AsyncConnection) -> None:
        await revisions.hold(connection, database.dialect)
        for table, made in ((location, places), (evse, found)):
            statement = rows.insert(database.dialect, table, list(table.c))
            for first in range(0, len(made), PAGE):
                await connection.execute(statement, {"rows": made[first : first + PAGE]})
        await revisions.put(connection, 1)

    await database.write(work)
    return ids


def _screen(latitude: float, longitude: float) -> str:
    west, south, east, north = longitude - SCREEN, latitude - SCREEN, longitude + SCREEN, latitude + SCREEN
    return f"{west:.4f},{south:.4f},{east:.4f},{north:.4f}"


@asynccontextmanager
async def _looking(bed: Bed, boxes: list[str]) -> AsyncIterator[list[Seen]]:
    """Viewers in a process of their own; the list has what they have seen once it is left."""
    port = int(bed.system.settings.public_url.rpartition(":")[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.viewers", stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**30
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 (it has pipes)
    seen: list[Seen] = []
    try:
        process.stdin.write(msgspec.json.encode(Plan(port, boxes)) + b"\n")
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the viewers did not come to look")
        yield seen
        process.stdin.close()
        seen.append(msgspec.json.decode(await process.stdout.readline(), type=Seen))
    finally:
        process.stdin.close()
        await process.wait()


async def _change(database: Database, ids: Sequence[str], rate: int, seconds: int, chance: random.Random) -> int:
    """Report ports at a rate, each the other of two statuses than before, as whatever takes reports does
    (`pipeline.stations.take` by way of a Coalescer); returns how many were taken."""
    free: set[str] = set()
    taker = Coalescer(partial(_take, database), limit=PAGE)
    loop, began, taken = asyncio.get_running_loop(), asyncio.get_running_loop().time(), 0
    async with asyncio.TaskGroup() as group:
        while (since := loop.time() - began) < seconds:
            due = round(since * rate) - taken
            if due:
                now, picked = round(time.time() * 1000), chance.sample(ids, due)
                free ^= set(picked)
                status = {id_: EvseStatus.AVAILABLE if id_ in free else EvseStatus.CHARGING for id_ in picked}
                reports = [StatusReport(id=id_, status=status[id_], at=now, source="ocpi") for id_ in picked]
                group.create_task(taker.add(reports))
                taken += due
            await asyncio.sleep(SLICE)
    return taken


async def _take(database: Database, reports: list[StatusReport]) -> Sequence[object]:
    return await evses.report_statuses(database, reports, round(time.time() * 1000))
