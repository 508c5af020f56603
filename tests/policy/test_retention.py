"""What may go at an instant: for every policy, nothing that somebody may still need."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.clock import DAY, HOUR
from notifier.domain.regulation import Regulation
from notifier.domain.retention import BY_CLASS, CLASSES, FOREVER, NOT_LONGER, ClassRetention, Part, Retention
from notifier.policy.retention import AFTERWARDS, Removal, removals
from tests.policy.samples import kind_of
from tests.samples import NOW

EVENTS = ("one", "two", "three")
LONGEST = 2000  # days; more are for ever here


def kinds(classes: Mapping[str, list[str]]) -> list[NotificationType]:
    """A type for each class that listens to each event."""
    return [
        kind_of(id=f"{event}-{number}-{class_}", event=event, class_=class_)
        for event, listening in classes.items()
        for number, class_ in enumerate(listening)
    ]


def told(days: int) -> str:
    return FOREVER if days > LONGEST else f"{days} d"


DAYS = st.integers(7, LONGEST + 200)


@st.composite
def periods(draw: st.DrawFn) -> dict[str, str]:
    """Periods of what belongs to events that fit each other."""
    shortest, *between, longest = sorted(draw(st.lists(DAYS, min_size=4, max_size=4)))
    decisions, deliveries = draw(st.permutations(between))
    days = {"data": shortest, "decisions": decisions, "deliveries": deliveries, "events": longest}
    return {name: told(each) for name, each in days.items()}


@st.composite
def policies(draw: st.DrawFn) -> Retention:
    """Any periods, and some classes with periods of their own."""
    others = {part.value: told(draw(DAYS)) for part in Part if part not in BY_CLASS}
    own = draw(st.dictionaries(st.sampled_from(CLASSES), periods().map(lambda each: ClassRetention(**each))))
    usual = draw(periods())
    deliveries = [usual["deliveries"], *(each.deliveries for each in own.values())]
    shortest = min(LONGEST + 200 if each == FOREVER else int(str(each).removesuffix(" d")) for each in deliveries)
    others[Part.CHANGES] = told(draw(st.integers(7, shortest)))
    events = {usual["events"], *(each.events for each in own.values())}
    if FOREVER not in events:
        others[Part.REPEATS] = draw(st.sampled_from([FOREVER, f"{LONGEST} d"]))
    else:
        others[Part.REPEATS] = FOREVER
    kept = Retention(**usual, **others, **own)  # type: ignore[arg-type]
    kept.check(0)
    return kept


RETENTION = policies()
CLASSES_OF = st.dictionaries(st.sampled_from(EVENTS), st.lists(st.sampled_from(CLASSES), min_size=1, max_size=3))


def goes(every: list[Removal], part: Part, type_: str, at: int) -> bool:
    return any(each.part == part and each.takes(type_) and at < each.before for each in every)


@given(RETENTION, CLASSES_OF, st.sampled_from(Part), st.sampled_from([*EVENTS, "unknown"]), st.integers(0, 2500))
def test_a_row_goes_once_its_longest_period_is_over_and_no_sooner(
    kept: Retention, classes: dict[str, list[str]], part: Part, event: str, days: int
) -> None:
    """Given any policy, and types that listen to events
    When a row of an event is so many days old
    Then it goes exactly where each type that listens, or else the policy for all, has let its period pass."""
    types = kinds(classes)
    every = removals(Catalog(types, Regulation(retention=kept)), NOW)
    listening = [kind.class_ for kind in types if kind.event == event] if part in BY_CLASS else []
    if part == Part.DELIVERIES:  # a delivery is of one type
        listening = listening[:1]
    type_ = next((kind.id for kind in types if kind.event == event), event) if part == Part.DELIVERIES else event
    periods = [kept.period(part, class_) for class_ in listening] or [kept.period(part)]
    late = AFTERWARDS if part in (Part.EVENTS, Part.REPEATS) else 0

    old = days * DAY + HOUR // 2
    passed = all(each is not None and old > each + late for each in periods)

    assert goes(every, part, type_, NOW - old) is passed


@given(RETENTION, CLASSES_OF, st.sampled_from(EVENTS), st.integers(0, 2500))
def test_nothing_goes_before_what_depends_on_it(
    kept: Retention, classes: dict[str, list[str]], event: str, days: int
) -> None:
    every = removals(Catalog(kinds(classes), Regulation(retention=kept)), NOW)
    at = NOW - days * DAY

    for shorter, longer in NOT_LONGER:
        if Part.DELIVERIES not in (shorter, longer) and goes(every, longer, event, at):
            assert goes(every, shorter, event, at)


@given(RETENTION, CLASSES_OF, st.sampled_from([*EVENTS, "unknown"]))
def test_of_each_part_every_type_has_one_walk_at_most(
    kept: Retention, classes: dict[str, list[str]], event: str
) -> None:
    every = removals(Catalog(kinds(classes), Regulation(retention=kept)), NOW)

    for part in Part:
        assert sum(each.part == part and each.takes(event) for each in every) <= 1
    assert len({each.name for each in every}) == len(every)


@pytest.mark.parametrize("days", [30, 31])
def test_another_period_goes_on_where_the_one_before_has_come_to(days: int) -> None:
    (first,) = (each for each in removals(Catalog([]), NOW) if each.part == Part.DATA)
    kept = Retention(data=f"{days} d")
    (then,) = (each for each in removals(Catalog([], Regulation(retention=kept)), NOW) if each.part == Part.DATA)

    assert then.name == first.name == "data"
    assert then.before == NOW - days * DAY


def test_other_types_begin_with_the_oldest_row() -> None:
    # Given a policy that keeps marketing's data for less time
    kept = Regulation(retention=Retention(marketing=ClassRetention(data="14 d")))
    before = Catalog(kinds({"one": ["marketing"]}), kept)

    # When another event becomes marketing, then its walk and that of all others have names of their own
    after = Catalog(kinds({"one": ["marketing"], "two": ["marketing"]}), kept)
    assert {each.name for each in removals(before, NOW) if each.part == Part.DATA}.isdisjoint(
        each.name for each in removals(after, NOW) if each.part == Part.DATA
    )
