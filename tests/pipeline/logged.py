"""The log of changes beside the deliveries that it tells of."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from notifier.domain.changes import TOLD, Change, Place
from notifier.domain.deliveries import MOVES, State
from notifier.store.core.database import Database
from notifier.store.reading import changes


class Logged:
    """What the log has told so far, and how the deliveries stood then."""

    def __init__(self) -> None:
        self._place: Place = (1,)
        self._stood: dict[str, tuple[Any, ...]] = {}
        self._last: dict[str, Change] = {}

    async def catch_up(self, database: Database, deliveries: Iterable[Any]) -> None:
        """Read on, and hold what is new against the deliveries as they are now."""
        new: defaultdict[str, list[Change]] = defaultdict(list)
        more = True
        while more:
            stretch = await changes.read(database, self._place, 7)
            self._place, more = stretch.end, stretch.more
            for each in stretch.changes:
                new[each.change.delivery_id].append(each.change)
        for row in deliveries:
            self._hold(row, new.pop(row.id, []))
        assert not new, "what is told is of a delivery"

    def _hold(self, row: Any, told: list[Change]) -> None:
        stands = (row.state, row.attempts, row.updated_at)
        before = self._stood.get(row.id)
        self._stood[row.id] = stands
        if before is not None and before[0] == row.state and before[1] == row.attempts:
            assert not told, f"{row.state} is told again"
        elif row.state in TOLD:
            assert told, f"{row.state} is not told"
            assert (told[-1].state, told[-1].attempts) == (row.state, row.attempts)
        for change in told:
            last = self._last.get(row.id)
            assert last is None or State.PENDING in MOVES[last.state] or change.state in MOVES[last.state]
            self._last[row.id] = change
