"""What makes things the same, and what an event makes untrue, for any type and moment."""

from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from notifier import policy
from notifier.domain import identifiers
from notifier.domain.catalog import AUDIENCE_FIELDS, Audience, Catalog, Class, NotificationType
from notifier.domain.deliveries import Channel, Reason
from notifier.domain.events import Event
from tests.named import SMS
from tests.policy.samples import CHANNELS, FIELDS, event_of, kind_of
from tests.samples import NOW

WORDS = st.sampled_from(["a", "b", "ab", "c", "bc", "1", "é"])
MOMENTS = st.integers(NOW - 7_200_000, NOW + 7_200_000)

KINDS = st.builds(
    kind_of,
    class_=st.sampled_from(get_args(Class)),
    category=st.sampled_from(["charging", "billing"]),
    channels=st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True).map(tuple),
    in_place=st.booleans(),
)
EVENTS = st.builds(event_of, at=MOMENTS, accepted_at=MOMENTS, id_=WORDS, session_id=WORDS, stage=WORDS)


@given(st.sampled_from(get_args(Audience)), st.dictionaries(st.sampled_from(sorted(FIELDS)), WORDS | st.none()))
def test_an_audience_is_what_the_data_names_and_nothing_else(audience: Audience, data: dict[str, Any]) -> None:
    keys = policy.audiences(kind_of(audience=audience), data)

    named = [identifiers.audience(group, data[field]) for group, field in AUDIENCE_FIELDS[audience] if data.get(field)]
    assert keys == named


@given(KINDS, EVENTS, EVENTS, WORDS, WORDS)
def test_two_events_are_one_delivery_exactly_where_they_are_the_same(
    kind: NotificationType, one: Event, other: Event, somebody: str, somebody_else: str
) -> None:
    """Given any two events, and when each collapse key was first seen
    When a delivery is made of each
    Then it is one exactly where its type takes the events for the same, and the person is."""
    same = one.id == other.id if kind.in_place else all(one.data[name] == other.data[name] for name in kind.same)
    one, other = (msgspec.structs.replace(each, first_seen={kind.id: NOW}) for each in (one, other))

    ids = [
        policy.delivery_id(kind, event, person, SMS, "") for event, person in ((one, somebody), (other, somebody_else))
    ]

    assert (ids[0] == ids[1]) == (same and somebody == somebody_else)


@given(EVENTS, st.lists(st.tuples(st.sampled_from(CHANNELS), WORDS), unique=True))
def test_every_channel_and_device_is_a_delivery_of_its_own(event: Event, targets: list[tuple[Channel, str]]) -> None:
    ids = {policy.delivery_id(kind_of(), event, "ada", channel, target) for channel, target in targets}

    assert len(ids) == len(targets)


PROGRESS = kind_of(
    id="progress",
    event="session.progress",
    in_place=True,
    cancelled_by=("session.ended",),
    supersedes=("idle",),
)
CATALOG = Catalog([kind_of(cancelled_by=("session.ended", "idle.over")), PROGRESS])


@given(MOMENTS, WORDS)
def test_an_event_cancels_the_types_that_name_it_about_the_same_thing_and_up_to_its_own_time_or_ours(
    at: int, session: str
) -> None:
    ended = event_of(type_="session.ended", at=at, session_id=session)

    marks = policy.outdates(CATALOG, ended)

    assert {(mark.subject_key, mark.until, mark.reason) for mark in marks} == {
        (policy.subject_key(CATALOG.types[name], {"session_id": session}), min(at, NOW), Reason.CANCELLED)
        for name in ("idle", "progress")
    }


@given(MOMENTS)
def test_in_place_only_what_is_older_is_replaced_while_another_type_gives_way_at_once(at: int) -> None:
    marks = policy.outdates(CATALOG, event_of(type_="session.progress", at=at))

    idle, progress = (policy.subject_key(CATALOG.types[name], {"session_id": "101"}) for name in ("idle", "progress"))
    assert {mark.subject_key: (mark.until, mark.reason) for mark in marks} == {
        idle: (min(at, NOW), Reason.SUPERSEDED),
        progress: (min(at, NOW) - 1, Reason.SUPERSEDED),
    }


def test_an_event_that_nothing_waits_for_makes_nothing_untrue() -> None:
    assert policy.outdates(CATALOG, event_of(type_="idle.warning")) == []
    assert policy.outdates(CATALOG, event_of(type_="no.such.event")) == []


@given(WORDS, WORDS)
def test_types_about_the_same_session_are_about_different_things(one: str, other: str) -> None:
    # An event may make one type's notifications untrue and leave another's standing.
    idle, progress = CATALOG.types["idle"], CATALOG.types["progress"]

    assert policy.subject_key(idle, {"session_id": one}) != policy.subject_key(progress, {"session_id": other})
    assert (policy.subject_key(idle, {"session_id": one}) == policy.subject_key(idle, {"session_id": other})) == (
        one == other
    )
