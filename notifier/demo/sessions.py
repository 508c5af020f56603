"""The material of the demo and the replay: sessions, their events, and recipients."""

from notifier.demo.acn import ChargingSession, generate, read_acn
from notifier.demo.events import TimedEvent, events
from notifier.demo.people import people

__all__ = ["ChargingSession", "TimedEvent", "events", "generate", "people", "read_acn"]
