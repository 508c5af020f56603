"""What the demo and the replay are made of: sessions, what a network tells along them, and people to tell it to."""

from notifier.demo.acn import ChargingSession, generate, read_acn
from notifier.demo.events import TimedEvent, events
from notifier.demo.people import people

__all__ = ["ChargingSession", "TimedEvent", "events", "generate", "people", "read_acn"]
