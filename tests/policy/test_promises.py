"""What must never happen, whoever it is, whenever it is, whatever they chose."""

from datetime import datetime, time, timedelta
from typing import Any, get_args

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from notifier import policy
from notifier.domain.catalog import Catalog, Class, NotificationType
from notifier.domain.clock import DAY, HOUR, SECOND
from notifier.domain.deliveries import Reason, State
from notifier.domain.events import Event
from notifier.domain.preferences import Defaults, Preferences, QuietHours
from notifier.domain.recipients import Recipient
from notifier.domain.regulation import Cap, Regulation, Window
from notifier.pipeline.plan import make_plan
from notifier.policy import Case, judge, trace
from notifier.policy.hours import local, next_free
from notifier.policy.rules import RULES
from tests.named import SMS
from tests.policy.samples import CHANNELS, event_of, kind_of, person_of
from tests.samples import NOW

ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ]
)
YEAR = 365 * DAY
INSTANTS = st.integers(NOW - YEAR // SECOND * SECOND, NOW + YEAR).map(lambda at: at // SECOND * SECOND)
CATEGORIES = ["charging", "offers"]
NAMES = st.sampled_from(["push", "sms", "email"])
CLOCK = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
QUIET = st.none() | st.builds(QuietHours, CLOCK, CLOCK)
CHOICES: dict[str, Any] = {
    "channels": st.dictionaries(NAMES, st.booleans()),
    "categories": st.dictionaries(st.sampled_from(CATEGORIES), st.booleans()),
    "switches": st.dictionaries(st.sampled_from(CATEGORIES), st.dictionaries(NAMES, st.booleans())),
    "quiet_hours": QUIET,
}
PREFERENCES = st.builds(Preferences, **CHOICES, everything=st.sampled_from([True, True, True, False]))
DEFAULTS = st.builds(Defaults, **CHOICES, locked=st.dictionaries(st.sampled_from(CATEGORIES), st.lists(NAMES)))
REGULATIONS = st.builds(
    Regulation,
    caps=st.dictionaries(
        st.sampled_from(CATEGORIES), st.builds(Cap, st.integers(1, 3), st.sampled_from(["1 h", "7 d"]))
    ),
    windows=st.just(
        {"default": Window(every="09:00-20:00", sunday="12:00-20:00"), "US-*": Window(every="08:00-21:00")}
    ),
)
KINDS = st.builds(
    kind_of,
    class_=st.sampled_from(get_args(Class)),
    category=st.sampled_from(CATEGORIES),
    channels=st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True).map(tuple),
    time_to_live=st.sampled_from(["5 min", "1 h", "24 h", "30 d"]),
    over_cap=st.sampled_from(["suppress", "hold"]),
    fallback=st.sampled_from([None, "60 s"]),
    escalation=st.sampled_from([None, "10 min"]),
    through_quiet_hours=st.booleans(),
    off_by_default=st.sampled_from([(), (SMS,)]),
)
PEOPLE = st.builds(
    person_of,
    email=st.sampled_from([None, "ada@example.com"]),
    phone=st.sampled_from([None, "+4915123456789"]),
    devices=st.integers(0, 2),
    preferences=PREFERENCES,
    defaults=st.lists(st.tuples(st.sampled_from(["fleet:a", "network"]), DEFAULTS), max_size=2).map(tuple),
    consents=st.dictionaries(st.sampled_from(CATEGORIES), st.dictionaries(NAMES, st.booleans())),
    suppressed=st.dictionaries(
        st.sampled_from(["sms", "email"]), st.sampled_from(["stopped", "bounced", "bad_number"])
    ),
    region=st.sampled_from([None, "DE", "US", "US-CA"]),
    time_zone=ZONES,
    sends_in_window=st.dictionaries(
        st.sampled_from(CATEGORIES), st.lists(st.integers(NOW - 8 * DAY, NOW), max_size=4).map(tuple)
    ),
)
AGES = st.integers(0, 2 * DAY // SECOND).map(lambda seconds: seconds * SECOND)


class Given(msgspec.Struct):
    """One situation."""

    kind: NotificationType
    person: Recipient
    now: int
    event: Event
    regulation: Regulation
    turn: int


SITUATIONS = st.builds(
    lambda kind, person, now, age, regulation, turn: Given(
        kind, person, now, event_of(now - age, now - age), regulation, turn
    ),
    KINDS, PEOPLE, INSTANTS, AGES, REGULATIONS, st.integers(0, 2),
)  # fmt: skip


def going_out(given_: Given) -> list[policy.ChannelAnswer]:
    answers = policy.decide(given_.kind, given_.event, given_.person, given_.now, given_.regulation, given_.turn)
    return [answer for answer in answers if answer.state == State.PENDING]


@given(SITUATIONS)
def test_no_marketing_without_consent(case: Given) -> None:
    if case.kind.class_ == "marketing":
        for answer in going_out(case):
            assert case.person.facts.consents[case.kind.category][answer.channel] is True


@given(SITUATIONS)
def test_nothing_to_a_number_or_mailbox_that_is_stopped_bounced_or_bad(case: Given) -> None:
    assert not {answer.channel for answer in going_out(case)} & set(case.person.facts.suppressed)


@given(SITUATIONS)
def test_nothing_after_its_time_to_live_and_nothing_before_now(case: Given) -> None:
    for answer in going_out(case):
        assert case.now <= answer.due_at < case.event.starts_at + case.kind.ttl


@given(SITUATIONS)
def test_nothing_within_quiet_hours_or_outside_a_legal_window(case: Given) -> None:
    facts = case.person.facts
    for answer in going_out(case):
        if case.kind.class_ == "security" or (case.kind.step and answer.step) or case.turn:
            continue  # a later step is asked again when its turn comes
        shown = local(answer.due_at, facts.zone)
        quiet = facts.preferences.quiet_hours or next((d.quiet_hours for _, d in facts.defaults if d.quiet_hours), None)
        assert case.kind.through_quiet_hours or quiet is None or not quiet.hold(shown.time())
        if case.kind.class_ == "marketing":
            assert case.regulation.window(facts.region)[1].open_at(shown)


@given(SITUATIONS)
def test_just_before_the_wire_the_same_rules_let_out_what_they_held_until_then(case: Given) -> None:
    for answer in going_out(case):
        again = Case(
            kind=case.kind, channel=answer.channel, facts=case.person.facts, at=answer.due_at,
            expires_at=case.event.starts_at + case.kind.ttl, regulation=case.regulation, counted=False,
        )  # fmt: skip
        verdict = judge(again)
        waits = (case.kind.step and answer.step) or (case.kind.turn and case.turn)
        assert verdict.action == "send" or waits


@given(SITUATIONS)
def test_a_switch_that_is_off_is_off_unless_the_message_is_mandatory_or_the_row_locked(case: Given) -> None:
    facts = case.person.facts
    for answer in going_out(case):
        locked = any(defaults.locks(case.kind.category, answer.channel) for _, defaults in facts.defaults)
        cell = facts.preferences.switches.get(case.kind.category, {}).get(answer.channel.value)
        assert (
            case.kind.is_mandatory_on(answer.channel) or locked or (facts.preferences.everything and cell is not False)
        )


@given(SITUATIONS)
def test_every_channel_is_answered_once_and_every_refusal_has_a_reason(case: Given) -> None:
    answers = policy.decide(case.kind, case.event, case.person, case.now, case.regulation, case.turn)

    assert list(dict.fromkeys(answer.channel for answer in answers)) == list(case.kind.channels)
    assert len({(answer.channel, answer.target) for answer in answers}) == len(answers)
    assert all(answer.reason for answer in answers if answer.state != State.PENDING or answer.due_at > case.now)


@given(SITUATIONS)
def test_the_trace_names_every_rule_and_the_first_that_speaks_is_the_one_that_decided(case: Given) -> None:
    asked = Case(
        kind=case.kind, channel=case.kind.channels[0], facts=case.person.facts, at=case.now,
        expires_at=case.event.starts_at + case.kind.ttl, regulation=case.regulation,
    )  # fmt: skip

    told = list(trace(asked))

    assert [name for name, _ in told] == [name for name, _ in RULES]
    first = next((verdict for _, verdict in told if verdict is not None), None)
    verdict = judge(asked)
    if first is None or first.action == "send":
        assert verdict.action == "send"
    elif first.action != "hold":
        assert verdict == first
    else:
        assert verdict.action in ("hold", "expire", "suppress")


@given(SITUATIONS, st.integers(1, 6))
def test_a_cap_is_never_passed_however_many_events_come_together(case: Given, count: int) -> None:
    cap = case.regulation.caps.get(case.kind.category)
    assume(cap is not None)
    assert cap is not None
    catalog = Catalog([msgspec.structs.replace(case.kind, over_cap="suppress", escalation=None)], case.regulation)
    events = [
        event_of(case.now - n, case.now - n, id_=str(n), session_id=str(n), driver_id="ada") for n in range(count)
    ]
    before = {"ada": dict(case.person.facts.sends_in_window)}
    recent = [at for at in before["ada"].get(case.kind.category, ()) if at > case.now - cap.milliseconds]

    plan = make_plan(catalog, events, {"driver:ada": [case.person]}, case.now, before)

    told = {row.event_id for row in plan.deliveries.values() if row.state == State.PENDING}
    assert case.kind.class_ == "security" or len(told) <= max(cap.most - len(recent), 0)


@given(SITUATIONS)
def test_two_events_alike_are_told_once(case: Given) -> None:
    catalog = Catalog([case.kind], case.regulation)
    events = [event_of(case.now, case.now, id_=name, driver_id="ada") for name in ("first", "second")]

    plan = make_plan(catalog, events, {"driver:ada": [case.person]}, case.now, {})

    assert {row.event_id for row in plan.deliveries.values()} == {"first"}


@given(INSTANTS, ZONES, st.builds(QuietHours, CLOCK, CLOCK))
def test_a_hold_ends_at_the_first_minute_that_is_free(instant: int, zone: str, quiet: QuietHours) -> None:
    free = next_free(instant, zone, lambda shown: quiet.hold(shown.time()), [time.fromisoformat(quiet.ends)])

    assert free is not None
    assert not quiet.hold(local(free, zone).time())
    assert free - instant <= DAY + 2 * HOUR
    if free > instant:
        assert quiet.hold(local(free - SECOND, zone).time())
        for minutes in range(0, (free - instant) // 60_000, 7):
            shown = local(instant + minutes * 60_000, zone)
            assert quiet.hold(shown.time()) or shown.fold or _shifts(shown)


def _shifts(shown: datetime) -> bool:
    """Whether the clocks change within some hours, where the same time comes twice."""
    return len({(shown + timedelta(hours=hours)).utcoffset() for hours in (-30, 0, 30)}) > 1


@given(SITUATIONS)
def test_reasons_are_those_that_the_books_know(case: Given) -> None:
    for answer in policy.decide(case.kind, case.event, case.person, case.now, case.regulation, case.turn):
        assert answer.reason is None or answer.reason in set(Reason)
