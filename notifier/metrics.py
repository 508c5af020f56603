"""The processes' metrics, by Prometheus' naming rules. No label ever holds an address, an id or a person's name.

Every process writes its numbers to `NOTIFIER_METRICS_DIR`, and the web process answers `/metrics` for all of them;
without that folder each counts for itself.
"""

import os
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from notifier.providers.metrics import EVERY
from notifier.runtime import background
from notifier.runtime.stages import cpu_seconds
from notifier.store.reading.ledger import Ledger

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REGISTRY = CollectorRegistry()

events_accepted = Counter("notifier_events_accepted_total", "Events answered 202", ["type"], registry=REGISTRY)
events_refused = Counter("notifier_events_refused_total", "Events refused with a problem", ["code"], registry=REGISTRY)
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
rows_removed = Counter(
    "notifier_rows_removed_total", "Rows that went, or events that lost their data, when their period of retention was "
"over",
    ["kind"], registry=REGISTRY,
)  # fmt: skip
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
clock_tick = Gauge(
    "notifier_clock_tick_timestamp_seconds",
    "Time at which a clock last finished a round",
    multiprocess_mode="max",
    registry=REGISTRY,
)


ledger_imbalance = Gauge(
    "notifier_audit_imbalance", "Deliveries and events missing from or surplus in the ledger, as of the clock's "
"last audit",
    multiprocess_mode="mostrecent", registry=REGISTRY,
)  # fmt: skip


for _metric in (*EVERY, cpu_seconds, background.failures):
    REGISTRY.register(_metric)


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


def render(ledger: Ledger) -> bytes:
    """The text of `/metrics`: this process's numbers or, where they share a folder, those of all."""
    books = CollectorRegistry()
    books.register(LedgerCollector(ledger))
    return generate_latest(_registry()) + generate_latest(books)


def collect() -> list[Metric]:
    """Collect the metrics without the ledger, for readers in this process. It reads files: not for a loop."""
    return list(_registry().collect())


def _registry() -> CollectorRegistry:
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
