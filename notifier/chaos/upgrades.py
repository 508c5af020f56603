"""Scenario of a rolling upgrade: processes of one release are replaced by those of the next under load, and back."""

import asyncio
import itertools
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.chaos import bulk, load
from notifier.chaos.bed import Bed, make_bed
from notifier.chaos.clusters.server import free_ports
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look
from notifier.chaos.processes import ENDED
from notifier.chaos.proxy import HOST, Balancer
from notifier.cli.supervise import python
from notifier.client import AsyncProducer, ServiceUnavailable
from notifier.domain.errors import ConfigurationError
from notifier.domain.recipients import RecipientDetails, device_id
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.revisions import parse

NAMES = ("web", "worker", "clock", "web-2", "worker-2")
"""The processes in the order of their replacement: of two of a kind one always works."""
SPAN = 2  # seconds that a producer reports: the next one has connections of its own, so that every web gets some
AHEAD = 9_000  # the number of a revision of the next release
CHECKED = 60  # seconds in which a Python says what it imports


class Form(msgspec.Struct, frozen=True):
    """Events a second, the least seconds from one replacement to the next, the deliveries that are there before, and
    whether the processes go back again."""

    rate: int
    pause: float
    before: int
    back: bool


SHORT = Form(50, 2, 0, back=False)  # to start all five takes 30 s of CPU, so they go one way only
LONG = Form(200, 6, 1_000_000, back=True)


class Reports(msgspec.Struct, frozen=True):
    """What became of a producer's events: the ids of those taken, how many were not, and the tries that failed."""

    ids: list[str]
    refused: int
    failed_tries: int


class Replacement(msgspec.Struct, frozen=True):
    """A process' end after SIGTERM in seconds, and whether it had ended by itself before."""

    seconds: float
    had_ended: bool


async def rolling_upgrade(options: Options) -> ScenarioOutcome:
    """Replace two webs, two workers and the clock of the release before one by one under load, in the long form also
    back again.

    Without a checkout of the release before, both are this one, on the schema of a next one that only adds to it.
    """
    form = SHORT if options.short else LONG
    within = [] if options.release is None else await _within(options.release)
    people = load.people()
    async with AsyncExitStack() as stack:
        ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
        bed = await stack.enter_async_context(_bed(options, ports, people))
        for name in NAMES:
            await bed.system.start(name, within)
        await _ready(bed, ports)
        targets = [(person, device_id(each)) for person, details in people.items() for each in details.devices or []]
        before = await bulk.begin(bed.system, "chaos", targets, form.before, over=True)
        if options.release is None:
            await _add_to_schema(bed.system.database)
        enough = asyncio.Event()
        reporting = asyncio.create_task(_report_on(bed, form.rate, enough))
        began = time.monotonic()
        replaced = await _replace_each(bed, ports, [], form.pause)
        if form.back:
            replaced += await _replace_each(bed, ports, within, form.pause)
        seconds = round(time.monotonic() - began, 1)
        enough.set()
        reports = await reporting
        accepted = [id_ for each in reports for id_ in each.ids]
        seen = await look(bed, [*accepted, before])
    figures = {
        "releases": 1 if options.release is None else 2,
        "deliveries_before": form.before,
        "replaced": len(replaced),
        "replaced_in_s": seconds,
        "slowest_exit_s": round(max(each.seconds for each in replaced), 1),
        "refused": sum(each.refused for each in reports),
        "failed_tries": sum(each.failed_tries for each in reports),
    }
    planned = form.before + len(load.CHANNELS) * len(accepted)
    return ScenarioOutcome(
        seen.figures | figures,
        demands(seen.findings)
        | {
            "nothing is lost of any event's messages": len(seen.ledger.deliveries) == planned,
            "every report is answered 202": figures["refused"] == 0,
            "no process ends by itself": not any(each.had_ended for each in replaced),
            f"every process ends in {ENDED} s": figures["slowest_exit_s"] < ENDED,
        },
    )


@asynccontextmanager
async def _bed(
    options: Options, ports: Mapping[str, int], people: Mapping[str, RecipientDetails]
) -> AsyncIterator[Bed]:
    """Start a bed without processes; those that are started on it have a port each, and the webs a balancer before
    them."""
    with tempfile.TemporaryDirectory(prefix="notifier-chaos-") as folder:
        async with Balancer([port for name, port in ports.items() if _kind(name) == "web"]) as balancer:
            settings = {
                "public_url": f"http://{HOST}:{balancer.port}",
                "worker_processes": 1,
                "templates": bulk.templates(Path(folder)),
            }
            listening = {name: _listens(name, port) for name, port in ports.items()}
            async with make_bed(options, settings=settings, environments=listening, processes=(), people=people) as bed:
                yield bed


async def _within(release: Path) -> list[str]:
    """Return the command in which processes run the code of a checkout; ConfigurationError where they wouldn't."""
    within = ["/usr/bin/env", f"PYTHONPATH={release}"]
    asks = [*within, *python("-c", "import notifier, workers; print(notifier.__path__[0], workers.__path__[0])")]
    told = await asyncio.to_thread(subprocess.run, asks, capture_output=True, text=True, timeout=CHECKED, check=False)
    if told.stdout.split() != [str(release / "notifier"), str(release / "workers")]:
        raise ConfigurationError(
            f"--release: {release} is no checkout of notifier; name the folder with pyproject.toml"
        )
    return within


def _kind(name: str) -> str:
    return name.partition("-")[0]


def _listens(name: str, port: int) -> dict[str, str]:
    """Return the settings by which a process says at a port that it is ready."""
    if _kind(name) == "web":
        return {"NOTIFIER_PORT": str(port)}
    return {"NOTIFIER_METRICS_LISTEN": f"{HOST}:{port}"}


async def _ready(bed: Bed, ports: Mapping[str, int]) -> None:
    """Wait until processes are ready, each of which says so at its port."""
    for name, port in ports.items():
        await bed.system.answer(f"http://{HOST}:{port}/readyz", name)


async def _replace_each(bed: Bed, ports: Mapping[str, int], within: Sequence[str], pause: float) -> list[Replacement]:
    """Replace each process by one that runs within a command, once all of its kind are ready, and wait for the last.

    `pause` is the least seconds from one to the next.
    """
    replaced = []
    for name in ports:
        began = time.monotonic()
        await _ready(bed, {each: port for each, port in ports.items() if _kind(each) == _kind(name)})
        replaced.append(await _replace(bed, name, within))
        await asyncio.sleep(max(0, pause - (time.monotonic() - began)))
    await _ready(bed, ports)
    return replaced


async def _replace(bed: Bed, name: str, within: Sequence[str]) -> Replacement:
    """Replace a process by one that runs within a command."""
    had_ended = bed.system.running[name].poll() is not None
    began = time.monotonic()
    await bed.system.stop(name)
    seconds = time.monotonic() - began
    await bed.system.start(name, within)
    return Replacement(seconds, had_ended)


async def _add_to_schema(database: Database) -> None:
    """Have the database say that the next release has upgraded it, by a change that this one works with."""
    _, newest = await migrate.revisions(database)
    ahead = f"{AHEAD}-{parse(newest).number:04}"

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = :id"), {"id": ahead})

    await database.write(work)


async def _report_on(bed: Bed, rate: int, enough: asyncio.Event) -> list[Reports]:
    """Have a producer begin every second until `enough` is set, whatever becomes of those before it."""
    reports: list[asyncio.Task[Reports]] = []
    began = time.monotonic()
    for number in itertools.count():
        if enough.is_set():
            break
        reports.append(asyncio.create_task(_report(bed, load.numbered(load.payment, number * rate, rate), rate)))
        await asyncio.sleep(max(0.0, began + number + 1 - time.monotonic()))
    return await asyncio.gather(*reports)


async def _report(bed: Bed, events: Iterable[load.Event], count: int) -> Reports:
    """Report events by a producer of their own, in `SPAN` seconds."""
    ids: list[str] = []
    async with AsyncProducer(bed.system.settings.public_url, bed.system.key, "chaos") as producer:
        try:
            ids = await load.report(producer, events, count / SPAN)
        except* ServiceUnavailable:
            pass
        return Reports(ids, count - len(ids), producer.failed_tries)
