"""STOP in a person's own words: heeded where it can mean nothing else, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.sms.inbound import AROUND_STOP, MAX_WORDS, IncomingText, Keyword, read_word
from tests.channels import canary

NEGATIONS = [
    "don't",
    "dont",
    "do not",
    "not",
    "never",
    "no",
    "won't",
    "nicht",
    "kein",
    "ne",
    "pas",
    "unless",
    "without",
]
ABOUT_CHARGING = [
    "charging",
    "it",
    "this",
    "now",
    "session",
    "charge",
    "car",
    "the charger",
    "when",
    "at 80",
    "if",
    "fee",
]


def word(body: str) -> Keyword | None:
    return read_word(IncomingText(number=canary.PHONE, body=body))


@pytest.mark.parametrize(
    "said",
    ["STPO", "sotp", "stopp", "STOPPP!!!", "S T O P", "stop stop stop", "unsuscribe", "Unsubcribe", "opt me out",
     "Opt out please", "please stop", "STOP please.", "pls stop texting me", "Stop sending me messages",
     "stop all texts", "stop your texts to my phone", "unsubscribe me", "Please unsubscribe my number, thanks",
     "Bitte stop", "stop svp"],
)  # fmt: skip
def test_an_end_is_an_end_with_a_slip_or_with_a_few_words_around_it(said: str) -> None:
    assert word(said) == Keyword.STOP


@pytest.mark.parametrize(
    "said",
    ["don't stop", "please don’t stop texting me", "never stop", "non stop", "stop it", "stop now", "stop charging",
     "please stop my session", "the bus stop", "when does it stop", "top", "step", "shop", "stoop low", "subscribe",
     "resubscribe me", "text me", "please", "all messages please", "opt in", "opt", "out", "unstop please",
     "cancel my booking", "please cancel", "end of session", "quit it", "help stop", "start stop",
     "stop sending me the blue ones please", "please please please please stop texting me"],
)  # fmt: skip
def test_whatever_could_mean_something_else_is_no_end(said: str) -> None:
    assert word(said) is None


def test_there_is_no_negation_among_what_may_stand_beside_it() -> None:
    assert AROUND_STOP.isdisjoint({part for said in NEGATIONS for part in said.replace("'", " ").split()})


stops = st.sampled_from(["stop", "STPO", "Stopp", "unsubscribe", "unsuscribe", "opt out"])
around = st.lists(st.sampled_from(sorted(AROUND_STOP)), max_size=MAX_WORDS - 2)


@given(stops, around, st.integers(0, MAX_WORDS))
def test_a_few_words_that_belong_to_it_may_stand_anywhere(said: str, others: list[str], place: int) -> None:
    words = [*others]
    words.insert(min(place, len(words)), said)

    assert word(" ".join(words)) == Keyword.STOP


@given(stops, around, st.sampled_from([*NEGATIONS, *ABOUT_CHARGING]), st.integers(0, MAX_WORDS))
def test_a_negation_or_anything_about_charging_anywhere_makes_it_another_text(
    said: str, others: list[str], but: str, place: int
) -> None:
    words = [*others, said]
    words.insert(min(place, len(words)), but)

    assert word(" ".join(words)) is None


@given(st.lists(st.sampled_from([*sorted(AROUND_STOP), "stop"]), min_size=MAX_WORDS + 1, max_size=30))
def test_a_long_text_has_something_else_to_say(words: list[str]) -> None:
    assert word(" ".join(words)) is None


def test_what_stands_beyond_what_is_looked_at_counts_too() -> None:
    assert word("please stop" + " " * 300 + "charging") is None
