"""The test bed of a scenario: a whole local system, recipients, a producer, and the proxies that break it."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import msgspec

from notifier.broker import BACKGROUND, broker_address
from notifier.chaos import faults, load, proxy, servers
from notifier.chaos.options import Options
from notifier.chaos.proxy import HOST, TcpProxy
from notifier.chaos.witness import Witness
from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError, StoreUnavailable
from notifier.domain.recipients import RecipientDetails
from notifier.sandbox.stand_in import stand_in
from notifier.store.people import recipients
from notifier.store.reading import ledger

LOOK_EVERY = 0.1  # seconds
QUIET_TIMEOUT = 90  # seconds after the last fault for everything to have ended: lease, backoff and a backlog
HOOKS = Path(__file__).parent / "hooks"
STARTED = 120  # seconds for a system's workers to come up, however slow the cores
POST_TIMEOUT = 15  # seconds for one answer of the API
ACCEPTED = 202


class _Result(msgspec.Struct):
    event: str = ""


class _BatchAnswer(msgspec.Struct):
    results: list[_Result]


@dataclass(frozen=True)
class Bed:
    """A running system, with what a scenario needs to load, break and observe it."""

    options: Options
    system: LocalSystem
    witness: Witness
    producer: AsyncProducer
    session: aiohttp.ClientSession
    broker_proxy: TcpProxy | None
    database_proxy: TcpProxy | None
    providers: Mapping[str, TcpProxy]

    async def post(self, event: load.Event) -> tuple[int, bytes]:
        """Report one event without retries; return status and body. Raises aiohttp's errors without an answer."""
        url = f"{self.system.settings.public_url}/v1/events"
        headers = {"Content-Type": "application/cloudevents+json", "Authorization": f"Bearer {self.system.key}"}
        body = msgspec.json.encode({"specversion": "1.0", "source": "chaos", **event})
        async with self.session.post(url, data=body, headers=headers) as response:
            return response.status, await response.read()

    async def post_many(self, events: Sequence[load.Event]) -> tuple[int, list[str]]:
        """Report events in one request without retries; return its status and the ids of those accepted. Raises
        aiohttp's errors without an answer."""
        url = f"{self.system.settings.public_url}/v1/events"
        headers = {
            "Content-Type": "application/cloudevents-batch+json", "Authorization": f"Bearer {self.system.key}"
        }  # fmt: skip
        body = msgspec.json.encode([{"specversion": "1.0", "source": "chaos", **event} for event in events])
        async with self.session.post(url, data=body, headers=headers) as response:
            content = await response.read()
        if response.status != ACCEPTED:
            return response.status, []
        results = msgspec.json.decode(content, type=_BatchAnswer).results
        return response.status, [result.event for result in results if result.event]

    async def metric(self, name: str, **labels: str) -> float:
        """Return a metric's sum over the series whose labels begin with these values, from `/metrics`."""
        lines = (await self.system.metrics(self.session)).splitlines()
        wanted = [f'{label}="{value}' for label, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.partition("{")[0] == name and all(part in line for part in wanted)
        )

    async def quiet(self, within: float = QUIET_TIMEOUT) -> float:
        """Wait until nothing is left to do, at most `within` seconds; return the seconds that it took."""

        async def is_quiet() -> bool:
            return await ledger.is_quiet(self.system.database)

        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await until(is_quiet, within)
        return time.monotonic() - began

    def broker_away(self) -> AbstractAsyncContextManager[None]:
        """Take the broker down inside this context; a broker of our own loses its content."""
        return self.broker_proxy.away() if self.broker_proxy else faults.redis_away(self.system)

    def broker_silent(self) -> AbstractAsyncContextManager[None]:
        """Let the broker hang inside this context."""
        return self.broker_proxy.silent() if self.broker_proxy else faults.redis_stopped(self.system)

    async def empty_broker(self) -> None:
        """Remove everything from the broker."""
        await asyncio.to_thread(faults.flush, self.system.settings.broker_url, self.system.namespace)


async def until(holds: Callable[[], Awaitable[bool]], within: float) -> None:
    """Wait until a condition holds; TimeoutError after `within` seconds. An unavailable database is asked again."""
    async with asyncio.timeout(within):
        while True:
            with contextlib.suppress(StoreUnavailable):
                if await holds():
                    return
            await asyncio.sleep(LOOK_EVERY)


@asynccontextmanager
async def make_bed(
    options: Options,
    *,
    settings: Mapping[str, object] | None = None,
    processes: tuple[str, ...] = ("web", "worker", "clock"),
    environments: Mapping[str, Mapping[str, str]] | None = None,
    proxied: Collection[str] = (),
    providers: Mapping[str, str] | None = None,
    people: Mapping[str, RecipientDetails] | None = None,
) -> AsyncIterator[Bed]:
    """Start a bed. `proxied` names the servers ("broker", "database") that the scenario takes down; a server given by
    URL is put behind a proxy, a server of our own is stopped itself. `providers` puts the providers of channels behind
    proxies too, each with parameters to add to its URL ("rate=100")."""
    chosen: dict[str, object] = {**(settings or {})}
    async with AsyncExitStack() as stack:
        database_proxy = broker_proxy = None
        if options.database:
            chosen["database_url"] = await stack.enter_async_context(servers.database_of_our_own(options.database))
            if "database" in proxied:
                database_proxy = await stack.enter_async_context(proxy.before(options.database))
                chosen["database_url"] = database_proxy.url(str(chosen["database_url"]))
        if options.broker:
            await servers.empty_broker(options.broker)
            chosen["broker_url"] = options.broker
            if "broker" in proxied:
                if broker_address(options.broker).servers != (options.broker,):
                    raise ConfigurationError("--broker: this scenario takes the broker down, so name a single server")
                broker_proxy = await stack.enter_async_context(proxy.before(options.broker))
                chosen["broker_url"] = broker_proxy.url(options.broker)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notifier-chaos-")))
        chosen.setdefault("templates", load.templates(folder))
        provider_proxies = {channel: await stack.enter_async_context(TcpProxy()) for channel in providers or {}}
        for channel, more in (providers or {}).items():
            chosen[f"{channel}_providers"] = _account(channel, folder, provider_proxies[channel].port, more)
        async with options.starting:
            system = await stack.enter_async_context(LocalSystem(folder, chosen, processes, environments))
            for channel, each in provider_proxies.items():
                each.behind = HOST, system.port(Channel(channel))
            await recipients.put(system.database, dict(people or load.people()), system.clock.now())
            for name in processes:
                if name.startswith("worker"):
                    await until(partial(all_up, system, name), STARTED)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=POST_TIMEOUT), connector=aiohttp.TCPConnector(limit=0)
            )
        )
        producer = await stack.enter_async_context(AsyncProducer(system.settings.public_url, system.key, "chaos"))
        yield Bed(
            options, system, Witness(system.sandbox_url, session), producer, session, broker_proxy, database_proxy,
            provider_proxies,
        )  # fmt: skip


def _account(channel: str, folder: Path, port: int, more: str) -> str:
    """Return the account URL of a channel's provider behind a proxy on a port; ValueError without accounts."""
    account = stand_in(Channel(channel)).account
    if account is None:
        raise ValueError(f"{channel} has no accounts that could be behind a proxy")
    url = account(folder, port)
    return f"{url}{'&' if '?' in url else '?'}{more}" if more else url


async def all_up(system: LocalSystem, name: str) -> bool:
    return faults.ready_workers(system, name) >= system.settings.worker_processes + len(BACKGROUND)


def hooked(**variables: str) -> dict[str, str]:
    """Return the environment of a process that is broken from inside: see `hooks/sitecustomize.py`."""
    return {"PYTHONPATH": str(HOOKS), **{f"CHAOS_{name.upper()}": value for name, value in variables.items()}}
