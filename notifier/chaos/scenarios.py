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
}

PATIENT = ("redis_down", "broker_silent", "worker_stopped", "clock_skew")
"""Those that wait most of the time."""


def rounds(*, side_by_side: bool) -> list[tuple[str, ...]]:
    """All of them, in the order in which they run: one after the other, but for the patient ones where `side_by_side`,
    which takes servers that each has for itself."""
    if not side_by_side:
        return [(name,) for name in MODULES]
    return [*((name,) for name in MODULES if name not in PATIENT), PATIENT]


def scenario(name: str) -> "Callable[[Options], Awaitable[ScenarioOutcome]]":
    """The scenario of a name; it is imported only now, for it brings half the system with it."""
    found: Callable[[Options], Awaitable[ScenarioOutcome]] = getattr(
        import_module(f"notifier.chaos.{MODULES[name]}"), name
    )
    return found
