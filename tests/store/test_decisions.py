"""The short form of decisions: nothing that was decided is lost in it."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.clock import DAY, HOUR
from notifier.domain.deliveries import CHANNELS, Channel, Reason, State
from notifier.domain.preferences import Defaults, Preferences, QuietHours
from notifier.domain.recipient_facts import RecipientFacts, facts_shown, of_type, read_facts
from notifier.policy import Rule
from notifier.store.delivery.decisions import Decision, answers_told, facts_told, stored
from tests.named import EMAIL, PUSH, SMS
from tests.samples import NOW

TYPE = "payment-failed"
ID = "3f" * 16

CATEGORIES = st.sampled_from(["charging", "billing", "offers"])
NAMES = st.sampled_from(CHANNELS)
SWITCHES = st.dictionaries(NAMES, st.booleans(), max_size=2)
MOMENTS = st.integers(NOW - 40 * DAY, NOW + DAY)
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "channels": SWITCHES,
    "categories": st.dictionaries(CATEGORIES, st.booleans(), max_size=2),
    "switches": st.dictionaries(CATEGORIES, SWITCHES, max_size=2),
    "quiet_hours": st.none() | st.just(QuietHours("22:00", "07:00")),
    "digests": st.dictionaries(CATEGORIES, st.sampled_from(["at_once", "hourly", "daily"]), max_size=2),
}
PREFERENCES = st.builds(
    Preferences, **CHOICES, everything=st.booleans(), locale=st.none() | st.just("fr"),
    time_zone=st.none() | st.just("Asia/Kathmandu"),
)  # fmt: skip
PRESETS = st.builds(Defaults, **CHOICES, locked=st.dictionaries(CATEGORIES, st.lists(NAMES, max_size=2), max_size=2))
FACTS = st.builds(
    RecipientFacts,
    preferences=st.just(Preferences()) | PREFERENCES,
    defaults=st.lists(st.tuples(st.sampled_from(["fleet:acme", "network"]), PRESETS), max_size=2).map(tuple),
    consents=st.dictionaries(CATEGORIES, SWITCHES, max_size=2),
    suppressed=st.dictionaries(NAMES, st.sampled_from(["stopped", "bounced"]), max_size=2),
    region=st.none() | st.just("US-FL"),
    locale=st.sampled_from(["en", "de-AT"]),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    reachable=st.frozensets(st.sampled_from(Channel), max_size=3),
    sends_in_window=st.dictionaries(
        st.sampled_from(["offers", of_type(TYPE), of_type("offer")]), st.lists(MOMENTS, max_size=2).map(tuple)
    ),
)
ANSWERS = st.fixed_dictionaries(
    {
        "channel": st.sampled_from(Channel), "answer": st.sampled_from(State), "due_at": st.just(NOW) | MOMENTS,
        "reason": st.none() | st.sampled_from(Reason), "rule": st.sampled_from(Rule), "delivery": st.just(ID),
    },
    optional={"by": st.sampled_from(["network", "default"])},
)  # fmt: skip


def row_of(answers: list[dict[str, Any]], facts: RecipientFacts | None) -> Any:
    """The row of a decision, its documents as the store has them."""
    made = Decision(event_id=ID, type=TYPE, recipient_id="ada", decided_at=NOW, answers=answers, standing=facts)
    (columns,) = stored([made])
    documents = {name: columns[name] for name in ("answers", "standing") if columns[name] is not None}
    written = {name: msgspec.json.encode(document).decode() for name, document in documents.items()}
    return SimpleNamespace(**columns | written)


def answer(**told: Any) -> dict[str, Any]:
    given = {
        "channel": PUSH, "answer": State.PENDING, "reason": None, "due_at": NOW, "rule": Rule.TYPE, "delivery": ID,
    }  # fmt: skip
    return given | told


def in_order(shown: dict[str, Any]) -> dict[str, Any]:
    """Facts as they are shown, their channels, which have no order, in one."""
    return shown | {"reachable": sorted(shown.get("reachable", ()))}


@given(st.lists(ANSWERS, max_size=4))
def test_answers_are_read_as_they_were_decided(answers: list[dict[str, Any]]) -> None:
    assert answers_told(row_of(answers, None)) == answers


@given(FACTS)
def test_facts_are_read_as_they_were(facts: RecipientFacts) -> None:
    told = facts_told(row_of([], facts))

    assert told is not None
    assert read_facts(told) == facts
    assert in_order(told) == in_order(msgspec.json.decode(msgspec.json.encode(facts_shown(facts))))


@pytest.mark.parametrize(
    ("told", "document"),
    [
        (answer(), f'[["push","{ID}"]]'),
        (
            answer(channel=EMAIL, answer=State.SUPPRESSED, rule=Rule.ADDRESS, reason=Reason.NO_ADDRESS),
            f'[["email","{ID}","suppressed","address","no_address"]]',
        ),
        (answer(channel=SMS, due_at=NOW + HOUR), f'[["sms","{ID}","pending","type_default",null,3600000]]'),
        (
            answer(rule=Rule.LEGAL_WINDOW, reason=Reason.LEGAL_WINDOW, due_at=NOW + HOUR, by="default"),
            f'[["push","{ID}","pending","legal_window","legal_window",3600000,"default"]]',
        ),
    ],
)
def test_what_rows_leave_out_of_an_answer_stays_so(told: dict[str, Any], document: str) -> None:
    # Rows of years are read by it: whoever has to change a line here migrates them
    assert row_of([told], None).answers == document


@pytest.mark.parametrize(
    ("facts", "document"),
    [
        (None, None),
        (RecipientFacts(), "[]"),
        (RecipientFacts(locale="de"), '["de"]'),
        (
            RecipientFacts(
                time_zone="Europe/Berlin", reachable=frozenset({"push"}), region="DE",
                consents={"offers": {"email": True}}, suppressed={"sms": "stopped"},
                sends_in_window={of_type(TYPE): (NOW - HOUR,), "offers": ()},
            ),
            ('["en","Europe/Berlin",["push"],{"consents":{"offers":{"email":true}},"suppressed":{"sms":"stopped"},'
            '"region":"DE","spent":{"type:":[-3600000],"offers":[]}}]'),
        ),
        (
            RecipientFacts(
                preferences=Preferences(quiet_hours=QuietHours("22:00", "07:00"), everything=False),
                defaults=(("network", Defaults(locked={"billing": []})), ("fleet:acme", Defaults())),
            ),
            ('["en","UTC",[],{"preferences":{"quiet_hours":{"from":"22:00","until":"07:00"},"everything":false},'
            '"defaults":[["network",{"locked":{"billing":[]}}],["fleet:acme",{}]]}]'),
        ),
    ],
)  # fmt: skip
def test_what_rows_leave_out_of_facts_stays_so(facts: RecipientFacts | None, document: str | None) -> None:
    assert row_of([], facts).standing == document


def test_what_a_newer_release_adds_is_told_or_passed_over() -> None:
    row = SimpleNamespace(
        type=TYPE, decided_at=NOW, answers=f'[["push","{ID}","pending","type_default",null,0,"network","new"]]',
        standing='["en","UTC",["pigeon"],{"preferences":{"channels":{"pigeon":false}},"mood":"good"},"new"]',
    )  # fmt: skip

    assert answers_told(row) == [answer(by="network")]
    told = facts_told(row)
    assert told is not None
    assert (told["mood"], told["preferences"]["channels"]) == ("good", {"pigeon": False})
    assert read_facts(told) == RecipientFacts(reachable=frozenset({"pigeon"}))


def test_a_null_of_mariadbs_is_nobody() -> None:
    assert facts_told(SimpleNamespace(standing="null")) is None
