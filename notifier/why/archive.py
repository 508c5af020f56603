"""Archive: events with all that belongs to them, one JSON object a line, in pieces, since a campaign's event may have a
million deliveries."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec

from notifier.domain.clock import to_datetime
from notifier.domain.trace_context import parted
from notifier.store.core.ageing import BEGINNING, Place
from notifier.store.core.database import Database
from notifier.store.delivery.decisions import answers_told, facts_told
from notifier.store.reading import archive as store
from notifier.store.reading.archive import Key
from notifier.store.reading.tries import ATTEMPT

Line = tuple[str, bytes]
"""The id of an event, and something that belongs to it, as JSON."""


async def archive(database: Database, before: int) -> AsyncIterator[bytes]:
    """The events accepted before an instant as pieces of NDJSON, the oldest pages first. A piece that ends with a line
    break ends an event.

    Nothing is locked; what is still open is as it stands. What an erasure or retention has blanked is blank here too.
    """
    place = BEGINNING
    while found := await store.events(database, place, before):
        place = Place(found[-1].accepted_at, found[-1].id)
        page = sorted(found, key=lambda row: row.id)  # as what belongs to them comes
        ids = [row.id for row in page]
        deliveries = _Together(_pages(database, ids, _sent, ("", "")))
        decisions = _Together(_pages(database, ids, _decided, ("", "", "")))
        for row in page:
            yield msgspec.json.encode(_event(row))[:-1]
            for name, belonging in (("deliveries", deliveries), ("decisions", decisions)):
                yield b',"%b":[' % name.encode()
                async for piece in belonging.of(row.id):
                    yield piece
                yield b"]"
            yield b"}\n"


class _Together:
    """Lines in the order of their events, given out event by event."""

    def __init__(self, pages: AsyncIterator[list[Line]]) -> None:
        self._pages = pages
        self._page: Iterator[Line] = iter(())
        self._next: Line | None = None
        self._ended = False

    async def of(self, event_id: str) -> AsyncIterator[bytes]:
        """The lines of one event, a comma between them; events are asked for in order."""
        comma = b""
        while (line := await self._look()) is not None and line[0] == event_id:
            yield comma + line[1]
            self._next, comma = None, b","

    async def _look(self) -> Line | None:
        while self._next is None and not self._ended:
            self._next = next(self._page, None)
            if self._next is None:
                page = await anext(self._pages, None)
                self._page, self._ended = iter(page or ()), page is None
        return self._next


Read = Callable[[Database, Sequence[str], Key], Awaitable[tuple[list[Line], Key | None]]]
"""A page of what belongs to these events, and the key of its last row, None where there is none."""


async def _pages(database: Database, ids: Sequence[str], read: Read, after: Key) -> AsyncIterator[list[Line]]:
    last: Key | None = after
    while last is not None:
        lines, last = await read(database, [id_ for id_ in ids if last is None or id_ >= last[0]], last)
        yield lines


async def _sent(database: Database, ids: Sequence[str], after: Key) -> tuple[list[Line], Key | None]:
    found, tried = await store.deliveries(database, ids, after)
    lines = [(row.event_id, msgspec.json.encode(_delivery(row, tried[row.id]))) for row in found]
    return lines, (found[-1].event_id, found[-1].id) if found else None


async def _decided(database: Database, ids: Sequence[str], after: Key) -> tuple[list[Line], Key | None]:
    found = await store.decisions(database, ids, after)
    lines = [(row.event_id, msgspec.json.encode(_decision(row))) for row in found]
    return lines, (found[-1].event_id, found[-1].type, found[-1].recipient_id) if found else None


def _event(row: Any) -> dict[str, Any]:
    return {
        **_told(row, store.EVENT),
        "data": msgspec.Raw(msgspec.json.format(parted(row.data)[0].encode(), indent=-1)),
    }


def _delivery(row: Any, tried: Sequence[Any]) -> dict[str, Any]:
    return {**_told(row, store.OF_DELIVERY), "attempts": [_told(each, ATTEMPT) for each in tried]}


def _decision(row: Any) -> dict[str, Any]:
    return {
        **_told(row, store.OF_DECISION),
        "answers": answers_told(row),
        "standing": facts_told(row),
    }


def _told(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """The columns of a row, its instants in RFC 3339."""
    given = {name: getattr(row, name) for name in names}
    return {
        name: to_datetime(value) if name.endswith("_at") and value is not None else value
        for name, value in given.items()
    }
