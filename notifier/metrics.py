"""The processes' metrics, by Prometheus' naming rules. No label ever holds an address, an id or a person's name.

Every process tells its own on its port for metrics (`notifier.monitoring`). Where processes share a folder,
`NOTIFIER_METRICS_DIR`, each counts there as well, and the web process's `/metrics` tells them of all.
"""

import os
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from notifier.domain.clock import SECOND
from notifier.domain.subscriptions import STANDINGS, Subscription
from notifier.providers.metrics import EVERY
from notifier.runtime import background, loop_lag
from notifier.runtime.stages import cpu_seconds
from notifier.store.core.database import Connections
from notifier.store.delivery.due import Backlog, Queue
from notifier.store.reading.ledger import Ledger

disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each counter, which nothing of ours reads

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus' text format."""

ANSWERED = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds until an answer begins: events are accepted in some milliseconds, and callers give up after ten seconds."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REGISTRY = CollectorRegistry()
OF_CLOCK = CollectorRegistry()
"""What only a clock tells: of any other process it would be a 0 that says nothing."""

events_accepted = Counter("notifier_events_accepted_total", "Events answered 202", ["type"], registry=REGISTRY)
events_refused = Counter("notifier_events_refused_total", "Events refused with a problem", ["code"], registry=REGISTRY)
requests_limited = Counter(
    "notifier_requests_limited_total", "Requests refused because their key had reached a limit", ["policy"],
    registry=REGISTRY,
)  # fmt: skip
events_decided = Counter("notifier_events_decided_total", "Events turned into deliveries", registry=REGISTRY)
settled = Counter(
    "notifier_deliveries_settled_total", "Attempts by outcome", ["channel", "state", "reason"], registry=REGISTRY
)
provider_seconds = Histogram(
    "notifier_provider_seconds",
    "Duration of a provider's answer",
    ["channel", "outcome"],
    buckets=SECONDS,
    registry=REGISTRY,
)
handoff_seconds = Histogram(
    "notifier_handoff_seconds", "Time from an event (or a redrive) until a provider accepts its message", ["channel"],
    buckets=SECONDS, registry=REGISTRY,
)  # fmt: skip
signals_lost = Counter(
    "notifier_signals_lost_total", "Signals that the broker did not accept", ["queue"], registry=REGISTRY
)
signals_again = Counter("notifier_signals_again_total", "Rows that the clock signalled", ["queue"], registry=REGISTRY)
messages_failed = Counter(
    "notifier_messages_failed_total", "Signals whose work failed; the clock signals those rows again", ["queue"],
    registry=REGISTRY,
)  # fmt: skip
messages_quarantined = Counter(
    "notifier_messages_quarantined_total", "Signals that can't be read or were processed before", ["queue"],
    registry=REGISTRY,
)  # fmt: skip
rows_quarantined = Counter(
    "notifier_rows_quarantined_total", "Events and deliveries put aside because they crashed worker "
"after worker", ["kind"],
    registry=REGISTRY,
)  # fmt: skip
campaigns_paused = Counter(
    "notifier_campaigns_paused_total", "Campaigns that were paused until a person has looked at them", ["reason"],
    registry=REGISTRY,
)  # fmt: skip
rows_removed = Counter(
    "notifier_rows_removed_total", "Rows that went, or events that lost their data, when their period of retention was "
"over",
    ["kind"], registry=REGISTRY,
)  # fmt: skip
batches = Counter(
    "notifier_change_batches_total", "Batches of changes sent to subscribers", ["outcome"], registry=REGISTRY
)
changes_told = Counter("notifier_changes_told_total", "Changes that subscribers have taken", registry=REGISTRY)
receipts = Counter(
    "notifier_receipts_total", "Deliveries whose state a provider's receipt changed", ["channel", "state", "reason"],
    registry=REGISTRY,
)  # fmt: skip
worker_ends = Counter(
    "notifier_worker_ends_total", "Worker processes that ended unexpectedly and were restarted", registry=REGISTRY
)
leases_lost = Counter(
    "notifier_leases_lost_total", "Outcomes not recorded because the lease had run out", registry=REGISTRY
)
lease_renewals = Counter(
    "notifier_lease_renewals_total", "Leases of messages being sent, by what became of their renewal", ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
request_seconds = Histogram(
    "notifier_http_request_seconds", "Time from a request's head until its answer begins",
    ["route", "method", "status"], buckets=ANSWERED, registry=REGISTRY,
)  # fmt: skip
map_clients = Gauge(
    "notifier_map_clients", "Clients that follow stations as they change", multiprocess_mode="livesum",
    registry=REGISTRY,
)  # fmt: skip
port_offers = Counter(
    "notifier_port_offers_total", "Free ports offered to who waited, by whether it was told or taken before",
    ["outcome"], registry=REGISTRY,
)  # fmt: skip
map_frames = Counter("notifier_map_frames_total", "Frames of changed stations sent to clients", registry=REGISTRY)
map_lag_seconds = Histogram(
    "notifier_map_lag_seconds", "Time from a port's report until a frame tells of it", buckets=SECONDS,
    registry=REGISTRY,
)  # fmt: skip
clock_tick = Gauge(
    "notifier_clock_tick_timestamp_seconds",
    "Time at which a clock last finished a round",
    multiprocess_mode="max",
    registry=OF_CLOCK,
)
ledger_imbalance = Gauge(
    "notifier_audit_imbalance", "Deliveries and events missing from or surplus in the ledger, as of the clock's "
"last audit",
    multiprocess_mode="mostrecent", registry=OF_CLOCK,
)  # fmt: skip


class PoolCollector(Collector):
    """The connections to the database of the process that `watched` tells of, as gauges; nothing before it is set."""

    watched: Callable[[], Connections] | None = None

    def collect(self) -> Iterable[Metric]:
        if self.watched is None:
            return
        now = self.watched()
        for name, help_, value in (
            ("notifier_database_connections_max", "The most connections that the process opens", now.most),
            ("notifier_database_connections_in_use", "Connections in use", now.in_use),
            ("notifier_database_transactions_waiting", "Transactions that wait for a connection", now.waiting),
        ):
            yield GaugeMetricFamily(name, help_, value=value)


pool = PoolCollector()

for _metric in (*EVERY, cpu_seconds, background.failures, loop_lag.seconds, pool):
    REGISTRY.register(_metric)


@cache
def requests_of(route: str, method: str, status_class: int) -> Histogram:
    """The series of an endpoint's requests: looking it up by its labels costs more than what it observes."""
    return request_seconds.labels(route, method, f"{status_class}xx")


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """What `observe` does for each value, with one write a bucket: every write to a file that processes share costs a
    system call, and deliveries end by the hundred."""
    histogram._sum.inc(sum(values))  # noqa: SLF001 (the client counts one by one only)
    for bucket, count in Counted(bisect_left(histogram._upper_bounds, value) for value in values).items():  # noqa: SLF001
        histogram._buckets[bucket].inc(count)  # noqa: SLF001


class LedgerCollector(Collector):
    """The conservation sum as gauges."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterable[Metric]:
        states = GaugeMetricFamily("notifier_deliveries", "Deliveries by state", labels=["state"])
        for state, count in self._ledger.deliveries.items():
            states.add_metric([state], count)
        yield states
        yield GaugeMetricFamily("notifier_events", "Events accepted", value=self._ledger.events)
        yield GaugeMetricFamily("notifier_events_undecided", "Events not decided yet", value=self._ledger.undecided)
        yield GaugeMetricFamily(
            "notifier_deliveries_planned", "Deliveries that decisions planned", value=self._ledger.planned
        )
        yield GaugeMetricFamily(
            "notifier_events_quarantined", "Events put aside until a person redrives them",
            value=self._ledger.quarantined,
        )  # fmt: skip
        yield GaugeMetricFamily(
            "notifier_ledger_sealed_days", "Days of which all is over and the sums are written down",
            value=self._ledger.days.sealed,
        )  # fmt: skip
        yield GaugeMetricFamily(
            "notifier_ledger_open_days", "Days of the ledger that are not sealed, since something of them "
"is open or they ended lately",
            value=self._ledger.days.open,
        )  # fmt: skip
        yield GaugeMetricFamily(
            "notifier_ledger_imbalance", "Deliveries and events missing from or surplus in the ledger; anything "
"but 0 is "
"an alarm",
            value=self._ledger.imbalance,
        )  # fmt: skip


class BacklogCollector(Collector):
    """What is due and not taken yet, queue by queue, as gauges; `now` is in epoch milliseconds."""

    def __init__(self, backlogs: Mapping[Queue, Backlog], now: int) -> None:
        self._backlogs = backlogs
        self._now = now

    def collect(self) -> Iterable[Metric]:
        labels = ["channel", "lane"]
        due = GaugeMetricFamily(
            "notifier_deliveries_due", "Deliveries that are due and that no worker has taken", labels=labels
        )
        oldest = GaugeMetricFamily(
            "notifier_oldest_due_delivery_seconds", "Time since the oldest of them fell due", labels=labels
        )
        for (channel, lane), (number, since) in self._backlogs.items():
            due.add_metric([channel, lane], number)
            oldest.add_metric([channel, lane], 0 if since is None else max(self._now - since, 0) / SECOND)
        yield due
        yield oldest


class SubscriptionCollector(Collector):
    """Subscriptions by how they stand, and how long the one that has failed longest has done so; `now` is in epoch
    milliseconds."""

    def __init__(self, found: Sequence[Subscription], now: int) -> None:
        self._found = found
        self._now = now

    def collect(self) -> Iterable[Metric]:
        standing = Counted(each.standing for each in self._found)
        family = GaugeMetricFamily("notifier_subscriptions", "Subscriptions by how they stand", labels=["state"])
        for name in STANDINGS:
            family.add_metric([name], standing[name])
        yield family
        since = [each.failing_since for each in self._found if each.failing_since is not None and each.paused is None]
        longest = max(self._now - min(since, default=self._now), 0) / SECOND
        help_ = "Time since the first failure of the subscription that has failed longest, and is not paused"
        yield GaugeMetricFamily("notifier_longest_failing_subscription_seconds", help_, value=longest)


def render(*collectors: Collector) -> bytes:
    """The text of metrics in Prometheus' format."""
    return b"".join(map(generate_latest, collectors))


def of_all() -> CollectorRegistry:
    """The counters of all processes where they share a folder, and else of this one. Collecting reads files: not for a
    loop."""
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not shared:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=shared)  # type: ignore[no-untyped-call]
    return registry


def forget() -> None:
    """Remove what this process counted where all do: it never came to do anything, and is started again and again."""
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(shared).glob(f"*_{os.getpid()}.db") if shared else ():
        file.unlink(missing_ok=True)


def share(folder: Path) -> dict[str, str]:
    """The environment that makes processes count together in a folder; it must stand before they import this module."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
