"""Whose events come later while more is reported than decided: a key's that reports far more than others. Pure."""

from collections import Counter
from typing import Final

from notifier.domain.clock import SECOND

WINDOW: Final = 10 * SECOND
"""Milliseconds of which it is known at least what each key has reported: a loop is seen at once, and a burst forgotten
soon."""
LITTLE: Final = 100
"""Events in that time for which nobody has to wait for long: a quarter of a second's work."""
FAR_MORE: Final = 2
"""So many times what others report on average is far more; keys that report alike are never told apart by it."""


class Turns:
    """What each key has reported of late. Who reports alone, or little, or about as much as others, has its turn."""

    def __init__(self) -> None:
        self._latest: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._total = 0
        self._keys = 0
        self._until = 0

    def has_turn(self, key: str, events: int, now: int) -> bool:
        """Count events that a key reports at an instant; whether they may be decided in the order of their coming."""
        if now >= self._until:
            self._turn_page(now)
        self._keys += key not in self._latest and key not in self._before
        self._latest[key] += events
        self._total += events
        own = self._latest[key] + self._before[key]
        others = self._total - own
        return own <= LITTLE or self._keys == 1 or own * (self._keys - 1) <= FAR_MORE * others

    def _turn_page(self, now: int) -> None:
        """Forget what was reported longer ago than the window."""
        self._before = self._latest if now < self._until + WINDOW else Counter()
        self._latest = Counter()
        self._total = self._before.total()
        self._keys = len(self._before)
        self._until = now + WINDOW
