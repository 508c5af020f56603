"""Every rule, reason and state is told in words, and none of them in a name from the code."""

from collections.abc import Iterable
from typing import Any, get_args

import pytest

from notifier import policy
from notifier.domain.channels import KnownAddresses, reachable
from notifier.domain.clock import DAY, HOUR
from notifier.domain.deliveries import Channel, Reason, State
from notifier.domain.errors import SEND_ERRORS
from notifier.domain.preferences import Defaults, Preferences, QuietHours
from notifier.domain.recipient_facts import EVERY_TYPE, RecipientFacts, of_type
from notifier.domain.regulation import Cap, Regulation, Window
from notifier.policy import Action, Case, Rule, Verdict, phrases
from notifier.policy.rules import RULES
from tests.named import EMAIL, PUSH, SMS
from tests.policy.samples import kind_of
from tests.samples import NOW

CHANNELS = [PUSH, SMS, EMAIL]
ALL = reachable(KnownAddresses(True, True, True))
NIGHT = QuietHours("22:00", "07:00")
REGULATION = Regulation(
    caps={"offers": Cap(2, "7 d")},
    per_person=Cap(3, "1 h"),
    types={"idle": Cap(2, "1 h")},
    windows={"default": Window(every="09:00-20:00"), "US-TX": Window(every="09:00-21:00", sunday="12:00-21:00")},
)


def case_of(channel: Channel = SMS, at: int = NOW, lines: dict[str, Any] | None = None, **stands: Any) -> Case:
    facts = RecipientFacts(**{"reachable": ALL, "time_zone": "Europe/Berlin", **stands})
    kind = kind_of(**(lines or {}))
    return Case(kind=kind, channel=channel, facts=facts, expires_at=NOW + DAY, at=at, regulation=REGULATION)


def told(case: Case) -> dict[str, str]:
    return {name: phrases.rule(case, name, said) for name, said in policy.trace(case)}


def is_a_sentence(text: str) -> bool:
    return text[0].isalpha() and text.endswith(".") and "_" not in text and "None" not in text and "  " not in text


def test_every_reason_and_every_kind_of_error_has_words_and_nothing_else_has() -> None:
    assert set(phrases.REASONS) == {reason.value for reason in Reason} | set(SEND_ERRORS)
    assert set(phrases.STATES) == set(State)
    for text in (*phrases.REASONS.values(), *phrases.STATES.values()):
        assert text[0].islower()
        assert not text.endswith(".")
        assert "_" not in text


def test_a_reason_that_another_version_wrote_is_told_as_it_is() -> None:
    assert phrases.reason("struck_by_lightning") == "struck by lightning"


@pytest.mark.parametrize("action", get_args(Action))
@pytest.mark.parametrize("rule", Rule)
def test_every_answer_of_every_rule_is_a_sentence(rule: Rule, action: Action) -> None:
    marketing = {"class_": "marketing", "category": "offers"}
    for channel in CHANNELS:
        for until in (None, NOW + HOUR, NOW + 20 * DAY):
            for by in (None, "fleet:acme"):
                for case in (case_of(channel), case_of(channel, lines=marketing, region="US-TX")):
                    verdict = Verdict(action, rule, Reason.STOPPED, until, by)

                    assert is_a_sentence(phrases.rule(case, "switches", verdict))


@pytest.mark.parametrize("name", [name for name, _ in RULES])
def test_a_rule_that_says_nothing_says_why_in_a_sentence(name: str) -> None:
    marketing = {"class_": "marketing", "category": "offers", "through_quiet_hours": True}
    for channel in CHANNELS:
        for case in (case_of(channel), case_of(channel, lines=marketing, preferences=Preferences(quiet_hours=NIGHT))):
            assert is_a_sentence(phrases.rule(case, name, None))


def test_no_two_rules_that_a_person_may_ask_about_say_the_same() -> None:
    said = [phrases.rule(case_of(), "switches", Verdict("suppress", rule, Reason.STOPPED)) for rule in Rule]

    assert len(set(said)) == len(said)


def cases() -> Iterable[tuple[str, Case, str]]:
    """A rule, a case, and what is read aloud."""
    night = NOW + 5 * HOUR  # 23:40 on a Monday in Berlin
    chosen = Preferences(quiet_hours=NIGHT)
    acme = ("fleet:acme", Defaults(quiet_hours=NIGHT))
    yield (
        "quiet_hours", case_of(at=night, preferences=chosen),
        "Quiet hours from 22:00 to 07:00 (chosen by the person): held until 07:00 on Tuesday, their time.",
    )  # fmt: skip
    yield (
        "quiet_hours", case_of(at=night, defaults=(acme,)),
        "Quiet hours from 22:00 to 07:00 (preset by fleet:acme): held until 07:00 on Tuesday, their time.",
    )  # fmt: skip
    yield (
        "quiet_hours", case_of(preferences=chosen),
        "Quiet hours from 22:00 to 07:00 (chosen by the person), and it is 18:40.",
    )  # fmt: skip
    yield (
        "switches", case_of(preferences=Preferences(switches={"charging": {"sms": False}})),
        "The person switched charging messages by SMS off: not sent.",
    )  # fmt: skip
    locked = Defaults(locked={"charging": ["sms"]})
    yield (
        "switches", case_of(defaults=(("network", locked),), preferences=Preferences(categories={"charging": False})),
        "network locked charging messages by SMS as on: the person's choice doesn't apply.",
    )  # fmt: skip
    offers = {"class_": "marketing", "category": "offers"}
    yield (
        "legal_window", case_of(at=night, lines=offers, region="US-TX", time_zone="America/Chicago"),
        "Marketing may be sent from 09:00 to 21:00 on a Monday in US-TX, and it is 17:40.",
    )  # fmt: skip
    yield (
        "cap", case_of(lines=offers, sends_in_window={"offers": (NOW - DAY, NOW - HOUR, NOW - 8 * DAY)}),
        "The person has had 2 of 2 within 7 d of offers messages, which is the limit: not sent.",
    )  # fmt: skip
    often = {of_type("idle"): (NOW - HOUR, NOW - 1, NOW)}
    yield (
        "cap", case_of(sends_in_window=often),
        "This type has notified the person 2 times within 1 h, which is its limit: not sent.",
    )  # fmt: skip
    yield (
        "cap", case_of(at=NOW + HOUR, sends_in_window=often),
        "This type may notify the person 2 times within 1 h, and that limit is not reached.",
    )  # fmt: skip
    everything = {of_type(EVERY_TYPE): (NOW - HOUR, *range(NOW - 3, NOW))}
    yield (
        "cap", case_of(lines={"id": "no-limit"}, sends_in_window=everything),
        "The person has been notified 3 times within 1 h by all types together, which is the limit: not sent.",
    )  # fmt: skip
    yield (
        "cap", case_of(at=NOW + HOUR, lines={"id": "no-limit"}, sends_in_window=everything),
        "The person may be notified 3 times within 1 h by all types together, and that limit is not reached.",
    )  # fmt: skip
    yield (
        "suppression", case_of(suppressed={"sms": "stopped"}),
        "The phone number is suppressed (the person wrote STOP and has not written START since): not sent.",
    )  # fmt: skip
    yield "address", case_of(PUSH, reachable=frozenset()), "There is no device: not sent."


@pytest.mark.parametrize(("name", "case", "sentence"), list(cases()))
def test_what_is_read_aloud(name: str, case: Case, sentence: str) -> None:
    assert told(case)[name] == sentence


def test_an_answer_tells_its_day_by_weekday_within_the_week_and_by_date_after_it() -> None:
    soon = phrases.answer(State.PENDING, Reason.QUIET_HOURS, NOW + DAY, NOW, "UTC")
    late = phrases.answer(State.PENDING, Reason.OVER_CAP, NOW + 7 * DAY, NOW, "UTC")

    assert soon == "held until 17:40 on Tuesday, their time: the person has quiet hours"
    assert "17:40 on Monday 2026-03-16" in late
    assert phrases.answer(State.PENDING, None, NOW, NOW, "UTC") == "to be sent immediately"
    assert phrases.answer(State.SUPPRESSED, "stopped", NOW, NOW, "UTC").startswith("not sent: the person wrote STOP")
