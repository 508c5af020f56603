"""The environment of a benchmark: a whole system on real servers, its CPU by process, and its ledger at the end."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from bench.cpu import pids_named, pids_of_ours, pids_titled, seconds_of
from bench.load import Reach, everything, people, report
from bench.options import DatabaseKind
from bench.servers import DATABASE, servers
from bench.standins import Sink, sink
from notifier.chaos.load import templates
from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.reconcile import compare
from notifier.store.delivery import deliveries
from notifier.store.people import recipients
from notifier.store.reading import ledger

TIMEOUT = 300  # seconds for everything to be delivered
LOOK_EVERY = 0.1  # seconds
WARM = 200  # events before the measured ones: every process has its connections and its texts then
WARM_TIMEOUT = 60  # seconds
STAGES = "notifier_stage_cpu_seconds"
FAR = 10**9  # where their numbers begin: nobody else's


@dataclass(frozen=True)
class Bed:
    """A running system, a producer, and what its mails arrive at."""

    system: LocalSystem
    producer: AsyncProducer
    session: aiohttp.ClientSession
    sink: Sink | None
    groups: Mapping[str, list[int]]
    warm: int
    began: int
    """The instant since which deliveries are made of what the producer reports; those before it are the past's."""

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by group of processes; of PostgreSQL, the backends that serve our database, of MariaDB
        the whole server."""
        spent = {"producer": time.process_time()} | {name: seconds_of(pids) for name, pids in self.groups.items()}
        if self.system.database.dialect == "postgresql":
            spent["postgresql"] = seconds_of(pids_titled(DATABASE))
        return spent

    async def quiet(self, within: float = TIMEOUT) -> None:
        """Wait until nothing is left to do; TimeoutError after so many seconds."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if await ledger.is_quiet(self.system.database):
                return
            await asyncio.sleep(LOOK_EVERY)
        raise TimeoutError(f"not everything was delivered after {within} s")

    async def arrived(self) -> dict[str, dict[str, int]]:
        """What the stand-ins got: by channel, how often each reference."""
        found: dict[str, dict[str, int]] = await self.ask("references", dict[str, dict[str, int]])
        return found if self.sink is None else found | {"email": self.sink.mails()}

    async def counted(self) -> Counter[str]:
        """How many messages the stand-ins got by channel, with or without a reference."""
        found = await self.ask("summary", dict[str, dict[str, Any]])
        counts = Counter({channel: counts["accepted"] for channel, counts in found.items()})
        if self.sink is not None:
            counts["email"] = sum(self.sink.mails().values())
        return counts

    async def ask(self, what: str, kind: type[Any]) -> Any:
        """Something of the sandbox's API, decoded."""
        async with self.session.get(f"{self.system.sandbox_url}/sandbox/{what}") as response:
            response.raise_for_status()
            return msgspec.json.decode(await response.read(), type=kind)

    async def stages(self) -> dict[str, float]:
        """CPU seconds so far by the stage of an event's way, all processes together."""
        families = text_string_to_metric_families(await self.metrics())
        found = (sample for family in families if family.name == STAGES for sample in family.samples)
        return {sample.labels["stage"]: sample.value for sample in found if sample.name == f"{STAGES}_total"}

    async def metrics(self) -> str:
        """What the web process answers to a scrape."""
        return await self.system.metrics(self.session)

    async def books(self, events: int) -> dict[str, Any]:
        """The ledger, and the rows since the bed was made against what arrived, message by message, after so many
        events."""
        books = await ledger.read(self.system.database)
        states = await deliveries.states(self.system.database, self.began)
        missing = books.imbalance + books.undecided + books.quarantined + max(events + self.warm - books.events, 0)
        compared = compare(states, await self.arrived(), missing)
        return {
            "received": compared.received,
            "balanced": books.balanced and compared.unrecorded == 0,
            "lost": compared.lost,
            "duplicated": compared.duplicated,
        }


@asynccontextmanager
async def make_bed(
    *,
    database: DatabaseKind = "postgresql",
    buckets: int = 1,
    settings: Mapping[str, object] | None = None,
    processes: tuple[str, ...] = ("web", "worker", "clock"),
    reach: Reach = everything,
    sinking: bool = True,
) -> AsyncIterator[Bed]:
    """Start everything, and let it deliver `WARM` events where it has workers. `sinking`: mails go to smtp-sink, where
    there is one, which tells what arrived but not when."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notifier-bench-")))
        mails = stack.enter_context(sink()) if sinking else None
        chosen = {**await stack.enter_async_context(servers(database, buckets)), **(settings or {})}
        if mails is not None:
            chosen.setdefault("email_providers", f"smtp://127.0.0.1:{mails.port}")
        chosen.setdefault("templates", templates(folder))
        system = await stack.enter_async_context(LocalSystem(folder, chosen, processes, fast=True))
        began = system.clock.now()
        await recipients.put(system.database, people(reach), began)
        producer = await stack.enter_async_context(AsyncProducer(system.settings.public_url, system.key, "bench"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        warm = WARM if "worker" in processes else 0
        bed = Bed(system, producer, session, mails, _groups(system, database), warm, began)
        await report(producer, range(FAR, FAR + warm))
        await bed.quiet(WARM_TIMEOUT)
        yield bed


def _groups(system: LocalSystem, database: DatabaseKind) -> dict[str, list[int]]:
    """The processes by what they are; servers that others started are found by their names."""
    own = {"worker": "workers", "sandbox": "stand-ins"}
    groups = {own.get(name, name): [process.pid] for name, process in system.running.items()}
    groups["stand-ins"] += pids_of_ours("smtp-sink")
    if database == "sqlite":
        return groups | {"redis": pids_of_ours("valkey-server")}
    if database == "mariadb":
        groups["mariadb"] = pids_named("mariadbd")
    return groups | {"redis": pids_named("redis-server")}
