"""The metrics of several processes as those of one: pure.

Counts are added up, those of processes that have ended among them, so that a counter never falls. Of a gauge the value
that changed last counts, unless it is one that adds up (`ADDED`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

ADDED: Final = frozenset(
    {
        "notifier_database_connections_max", "notifier_database_connections_in_use",
        "notifier_database_transactions_waiting",
    }
)  # fmt: skip
"""The gauges of which several processes have several times as much."""
GAUGE: Final = "gauge"

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A series: the sample's name and its labels."""


class Family(msgspec.Struct, frozen=True, array_like=True):
    """The series of a metric with their values."""

    name: str
    kind: str
    about: str
    series: Sequence[tuple[Key, float]]


def families(collector: Collector) -> list[Family]:
    """What a registry tells, as it goes from process to process."""
    return [
        Family(
            each.name, each.type, each.documentation,
            [((one.name, tuple(one.labels.items())), one.value) for one in each.samples],
        )
        for each in collector.collect()
    ]  # fmt: skip


@dataclass
class Counts:
    """What processes counted: of gauges nothing."""

    families: dict[str, Family] = field(default_factory=dict)

    def add(self, told: Iterable[Family]) -> None:
        """Add what another process counted, or one that has ended."""
        for each in told:
            if each.kind != GAUGE:
                so_far = self.families.get(each.name)
                self.families[each.name] = each if so_far is None else _sum(so_far, each)


@dataclass
class Gauges:
    """The gauges of a process, and when each series changed."""

    families: dict[str, Family] = field(default_factory=dict)
    changed: dict[Key, float] = field(default_factory=dict)

    def see(self, told: Iterable[Family], now: float) -> None:
        """Take what the process tells at an instant."""
        before = dict(series for each in self.families.values() for series in each.series)
        self.families = {each.name: each for each in told if each.kind == GAUGE}
        for key, value in (series for each in self.families.values() for series in each.series):
            if before.get(key) != value:
                self.changed[key] = now


def together(counts: Counts, gauges: Sequence[Gauges]) -> list[Family]:
    """All counts, and the gauges of several processes as one."""
    found: dict[str, Family] = {}
    since: dict[Key, float] = {}
    for process in gauges:
        for name, each in process.families.items():
            if name not in found:
                found[name] = each
            elif name in ADDED:
                found[name] = _sum(found[name], each)
            else:
                newer = {key: value for key, value in each.series if process.changed[key] >= since.get(key, 0.0)}
                found[name] = msgspec.structs.replace(each, series=list((dict(found[name].series) | newer).items()))
            for key, _ in each.series:
                since[key] = max(since.get(key, 0.0), process.changed[key])
    return [*counts.families.values(), *found.values()]


class Told(Collector):
    """Families as the client renders them."""

    def __init__(self, told: Iterable[Family]) -> None:
        self._told = told

    def collect(self) -> Iterable[Metric]:
        for each in self._told:
            metric = Metric(each.name, each.about, each.kind)
            for (name, labels), value in each.series:
                metric.add_sample(name, dict(labels), value)
            yield metric


def _sum(one: Family, other: Family) -> Family:
    values: dict[Key, float] = dict(one.series)
    for key, value in other.series:
        values[key] = values.get(key, 0.0) + value
    return msgspec.structs.replace(one, series=list(values.items()))


def by_state(states: Mapping[str, int]) -> Family:
    """The processes of a group by their state, as a gauge."""
    name = "notifier_worker_processes"
    series = [((name, (("state", state),)), float(number)) for state, number in states.items()]
    return Family(name, GAUGE, "Processes of a worker by their state", series)
