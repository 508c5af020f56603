"""The broker, what a worker process opens, and the actors: each hands the ids it got to a step of the pipeline."""

import asyncio
import gc
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import dramatiq
import uvloop
from dramatiq.asyncio import async_to_sync
from dramatiq.middleware import AsyncIO, MiddlewareError

from notifier import metrics
from notifier.broker import (
    ASK,
    CAREFUL,
    CHANGES,
    DECIDE,
    DECIDE_LATER,
    DECIDE_URGENT,
    EXPAND,
    LANES,
    QUEUES,
    make_broker,
)
from notifier.broker.signals import IDS_A_MESSAGE
from notifier.changes.pump import Pump, open_pump
from notifier.domain.deliveries import Channel, Lane
from notifier.domain.errors import ConfigurationError
from notifier.monitoring import reports
from notifier.monitoring.pages import Readiness
from notifier.monitoring.totals import families
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.expand import expand
from notifier.pipeline.resolve import ask
from notifier.providers.bulkheads import Bulkhead
from notifier.providers.opening import concurrency
from notifier.runtime import logs
from notifier.runtime.background import cancelled, once
from notifier.runtime.coalesce import Coalescer
from notifier.runtime.precedence import Precedence
from notifier.runtime.settings import load_settings
from notifier.startup import close, guard, open_worker_engine

DECIDED_TOGETHER = IDS_A_MESSAGE  # events in one transaction, some 60 ms: a message's events aren't to be split
DECIDED_LATER = 100  # events in one transaction that come behind all others: who comes meanwhile waits for some 30 ms
LONGEST_WAIT = 5.0  # seconds that these wait until nothing else is in hand: a provider that hangs mustn't stop them
COLLECTED_AFTER = 50_000  # objects: nearly all of a batch's many thousands are freed by reference counting

settings = load_settings()
logs.set_up(settings.log_level, "worker")
guard(settings)
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


class NotBooted(MiddlewareError):
    """A worker can't open what it needs; the exception's cause says why."""


class Loop(AsyncIO):
    """The process's event loop, with the engine opened on it before the first message and closed after the last."""

    def __init__(self) -> None:
        super().__init__()
        self._engine: WorkerEngine | None = None
        self.pump: Pump | None = None
        self.stopping = False
        self.report_to: int | None = None
        self._deciding: dict[tuple[int, bool], Coalescer[str, None]] = {}
        self._precedence = Precedence()

    @property
    def engine(self) -> WorkerEngine:
        if self._engine is None:
            raise ConfigurationError("the worker has not booted; run it by `notifier worker`")
        return self._engine

    def stop(self) -> None:
        """Begin no batch any more, and let the leases of what is on the wire end: said by another thread."""
        self.stopping = True
        if self.pump is not None:
            self.pump.stopping = True
        for engine in self.engine.buckets:
            engine.claims.stop_renewing()

    async def decide(self, bucket: int, ids: Sequence[str], *, urgent: bool) -> None:
        """Decide events of a bucket, together with others that come meanwhile."""
        if (bucket, urgent) not in self._deciding:
            work = partial(self._decide if urgent else self._decide_in_turn, bucket)
            self._deciding[bucket, urgent] = Coalescer(work, DECIDED_TOGETHER)
        with self._precedence.first():
            await self._deciding[bucket, urgent].add(ids)

    async def decide_later(self, bucket: int, ids: Sequence[str], tries: int | None) -> None:
        """Decide events of a bucket in small parts, each at a moment in which nothing else is decided here, or after a
        while."""
        engine = self.engine.buckets[bucket]
        for start in range(0, len(ids), DECIDED_LATER):
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_WAIT):
                    await engine.dispatcher.wind_down()
                    await self._precedence.wait()
            if self.stopping:
                await engine.signals.decide_later(ids[start:], tries=tries)
                return
            await decide(engine, ids[start : start + DECIDED_LATER], tries=tries)

    async def _decide_in_turn(self, bucket: int, ids: Sequence[str]) -> Sequence[None]:
        await self.engine.dispatcher.catch_up()
        return await self._decide(bucket, ids)

    async def _decide(self, bucket: int, ids: Sequence[str]) -> Sequence[None]:
        await decide(self.engine.buckets[bucket], list(dict.fromkeys(ids)))
        return [None] * len(ids)

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        served = worker.consumer_whitelist or QUEUES
        own = {queue: bulkhead for queue, bulkhead in bulkheads.items() if LANES[queue] in served}
        try:
            super().before_worker_boot(broker, worker)  # type: ignore[no-untyped-call]
            self._engine = async_to_sync(open_worker_engine)(settings, own)
            if CHANGES in served:
                self.pump = async_to_sync(open_pump)(self._engine, settings)
            broker.namespace = self._engine.namespace  # type: ignore[attr-defined]  # before the first consumer
            if self.report_to is not None:
                async_to_sync(self._report)(self.report_to)
        except Exception as error:
            # Dramatiq would log any other error and go on: a worker without an engine would consume signals and do
            # nothing.
            raise NotBooted from error
        gc.collect()
        gc.freeze()  # the catalog and the texts stay for good: the garbage collector needn't visit them every time
        gc.set_threshold(COLLECTED_AFTER)

    async def _report(self, descriptor: int) -> None:
        """Answer the supervisor's questions from now on."""
        line = socket.socket(fileno=descriptor)
        line.set_inheritable(False)
        needs = {"database": self.engine.database.ping, "broker": self.engine.signals.ping}
        told = partial(families, metrics.REGISTRY)
        reporting = once("reports", partial(reports.answer, line, Readiness(needs, self.engine.clock), told))
        self.engine.opened.push_async_callback(cancelled, reporting)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        try:
            async_to_sync(close)(self.engine)
        finally:
            super().after_worker_shutdown(broker, worker)  # type: ignore[no-untyped-call]


_concurrency = concurrency(settings)
# A campaign has one batch of a channel in hand at a time, so that providers have room for prompt messages.
bulkheads = {(channel, lane): Bulkhead(1 if lane == Lane.BULK else _concurrency[channel]) for channel, lane in LANES}
loop = Loop()
broker = make_broker(settings.broker_url, [loop])
dramatiq.set_broker(broker)
broker.declare_queue(CAREFUL)  # shared by all actors: every actor's messages may come through it


@dramatiq.actor(queue_name=DECIDE, actor_name="decide")
async def decide_events(ids: list[str], *, tries: int | None = None, bucket: int = 0) -> None:
    """Decide events that wait for a decision."""
    if tries is None:
        await loop.decide(bucket, ids, urgent=False)
    else:
        await decide(loop.engine.buckets[bucket], ids, tries=tries)


@dramatiq.actor(queue_name=DECIDE_URGENT, actor_name="decide_urgent")
async def decide_urgent_events(ids: list[str], *, bucket: int = 0) -> None:
    """Decide urgent events, which somebody has to hear of at once."""
    await loop.decide(bucket, ids, urgent=True)


@dramatiq.actor(queue_name=DECIDE_LATER, actor_name="decide_later")
async def decide_events_later(ids: list[str], *, tries: int | None = None, bucket: int = 0) -> None:
    """Decide events that come behind all others."""
    await loop.decide_later(bucket, ids, tries)


@dramatiq.actor(queue_name=EXPAND, actor_name="expand")
async def expand_events(ids: list[str], *, bucket: int = 0) -> None:
    """Expand the next chunk of the segments of campaign events."""
    await expand(loop.engine.buckets[bucket], ids)


@dramatiq.actor(queue_name=CHANGES, actor_name="tell_changes")
async def tell_changes(ids: list[str], *, bucket: int = 0) -> None:  # noqa: ARG001 (subscriptions are of all buckets)
    """Tell subscriptions what became of deliveries."""
    if loop.pump is not None:
        await loop.pump.tell(ids)


@dramatiq.actor(queue_name=ASK, actor_name="ask")
async def ask_provider(ids: list[str], *, bucket: int = 0) -> None:
    """Ask the provider about deliveries whose outcome is unknown."""
    await ask(loop.engine.buckets[bucket], ids)


def _deliver_actor(channel: Channel, lane: Lane) -> None:
    bulkhead = bulkheads[channel, lane]

    @dramatiq.actor(queue_name=LANES[channel, lane], actor_name=f"deliver_{channel}_{lane}")
    async def deliver_channel(ids: list[str], *, bucket: int = 0) -> None:
        """Send due deliveries of one channel and lane."""
        engine = loop.engine.buckets[bucket]
        async with bulkhead.enter(len(ids)):
            if loop.stopping:  # it would have to end within the remaining time
                await engine.signals.deliver({(channel, lane): ids})
            else:
                await deliver(engine, channel, ids)


for _channel, _lane in LANES:
    _deliver_actor(_channel, _lane)
