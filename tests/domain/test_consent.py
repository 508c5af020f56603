"""Consent: the latest word counts, cell by cell; all may be taken back at once, and nothing given at once."""

from functools import reduce

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.channels import channels
from notifier.domain.consent import CHANNELS, Agreed, Consent, apply
from notifier.domain.recipient_facts import ALL

categories = st.sampled_from(["offers", "news"])
words = st.builds(
    Consent,
    category=categories | st.just(ALL),
    channel=st.sampled_from([*CHANNELS, ALL]),
    granted=st.booleans(),
    wording=st.just("2026-03"),
    source=st.just("app"),
)

EVERYWHERE = {channel.value: True for channel in channels()}


EVERYWHERE = {channel.value: True for channel in channels()}


def said(category: str, channel: str, granted: bool) -> Consent:
    told = {"category": category, "channel": channel, "granted": granted, "wording": "2026-03", "source": "app"}
    return msgspec.convert(told, Consent)


def after(*spoken: Consent) -> Agreed:
    return reduce(apply, spoken, {})


def test_consent_on_all_channels_is_consent_on_each() -> None:
    assert after(said("offers", ALL, True)) == {"offers": EVERYWHERE}


def test_a_word_changes_only_what_it_is_about() -> None:
    agreed = after(said("offers", ALL, True), said("news", "email", True), said("offers", "sms", False))

    assert agreed == {"offers": EVERYWHERE | {"sms": False}, "news": {"email": True}}


def test_texts_that_are_stopped_and_started_again_bring_no_consent_back() -> None:
    # Given somebody who agreed to offers by text
    agreed = after(said("offers", ALL, True))

    # When they text STOP and then START
    agreed = apply(apply(agreed, said(ALL, "sms", False)), said(ALL, "sms", True))

    # Then only that is gone, until they agree anew
    assert agreed["offers"] == EVERYWHERE | {"sms": False}
    assert apply(agreed, said("offers", "sms", True))["offers"]["sms"]


@given(st.lists(words), categories, st.sampled_from(CHANNELS))
def test_the_latest_word_about_a_cell_counts(spoken: list[Consent], category: str, channel: str) -> None:
    about = [
        word
        for word in spoken
        if word.channel in (channel, ALL) and (word.category == category or (word.category == ALL and not word.granted))
    ]

    assert after(*spoken).get(category, {}).get(channel, False) is (bool(about) and about[-1].granted)


@given(st.lists(words))
def test_nothing_is_agreed_to_that_nobody_named(spoken: list[Consent]) -> None:
    named = {word.category for word in spoken if word.granted and word.category != ALL}
    agreed = after(*spoken)

    assert {category for category, cells in agreed.items() if any(cells.values())} <= named
    assert ALL not in agreed


def test_consent_to_everything_is_refused_and_tells_its_field() -> None:
    with pytest.raises(ValueError, match=r"^category "):
        said(ALL, "sms", True).checked()
    assert said(ALL, "sms", False).checked()
