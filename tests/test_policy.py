"""Who hears of an event, for any type, person and moment."""

from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from notifier import policy
from notifier.catalog import AUDIENCE_FIELDS, Audience, Catalog, Class, Field, NotificationType
from notifier.clock import SECOND
from notifier.deliveries import Channel, Reason, State
from notifier.events import Event
from notifier.messages import Device
from notifier.recipients import Recipient, device_id
from tests.samples import NOW

CHANNELS = [Channel.PUSH, Channel.SMS, Channel.EMAIL]
WORDS = st.sampled_from(["a", "b", "ab", "c", "bc", "1", "é"])
MOMENTS = st.integers(NOW - 7_200_000, NOW + 7_200_000)

TEXT = Field(type="text", about="A name")
FIELDS = {
    "session_id": TEXT,
    "stage": TEXT,
    **dict.fromkeys(("driver_id", "token", "fleet_id", "site_id"), msgspec.structs.replace(TEXT, optional=True)),
}


def kind_of(**lines: Any) -> NotificationType:
    """A type with these lines in its file."""
    given = {
        "id": "idle",
        "name": "Idle",
        "event": "idle.warning",
        "class_": "service",
        "category": "charging",
        "audience": "driver",
        "channels": tuple(CHANNELS),
        "time_to_live": "10 min",
        "about": "session_id",
        "same": ("session_id", "stage"),
        "link": "{{ app_url }}",
        "data": FIELDS,
        "samples": (),
    }
    return NotificationType(**given | lines)


def event_of(at: int = NOW, accepted_at: int = NOW, id_: str = "e", type_: str = "idle.warning", **data: Any) -> Event:
    return Event(
        id=id_, source="s", source_id=id_, type=type_, subject=None, occurred_at=at, accepted_at=accepted_at, digest="",
        data={"session_id": "101", "stage": "1", **data},
    )  # fmt: skip


KINDS = st.builds(
    kind_of,
    class_=st.sampled_from(get_args(Class)),
    category=st.sampled_from(["charging", "billing"]),
    channels=st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True).map(tuple),
    in_place=st.booleans(),
)
EVENTS = st.builds(event_of, at=MOMENTS, accepted_at=MOMENTS, id_=WORDS, session_id=WORDS, stage=WORDS)
SWITCHES = st.dictionaries(
    st.sampled_from(["charging", "billing"]), st.dictionaries(st.sampled_from(CHANNELS), st.booleans())
)
RECIPIENTS = st.builds(
    Recipient,
    id=WORDS,
    name=st.none(),
    email=st.sampled_from([None, "ada@example.com"]),
    phone=st.sampled_from([None, "+4915123456789"]),
    locale=st.just("en"),
    time_zone=st.just("UTC"),
    devices=st.lists(st.builds(Device, value=WORDS), unique_by=lambda device: device.value, max_size=3),
    switches=SWITCHES,
)


@given(KINDS, EVENTS, RECIPIENTS, MOMENTS)
def test_every_channel_is_answered_in_the_types_order_and_push_once_a_device(
    kind: NotificationType, event: Event, recipient: Recipient, now: int
) -> None:
    answers = policy.decide(kind, event, recipient, now)

    assert list(dict.fromkeys(answer.channel for answer in answers)) == list(kind.channels)
    for channel in kind.channels:
        targets = [answer.target for answer in answers if answer.channel == channel]
        reaches_devices = channel == Channel.PUSH and recipient.devices and may_hear(kind, recipient, channel)
        assert targets == ([device_id(device) for device in recipient.devices] if reaches_devices else [""])


@given(KINDS, EVENTS, RECIPIENTS, MOMENTS)
def test_each_answer_has_the_first_reason_that_holds(
    kind: NotificationType, event: Event, recipient: Recipient, now: int
) -> None:
    has = {
        Channel.PUSH: bool(recipient.devices),
        Channel.SMS: recipient.phone is not None,
        Channel.EMAIL: recipient.email is not None,
    }

    for answer in policy.decide(kind, event, recipient, now):
        if not may_hear(kind, recipient, answer.channel):
            expected: tuple[State, Reason | None] = State.SUPPRESSED, Reason.SWITCHED_OFF
        elif not has[answer.channel]:
            expected = State.SUPPRESSED, Reason.NO_ADDRESS
        elif min(event.occurred_at, event.accepted_at) + 600 * SECOND <= now:
            expected = State.EXPIRED, Reason.EXPIRED
        else:
            expected = State.PENDING, None
        assert (answer.state, answer.reason, answer.due_at) == (*expected, now)


def may_hear(kind: NotificationType, recipient: Recipient, channel: Channel) -> bool:
    return kind.class_ == "security" or recipient.switches.get(kind.category, {}).get(channel, True)


def test_a_producers_clock_that_runs_fast_does_not_lengthen_the_time_to_live() -> None:
    # Given an event that claims to happen in an hour
    ahead = event_of(at=NOW + 3_600_000)
    recipient = Recipient(
        id="ada", name=None, email=None, phone="+4915123456789", locale="en", time_zone="UTC", devices=[], switches={}
    )

    # When it is decided ten minutes after it came in
    (answer,) = policy.decide(kind_of(channels=(Channel.SMS,)), ahead, recipient, NOW + 600 * SECOND)

    # Then its ten minutes are over
    assert answer.state == State.EXPIRED


@given(st.sampled_from(get_args(Audience)), st.dictionaries(st.sampled_from(sorted(FIELDS)), WORDS | st.none()))
def test_an_audience_is_what_the_data_names_and_nothing_else(audience: Audience, data: dict[str, Any]) -> None:
    keys = policy.audiences(kind_of(audience=audience), data)

    named = [f"{group}:{data[field]}" for group, field in AUDIENCE_FIELDS[audience] if data.get(field)]
    assert keys == named


@given(KINDS, EVENTS, EVENTS, WORDS, WORDS)
def test_two_events_are_one_delivery_exactly_where_they_are_the_same(
    kind: NotificationType, one: Event, other: Event, somebody: str, somebody_else: str
) -> None:
    same = one.id == other.id if kind.in_place else all(one.data[name] == other.data[name] for name in kind.same)

    ids = [
        policy.delivery_id(kind, event, person, Channel.SMS, "")
        for event, person in ((one, somebody), (other, somebody_else))
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

    assert {(mark.about, mark.until, mark.state) for mark in marks} == {
        (policy.about(CATALOG.types[name], {"session_id": session}), min(at, NOW), State.CANCELLED)
        for name in ("idle", "progress")
    }


@given(MOMENTS)
def test_in_place_only_what_is_older_is_replaced_while_another_type_gives_way_at_once(at: int) -> None:
    marks = policy.outdates(CATALOG, event_of(type_="session.progress", at=at))

    idle, progress = (policy.about(CATALOG.types[name], {"session_id": "101"}) for name in ("idle", "progress"))
    assert {mark.about: (mark.until, mark.state) for mark in marks} == {
        idle: (min(at, NOW), State.SUPERSEDED),
        progress: (min(at, NOW) - 1, State.SUPERSEDED),
    }


def test_an_event_that_nothing_waits_for_makes_nothing_untrue() -> None:
    assert policy.outdates(CATALOG, event_of(type_="idle.warning")) == []
    assert policy.outdates(CATALOG, event_of(type_="no.such.event")) == []


@given(WORDS, WORDS)
def test_types_about_the_same_session_are_about_different_things(one: str, other: str) -> None:
    # An event may make one type's notifications untrue and leave another's standing.
    idle, progress = CATALOG.types["idle"], CATALOG.types["progress"]

    assert policy.about(idle, {"session_id": one}) != policy.about(progress, {"session_id": other})
    assert (policy.about(idle, {"session_id": one}) == policy.about(idle, {"session_id": other})) == (one == other)
