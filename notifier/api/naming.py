"""How requests name an event: by our id, or by its source and the id given there."""

import msgspec

from notifier.domain.cloudevents import Line
from notifier.domain.identifiers import Id
from notifier.domain.keys import Bounds
from notifier.domain.problems import problem
from notifier.store.core.database import Database
from notifier.store.delivery import events


class EventNames(msgspec.Struct, frozen=True, kw_only=True):
    """The query parameters that name an event: `event`, its id here, or its `source` and the `id` given there."""

    event: Id | None = None
    source: Line | None = None
    id: Line | None = None

    @property
    def names(self) -> int:
        """How many events are named; raises Problem 42205 where `source` or `id` stands alone."""
        if (self.source is None) != (self.id is None):
            raise problem(
                42205, "source needs id: together they name an event", "/id" if self.id is None else "/source"
            )
        return (self.event is not None) + (self.source is not None)

    async def find(self, database: Database, bounds: Bounds) -> str | None:
        """Return the id here of the event that is named; None where none is, or its source is beyond the bounds.
        Raises Problem 42205 where it is named twice."""
        if self.names > 1:
            raise problem(42205, "give event, or source and id, to name an event", "/event")
        if self.source is None or self.id is None:
            return self.event
        if not bounds.has_source(self.source):
            return None
        return await events.find(database, self.source, self.id, test=bounds.test)
