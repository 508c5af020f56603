"""What people write back: STOP is STOP however it is written, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.sms.inbound import ANSWERS, IncomingText, Keyword, answer, read_word, twiml
from notifier.domain.sms_segments import measure
from tests.channels import canary

STOPS = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "opt out"]
AROUND = st.text("  \t\n.,;:!?'\"()-*…¡🛑", max_size=6)


def word(body: str, opt_out_type: str = "") -> Keyword | None:
    return read_word(IncomingText(number=canary.PHONE, body=body, opt_out_type=opt_out_type))


@given(st.sampled_from(STOPS), AROUND, AROUND, st.lists(st.booleans(), min_size=11, max_size=11))
def test_stop_is_stop_in_any_case_with_anything_but_words_around_it(
    said: str, before: str, after: str, upper: list[bool]
) -> None:
    varied = "".join(letter.upper() if up else letter.lower() for letter, up in zip(said, upper, strict=False))

    assert word(f"{before}{varied}{after}") == Keyword.STOP


@pytest.mark.parametrize("said", ["Opt-Out", "opt  out.", "ＳＴＯＰ", "Stop\u200b", "STOP\r\n", "“Stop”"])
def test_stop_as_phones_write_it(said: str) -> None:
    assert word(said) == Keyword.STOP


@pytest.mark.parametrize(
    "said",
    ["", " ", "don't stop", "Don’t stop!", "stop sending me the blue ones please", "stop it", "the end", "ending",
     "cancel my booking", "no", "STOP" + " x" * 500, "unstop stop", "🛑"],
)  # fmt: skip
def test_whoever_says_more_or_less_has_not_asked_for_an_end(said: str) -> None:
    assert word(said) is None


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Start", Keyword.START),
        ("UNSTOP.", Keyword.START),
        ("yes!", Keyword.START),
        ("help?", Keyword.HELP),
        (" HELP ", Keyword.HELP),
    ],
)
def test_start_and_help(said: str, meant: Keyword) -> None:
    assert word(said) == meant


def test_what_twilio_has_recognised_by_the_accounts_own_words_counts() -> None:
    assert word("ARRET", opt_out_type="STOP") == Keyword.STOP
    assert word("STOP", opt_out_type="HELP") == Keyword.HELP


@given(st.text(max_size=400))
def test_whatever_comes_it_is_a_word_or_none(said: str) -> None:
    assert word(said) in {None, *Keyword}


@pytest.mark.parametrize("language", ANSWERS)
@pytest.mark.parametrize("asked", Keyword)
def test_every_answer_is_one_segment_names_the_brand_and_the_way_back(language: str, asked: Keyword) -> None:
    said = answer(asked, language, "Voltline Charging", "https://app.voltline.example")

    assert measure(said)[::2] == ("gsm7", 1)
    assert said.startswith("Voltline Charging")
    assert ("START" if asked is Keyword.STOP else "STOP") in said


@pytest.mark.parametrize(
    ("locale", "like"),
    [("de-AT", "de"), ("fr", "fr"), ("es-419", "es"), ("nl-BE", "en"), (None, "en"), ("zh-Hant-TW", "en")],
)
def test_the_answer_is_in_the_persons_language_or_else_in_english(locale: str | None, like: str) -> None:
    assert answer(Keyword.STOP, locale, "Voltline", "") == answer(Keyword.STOP, like, "Voltline", "")


def test_the_answer_is_told_to_twilio_as_one_message_or_as_none() -> None:
    assert twiml("A & B <c>") == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Message>A &amp; B &lt;c&gt;</Message></Response>'
    )
    assert twiml(None) == '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
