"""What a change of preferences switches off: what was on before it, and nothing twice."""

import pytest

from notifier.domain.preferences import NO_PREFERENCES, Preferences, switched_off

OFF = Preferences(everything=False)
NO_OFFERS = Preferences(categories={"offers": False})
NO_TEXTS = Preferences(channels={"sms": False})
NO_OFFERS_BY_MAIL = Preferences(switches={"offers": {"email": False}})
OFFERS_BY_MAIL_ALONE = Preferences(categories={"offers": False}, switches={"offers": {"email": True}})


@pytest.mark.parametrize(
    ("before", "after", "off"),
    [
        (NO_PREFERENCES, NO_OFFERS_BY_MAIL, [("offers", "email")]),
        (NO_PREFERENCES, NO_OFFERS, [("offers", "")]),
        (NO_PREFERENCES, NO_TEXTS, [("", "sms")]),
        (NO_PREFERENCES, OFF, [("", "")]),
        (OFFERS_BY_MAIL_ALONE, NO_OFFERS_BY_MAIL, [("offers", "email")]),
        (NO_OFFERS_BY_MAIL, NO_OFFERS_BY_MAIL, []),
        (NO_OFFERS_BY_MAIL, NO_PREFERENCES, []),
        (NO_OFFERS, NO_OFFERS_BY_MAIL, []),
        (NO_TEXTS, Preferences(switches={"offers": {"sms": False}}), []),
        (OFF, NO_OFFERS, []),
        (NO_OFFERS, Preferences(categories={"offers": False}, channels={"sms": False}), [("", "sms")]),
    ],
)
def test_what_was_on_and_is_off_now(before: Preferences, after: Preferences, off: list[tuple[str, str]]) -> None:
    assert switched_off(before, after) == off
