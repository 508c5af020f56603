"""Every scenario by its name, in the order in which `all` runs them, and the module that holds it."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notifier.chaos.options import Options
    from notifier.chaos.outcome import ScenarioOutcome

MODULES = {
    "same_id": "intake",
    "kill9_workers": "processes",
    "crash_points": "crashes",
    "redis_down": "brokers",
    "flushall": "brokers",
    "redis_full": "brokers",
    "broker_silent": "brokers",
    "worker_stopped": "processes",
    "database_down": "databases",
    "poison": "poison",
    "provider_faults": "providers",
    "backlog": "providers",
    "campaign": "campaign",
    "clock_skew": "clocks",
    "rolling_sigterm": "processes",
    "rolling_upgrade": "upgrades",
    "postgresql_failover": "database_failover",
    "postgresql_failover_async": "database_failover",
    "galera_node": "database_failover",
    "sentinel_failover": "broker_failover",
    "cluster_master": "broker_failover",
    "rabbitmq_node": "broker_failover",
    "host_cut_off": "hosts",
    "subscriber_away": "subscribers",
    "runaway_key": "limits",
    "key_limits": "limits",
    "one_person": "one_person",
}

PATIENT = (
    ("redis_down", "broker_silent", "worker_stopped", "clock_skew"),
    ("postgresql_failover", "postgresql_failover_async"),
    ("sentinel_failover", "cluster_master", "rabbitmq_node"),
)
"""Scenarios that mostly wait, in groups that may do so together."""


def rounds(*, side_by_side: bool) -> list[tuple[str, ...]]:
    """Return all scenarios in rounds: one after another, but groups of patient ones together where `side_by_side`, for
    which each needs servers of its own."""
    if not side_by_side:
        return [(name,) for name in MODULES]
    patient = {name for group in PATIENT for name in group}
    return [*((name,) for name in MODULES if name not in patient), *PATIENT]


def scenario(name: str) -> "Callable[[Options], Awaitable[ScenarioOutcome]]":
    """Return the scenario of a name; imports it only now, since it imports half the system."""
    found: Callable[[Options], Awaitable[ScenarioOutcome]] = getattr(
        import_module(f"notifier.chaos.{MODULES[name]}"), name
    )
    return found
