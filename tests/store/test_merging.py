"""Pages of several buckets made one: nothing is left out, doubled or out of order, wherever each page ends."""

import random
from typing import NamedTuple

import msgspec
import pytest

from notifier.store.core import paging
from notifier.store.core.paging import Page, PageKey
from notifier.store.reading import merging


class Line(msgspec.Struct, frozen=True):
    at: int
    id: str


class Made(NamedTuple):
    event_id: str
    type: str
    recipient_id: str


def place(line: Line) -> PageKey:
    return PageKey(line.at, line.id)


def newest(lines: list[Line], after: PageKey | None, limit: int, looked_at: int, fits: str) -> Page[Line]:
    """A page as one table gives it: so many of the newest are looked through for a letter."""
    behind = sorted((each for each in lines if after is None or place(each) < after), key=place, reverse=True)
    scanned = behind[:looked_at]
    found = [each for each in scanned if fits in each.id]
    if len(found) > limit:
        return Page(rows=found[:limit], next=place(found[limit - 1]))
    cut = len(behind) > looked_at
    return Page(rows=found, next=place(scanned[-1]) if cut else None, cut=cut)


@pytest.mark.parametrize("seed", range(20))
def test_pages_newest_first_follow_each_other_through_all_buckets(seed: int) -> None:
    # Given lines in several buckets, some of one instant
    draw = random.Random(seed)  # noqa: S311 (repeatable)
    every = [Line(draw.randrange(30), f"{draw.choice('ab')}{number:03}") for number in range(80)]
    held = [every[:5], every[5:40], every[40:], []]
    fits = draw.choice(["a", "b", ""])

    # When pages are read one after the other
    found: list[Line] = []
    after: PageKey | None = None
    for _ in range(100):
        page = paging.merge([newest(part, after, 4, 7, fits) for part in held], place, 4)
        assert len(page.rows) <= 4
        assert page.cut is False or page.next is not None
        found += page.rows
        after = page.next
        if after is None:
            break

    # Then each line is there once, the newest first
    assert found == sorted((each for each in every if fits in each.id), key=place, reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_ascending_pages_follow_each_other_and_nobody_is_told_once(seed: int) -> None:
    # Given decisions of several buckets; where a bucket has nobody of a type, it says so
    draw = random.Random(seed)  # noqa: S311 (repeatable)
    held: list[list[Made]] = []
    for bucket in range(3):
        made: list[Made] = []
        for event in "123":
            for type_ in "xyz":
                people = [f"{bucket}{number}" for number in range(draw.choice([0, 0, 1, 5]))]
                made += [Made(event, type_, id_) for id_ in people or draw.choice([[""], []])]
        held.append(sorted(made))

    # When they are read by pages
    found: list[Made] = []
    after: Made | tuple[str, ...] = ("", "", "")
    for _ in range(100):
        pages = [[each for each in part if each > tuple(after)][:4] for part in held]
        ends = [tuple(page[-1]) if len(page) == 4 else None for page in pages]
        rows, end = merging.merge(pages, ends, lambda made: tuple(made))
        told = merging.told_once(rows, more=end is not None)
        found += told
        if end is None:
            break
        after = told[-1]

    # Then somebody who is told of stands for all, and else there is nobody, once
    every = sorted({made for part in held for made in part})
    some = {(made.event_id, made.type) for made in every if made.recipient_id}
    assert found == [made for made in every if made.recipient_id or (made.event_id, made.type) not in some]


def test_an_event_is_decided_once_it_is_in_each_bucket_and_put_aside_while_it_is_in_one() -> None:
    assert merging.progress([(5, None, None), (7, None, None)]) == (7, None, None)
    assert merging.progress([(5, None, None), (None, None, None)]) == (None, None, None)
    assert merging.progress([(5, None, None), (None, 6, None)]) == (None, 6, None)
    assert merging.progress([(None, 6, 9), (None, 7, None)]) == (None, 7, None)
    assert merging.progress([(None, 6, 9), (5, None, None)]) == (None, 6, 9)
