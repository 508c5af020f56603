"""People about whom a process decides often: the database counts a type's messages only where a limit may be near."""

from collections.abc import Mapping

from notifier.domain.recipient_facts import of_type
from notifier.domain.regulation import Cap

SHARE = (
    10  # the share of a limit that each process may use before it reads the total of all processes from the database
)
REMEMBERED = 100_000  # pairs of person and type: 10 MB; a pair that is evicted comes too slowly to be a loop


class Often:
    """This process's memory: how often each type was about each person, and who has reached the limit."""

    def __init__(self) -> None:
        self._began = 0
        self._before: dict[int, int] = {}
        self._now: dict[int, int] = {}
        self._full: dict[tuple[str, str], tuple[int, ...]] = {}

    def begin(self, now: int, window: int) -> None:
        """Forget events older than the window before the current one, for the longest window."""
        if now - self._began >= window or len(self._now) >= REMEMBERED:
            self._before, self._now, self._full, self._began = self._now, {}, {}, now

    def comes_up(self, type_id: str, recipient_id: str, limit: Cap) -> bool:
        """Whether events are frequent enough that the limit may be reached; the event is remembered either way."""
        key = hash((type_id, recipient_id))  # a collision only causes a needless count
        count = self._now.get(key, 0) + 1
        self._now[key] = count
        return count + self._before.get(key, 0) > limit.most // SHARE

    def full(self, type_id: str, recipient_id: str, limit: Cap, now: int) -> tuple[int, ...]:
        """The database's counts for a person who has reached the limit and is still at it; else nothing."""
        told = self._full.get((type_id, recipient_id), ())
        return told if _within(told, limit, now) >= limit.most else ()

    def learn(self, told: Mapping[str, Mapping[str, tuple[int, ...]]], limits: Mapping[str, Cap], now: int) -> None:
        """Remember which of the counted people have reached the limit."""
        for recipient_id, by_type in told.items():
            for type_id, limit in limits.items():
                found = by_type.get(of_type(type_id), ())
                if _within(found, limit, now) >= limit.most:
                    self._full[type_id, recipient_id] = found


def _within(told: tuple[int, ...], limit: Cap, now: int) -> int:
    return sum(now - limit.milliseconds < at <= now for at in told)
