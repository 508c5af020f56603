"""Every scenario by its name, in the order in which `all` runs them, and the module that holds it."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notifier.chaos.options import Options
    from notifier.chaos.outcome import Outcome

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


def scenario(name: str) -> "Callable[[Options], Awaitable[Outcome]]":
    """The scenario of a name; it is imported only now, for it brings half the system with it."""
    found: Callable[[Options], Awaitable[Outcome]] = getattr(import_module(f"notifier.chaos.{MODULES[name]}"), name)
    return found
