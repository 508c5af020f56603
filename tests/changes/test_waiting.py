"""Waiting for changes: who waits is told as soon as there is something, and one look serves all who do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from notifier.changes import waiting
from notifier.changes.views import ChangeFilter, Page
from notifier.changes.waiting import TooManyWait, Waiter, Waiting
from notifier.domain.changes import Place, behind
from notifier.domain.deliveries import State
from notifier.domain.keys import Bounds
from notifier.domain.twins import twin
from notifier.store.core.database import Database
from notifier.store.reading import changes as log
from tests.changes.conftest import happen

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

LONG = 60.0
"""Seconds for which nobody has to wait here."""
OTHERS = ChangeFilter(bounds=(Bounds(sources=("billing",)),))
"""What wants nothing that happens here."""


@pytest.fixture
def ending() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def those(database: Database, ending: asyncio.Event) -> AsyncIterator[Waiting]:
    """Those who wait, for whom somebody looks a hundred times a second."""
    opened = Waiting(database, ending, every=0.01)
    yield opened
    await opened.close()


def states(page: Page) -> list[str]:
    return [each.state for each in page.changes]


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that a database is asked."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def until(those: Waiting, number: int) -> None:
    """Return once so many wait."""
    while those.number < number:  # noqa: ASYNC110 (nobody else wants to know)
        await asyncio.sleep(0.001)


async def test_who_waits_is_told_as_soon_as_something_happens(database: Database, those: Waiting) -> None:
    place = await log.newest(database)
    asked = asyncio.ensure_future(those.find(Waiter("a", ChangeFilter()), place, 10, LONG))
    await until(those, 1)

    await happen(database, ("ada", State.SENT))

    page = await asked
    assert states(page) == ["sent"]
    assert behind(page.end, await log.newest(database)) == 0


async def test_who_asks_for_what_is_there_does_not_wait(database: Database, those: Waiting) -> None:
    place = await log.newest(database)
    await happen(database, ("ada", State.SENT))

    assert states(await those.find(Waiter("a", ChangeFilter()), place, 10, LONG)) == ["sent"]


async def test_who_waited_for_nothing_goes_on_behind_what_it_does_not_want(database: Database, those: Waiting) -> None:
    # Given one who wants nothing of what happens
    place = await log.newest(database)
    asked = asyncio.ensure_future(those.find(Waiter("a", OTHERS), place, 10, 1.0))
    await until(those, 1)
    await happen(database, ("ada", State.SENT), ("bea", State.SENT))

    page = await asked

    # Then it is told nothing, and needn't read that again
    assert (states(page), page.more) == ([], False)
    assert behind(page.end, await log.newest(database)) == 0


@on_sqlite
async def test_who_waits_for_tests_or_for_what_is_none_is_told_of_its_own(database: Database, those: Waiting) -> None:
    # Given a test key and another one, which wait
    place = await log.newest(database)
    asked = {
        test: asyncio.ensure_future(
            those.find(Waiter(f"{test}", ChangeFilter(bounds=(Bounds(test=test),))), place, 10, LONG)
        )
        for test in (True, False)
    }
    await until(those, 2)

    # When a test ends, and then something else
    await happen(database, ("ada", State.SENT), type_=twin("charging.complete"))
    tested = await asked[True]
    assert not asked[False].done()
    await happen(database, ("bea", State.FAILED))

    # Then each hears of its own
    assert (states(tested), states(await asked[False])) == (["sent"], ["failed"])


async def test_what_happens_at_any_moment_is_told_once_to_who_asks_again_and_again(
    database: Database, those: Waiting
) -> None:
    # Given readers who want all, or the half, while things happen
    begin, people = await log.newest(database), [f"p{number}" for number in range(30)]
    wanted = [ChangeFilter(), ChangeFilter(states=frozenset({"delivered"})), ChangeFilter()]

    async def read(number: int, filter_: ChangeFilter) -> list[str]:
        place: Place = begin
        found: list[str] = []
        while len(found) < len(people) * (1 if filter_.states else 2):
            page = await those.find(Waiter(str(number), filter_), place, 3, LONG)
            found += [f"{each.recipient} {each.state}" for each in page.changes]
            place = page.end
        return found

    async def write() -> None:
        for person in people:
            await happen(database, (person, State.SENT), (person, State.DELIVERED))

    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        readers = [group.create_task(read(*each)) for each in enumerate(wanted)]
        group.create_task(write())

    # Then each has all that it wants, once
    for reader, filter_ in zip(readers, wanted, strict=True):
        told = ("delivered",) if filter_.states else ("sent", "delivered")
        assert sorted(reader.result()) == sorted(f"{person} {state}" for person in people for state in told)


async def test_one_look_serves_all_who_wait(database: Database, those: Waiting) -> None:
    async def asked_while_waiting(number: int) -> int:
        """How often the database is asked while so many wait, and something happens that nobody wants."""
        place = await log.newest(database)
        waiters = [Waiter(str(at // 10), OTHERS) for at in range(number)]
        crowd = [asyncio.ensure_future(those.find(each, place, 10, LONG)) for each in waiters]
        await until(those, number)
        with counted(database) as asked:
            await happen(database, (f"of {number}", State.SENT))
            end = await log.newest(database)
            while any(behind(each.place, end) for each in waiters):  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.001)
            for each in waiters:
                each.leave()
            await asyncio.gather(*crowd)
        return len(asked)

    # Then what a hundred cost is what one costs, within the looks that there is time for
    one, hundred = await asked_while_waiting(1), await asked_while_waiting(100)
    assert 0 < hundred < 3 * one


@on_sqlite
async def test_a_key_and_a_process_have_so_many_places(
    database: Database, those: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST", 3)
    monkeypatch.setattr(waiting, "MOST_OF_ONE", 2)
    place = await log.newest(database)

    async def ask(whose: str) -> Page:
        return await those.find(Waiter(whose, ChangeFilter()), place, 10, LONG)

    crowd = [asyncio.ensure_future(ask(whose)) for whose in ("a", "a", "b")]
    await until(those, 3)

    # When another of the same key asks, or of any; then it is refused, and those who wait go on
    for whose in ("a", "c"):
        with pytest.raises(TooManyWait):
            await ask(whose)
    await happen(database, ("ada", State.SENT))
    assert all(states(page) == ["sent"] for page in await asyncio.gather(*crowd))

    # And who asks for what is there needs no place
    monkeypatch.setattr(waiting, "MOST", 0)
    assert states(await ask("a")) == ["sent"]


@on_sqlite
async def test_who_waits_is_answered_when_the_process_ends_and_nobody_waits_then(
    database: Database, those: Waiting, ending: asyncio.Event
) -> None:
    place = await log.newest(database)
    asked = asyncio.ensure_future(those.find(Waiter("a", ChangeFilter()), place, 10, LONG))
    await until(those, 1)

    ending.set()

    assert (await asked).changes == []
    assert (await those.find(Waiter("a", ChangeFilter()), place, 10, LONG)).end == place


@on_sqlite
async def test_who_has_left_takes_no_place_any_more_and_nobody_looks_once_all_have(
    database: Database, those: Waiting
) -> None:
    waiter = Waiter("a", ChangeFilter())
    asked = asyncio.ensure_future(those.find(waiter, await log.newest(database), 10, LONG))
    await until(those, 1)

    waiter.leave()

    assert (await asked).changes == []
    looking = [task for task in asyncio.all_tasks() if task.get_name() == "changes.waiting"]
    await asyncio.wait_for(asyncio.gather(*looking), 5)
