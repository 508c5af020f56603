"""The state of the system, queried once for all viewers and cached for a moment.

No page waits for a slow query while the last known result is recent: it shows that.
"""

import asyncio
import contextlib
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import structlog

from notifier import metrics
from notifier.console.failures import SINCE, Failures, failing
from notifier.domain.clock import DAY, MINUTE, SECOND, Clock
from notifier.domain.errors import StoreUnavailable
from notifier.pipeline.engine import Engine
from notifier.runtime.background import forever, once
from notifier.store.reading import activity, ledger
from notifier.store.reading import failing as failing_rows
from notifier.store.reading.ledger import Ledger

T = TypeVar("T")

LOOK_EVERY = SECOND  # milliseconds that a result is cached, at least
REST = 20  # times its own duration that a count of the ledger, of a day or of failures is cached
PATIENCE = 0.04  # seconds that a page waits for a query under way
OLD = 10 * SECOND  # milliseconds after which a result, once it may be replaced, says nothing about now
PATIENCE_WITH_OLD = 2.0  # seconds that a page rather waits than show such a result
SAMPLE_EVERY = 15.0  # seconds between two samples of the providers' metrics
WINDOW = 5 * MINUTE  # milliseconds of the window of providers' speed and answers

BREAKERS = ("closed", "half-open", "open")

log = structlog.get_logger(__name__)


class MetricsSample(NamedTuple):
    """The processes' counters at an instant; `tick` is when a clock last finished a round, 0 where unknown."""

    at: int
    requests: Counter[tuple[str, str]]
    answers: Counter[tuple[str, float]]
    breakers: dict[str, int]
    tick: int


class ProviderHealth(NamedTuple):
    """A provider's circuit breaker, and its outcomes with their counts within the window."""

    name: str
    breaker: str
    said: list[tuple[str, int]]


class Speed(NamedTuple):
    """Response times of a channel's providers within the window, in milliseconds; None without requests."""

    channel: str
    answered: int
    p50: float | None
    p95: float | None


class Health(NamedTuple):
    """The system's health at `at`. `depths` is empty where the broker doesn't answer; `event_late` and `delivery_late`
    are the milliseconds by which the longest-waiting row is overdue."""

    at: int
    depths: Mapping[str, int]
    event_late: int
    delivery_late: int
    providers: Sequence[ProviderHealth]
    speeds: Sequence[Speed]
    window: int
    tick: int


class DatedLedger(NamedTuple):
    """A count of the ledger, taken at `at`."""

    at: int
    ledger: Ledger


class Remembered(Generic[T]):
    """A query run on demand, whose result is cached and waited for no longer than `PATIENCE`.

    Where nobody has asked for a while it is waited for up to `PATIENCE_WITH_OLD`.
    """

    def __init__(self, find: Callable[[], Awaitable[T]], clock: Clock, rest: int = 0) -> None:
        self._find = find
        self._clock = clock
        self._rest = rest
        self._value: T | None = None
        self._until = 0
        self._task: asyncio.Task[None] | None = None

    async def latest(self) -> T | None:
        """Return the latest result; None before the first."""
        now = self._clock.now()
        if self._task is None and now >= self._until:
            self._task = once("console.look", self._look)
        if self._task is not None:
            is_old = self._value is not None and now >= self._until + OLD
            await asyncio.wait({self._task}, timeout=PATIENCE_WITH_OLD if is_old else PATIENCE)
        return self._value

    async def close(self) -> None:
        """Cancel a query under way."""
        if self._task is not None:
            await _cancel(self._task)

    async def _look(self) -> None:
        began = self._clock.now()
        try:
            self._value = await self._find()
        except (StoreUnavailable, OSError, ValueError) as error:
            log.warning("console.not_seen", error=type(error).__name__)
        finally:
            now = self._clock.now()
            self._until = now + max(LOOK_EVERY, self._rest * (now - began))
            self._task = None


class Watch:
    """Queries the system on demand, and samples the providers' metrics in the background."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._samples: deque[MetricsSample] = deque(maxlen=round(WINDOW / SECOND / SAMPLE_EVERY) + 1)
        self._health = Remembered(self._look, engine.clock)
        self._books = Remembered(self._count, engine.clock, REST)
        self._day = Remembered(self._count_day, engine.clock, REST)
        self._failures = Remembered(self._count_failures, engine.clock, REST)
        self._task: asyncio.Task[None] | None = None

    async def failures(self) -> Failures | None:
        """Return recent failure rates and the number of waiting dead letters."""
        return await self._failures.latest()

    async def health(self) -> Health | None:
        return await self._health.latest()

    async def books(self) -> DatedLedger | None:
        return await self._books.latest()

    async def day(self) -> Mapping[str, int] | None:
        """Return the number of deliveries of each type within a day."""
        return await self._day.latest()

    def start(self) -> None:
        """Start sampling the providers' metrics."""
        self._task = forever("console.watch", self._keep)

    async def close(self) -> None:
        """Stop sampling and cancel queries under way."""
        if self._task is not None:
            await _cancel(self._task)
        await self._health.close()
        await self._books.close()
        await self._day.close()
        await self._failures.close()

    async def _keep(self) -> None:
        while True:
            try:
                self._samples.append(await self._read())
            except (OSError, ValueError) as error:  # a file that a process is just creating, or that was removed
                log.warning("console.metrics_unreadable", error=type(error).__name__)
            await asyncio.sleep(SAMPLE_EVERY)

    async def _read(self) -> MetricsSample:
        return read(await asyncio.to_thread(lambda: list(metrics.of_all().collect())), self._engine.clock.now())

    async def _look(self) -> Health:
        depths = await self._engine.signals.depths()
        waiting = await activity.waiting_since(self._engine.database)
        sample = await self._read()
        earlier = self._samples[0] if self._samples else sample
        now = self._engine.clock.now()
        event_late, delivery_late = (0 if since is None else max(now - since, 0) for since in waiting)
        return Health(
            at=now, depths=depths, event_late=event_late, delivery_late=delivery_late,
            providers=providers(earlier, sample), speeds=speeds(earlier, sample), window=sample.at - earlier.at,
            tick=sample.tick,
        )  # fmt: skip

    async def _count_failures(self) -> Failures:
        engine, now = self._engine, self._engine.clock.now()
        found = await failing_rows.outcomes(engine.database, now - SINCE)
        names = {kind.id: kind.name for kind in engine.catalog.types.values()}
        dead = await failing_rows.waiting(engine.database)
        tried = sum(each.number for each in found if not each.older)
        return Failures(now, failing(found, names), tried, dead, sum(each.number for each in found if each.older))

    async def _count_day(self) -> Mapping[str, int]:
        return await activity.made_since(self._engine.database, self._engine.clock.now() - DAY)

    async def _count(self) -> DatedLedger:
        books = await ledger.read(self._engine.database)
        return DatedLedger(self._engine.clock.now(), books)


def read(families: Sequence[Any], now: int) -> MetricsSample:
    """Parse a sample from the metrics' text."""
    sample = MetricsSample(now, Counter(), Counter(), {}, 0)
    tick = 0
    for each in (each for family in families for each in family.samples):
        match each.name:
            case "notifier_provider_requests_total":
                sample.requests[each.labels["provider"], each.labels["outcome"]] += round(each.value)
            case "notifier_provider_seconds_bucket":
                sample.answers[each.labels["channel"], float(each.labels["le"])] += round(each.value)
            case "notifier_breaker_state":
                sample.breakers[each.labels["provider"]] = round(each.value)
            case "notifier_clock_tick_timestamp_seconds":
                tick = round(each.value * SECOND)
    return sample._replace(tick=tick)


def providers(earlier: MetricsSample, later: MetricsSample) -> list[ProviderHealth]:
    """Return every provider ever used with its outcomes between two samples, the most frequent first."""
    said = later.requests - earlier.requests
    names = sorted(later.breakers.keys() | {name for name, _ in later.requests})
    return [
        ProviderHealth(
            name=name,
            breaker=BREAKERS[later.breakers.get(name, 0)],
            said=[(outcome, count) for (whose, outcome), count in said.most_common() if whose == name],
        )
        for name in names
    ]


def speeds(earlier: MetricsSample, later: MetricsSample) -> list[Speed]:
    """Return the response times of each channel's providers between two samples."""
    answers = later.answers - earlier.answers
    told = []
    for channel in sorted({channel for channel, _ in later.answers}):
        buckets = {bound: count for (whose, bound), count in answers.items() if whose == channel}
        answered = buckets.get(math.inf, 0)
        told.append(Speed(channel, answered, quantile(buckets, 0.5), quantile(buckets, 0.95)))
    return told


def quantile(buckets: Mapping[float, int], share: float) -> float | None:
    """Return a quantile in milliseconds, computed like Prometheus' `histogram_quantile` from cumulative counts by upper
    bound (seconds); None without counts."""
    total = buckets.get(math.inf, 0)
    below, below_count = 0.0, 0
    for bound, count in sorted(buckets.items()):
        if total and count >= share * total:
            if bound == math.inf:
                return below * SECOND
            return (below + (bound - below) * (share * total - below_count) / (count - below_count)) * SECOND
        below, below_count = bound, count
    return None


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
