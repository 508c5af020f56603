"""Signed links: what we didn't sign, or signed for something else, opens nothing."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import Signer

from notifier.channels.email.mime import MAX_LINK
from notifier.domain.clock import DAY
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.domain.ids import make_id
from notifier.domain.links import APP_TOKEN, MAX_TOKEN, UNDO, VISIT, AppVisit, Followed, Links, Unsubscribe, read_keys
from tests.named import EMAIL, PUSH, SMS
from tests.samples import NOW

KEY, OTHER = b"5f" * 32, b"a0" * 32
LINKS = Links("https://notify.example.com/", [KEY])
ID = make_id("a delivery")
ADA = Unsubscribe("ada", "receipts", EMAIL)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
FORGERIES = 10_000


def token(url: str) -> str:
    return url.rpartition("/")[2]


def unsubscribe(links: Links = LINKS, who: str = "ada", category: str = "receipts") -> str:
    return token(links.unsubscribe_url(who, category, EMAIL))


def visit(links: Links = LINKS, who: str = "ada", now: int = NOW) -> str:
    return token(links.preference_url(who, now))


def opens(text: str) -> bool:
    """Whether any page takes it."""
    read = LINKS.read_unsubscribe(text), LINKS.read_undo(text, NOW), LINKS.read_visit(text, NOW)
    return any(each is not None for each in (*read, LINKS.read_click(text), LINKS.read_map(text, NOW)))


def test_a_link_says_what_it_was_made_for() -> None:
    assert LINKS.unsubscribe_url("ada", "receipts", EMAIL).startswith("https://notify.example.com/u/")
    assert LINKS.read_unsubscribe(unsubscribe()) == ADA
    assert LINKS.read_undo(LINKS.undo_token(ADA, NOW), NOW) == ADA
    found = LINKS.read_visit(visit(), NOW)
    assert found is not None
    assert found.recipient_id == "ada"


def test_an_app_token_is_good_for_one_person_on_one_channel_for_an_hour() -> None:
    # Given a token for what Ada is shown on a channel
    made = LINKS.app_token(PUSH, "ada", NOW)

    # Then it says whose it is until it ends
    assert LINKS.read_app_token(PUSH, made, NOW) == AppVisit("ada", NOW + APP_TOKEN)
    assert LINKS.read_app_token(PUSH, made, NOW + APP_TOKEN - 1) is not None
    assert LINKS.read_app_token(PUSH, made, NOW + APP_TOKEN) is None
    # And it opens nothing else: no other channel, no page; nor does a page's token open the channel
    assert LINKS.read_app_token(SMS, made, NOW) is None
    assert not opens(made)
    assert LINKS.read_app_token(PUSH, visit(), NOW) is None
    # And a new signing key in front of the old one leaves it good, the new one alone doesn't
    assert Links("https://notify.example.com", [OTHER, KEY]).read_app_token(PUSH, made, NOW) is not None
    assert Links("https://notify.example.com", [OTHER]).read_app_token(PUSH, made, NOW) is None


@given(
    who=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
    category=st.from_regex("[a-z][a-z0-9-]{0,39}", fullmatch=True),
    channel=st.sampled_from([PUSH, SMS, EMAIL]),
)
@example(who="😀" * 100, category="c" * 40, channel=EMAIL)
def test_whoever_it_is_their_mails_header_is_one_line(who: str, category: str, channel: Channel) -> None:
    url = LINKS.unsubscribe_url(who, category, channel)

    assert len(url) < MAX_LINK
    assert len(token(url)) <= MAX_TOKEN
    assert url.isascii()
    assert LINKS.read_unsubscribe(token(url)) == Unsubscribe(who, category, channel)

    # And so with the delivery in it, as in the header
    own = LINKS.unsubscribe_url(who, category, channel, ID)
    assert len(own) < MAX_LINK
    assert LINKS.read_unsubscribe(token(own)) == Unsubscribe(who, category, channel, ID)


def test_a_link_in_a_mails_words_is_what_it_was_before_headers_had_one_of_their_own() -> None:
    payload = token(LINKS.unsubscribe_url("ada", "offers", EMAIL)).partition(".")[0]

    assert urlsafe_b64decode(payload + "==") == b'["ada","offers","email"]'


def test_an_unsubscribe_link_is_short_never_ends_and_is_the_same_each_time() -> None:
    url = LINKS.unsubscribe_url("5f0c7a0e-9c1b-4d52-8b7e-1f2a3b4c5d6e", "idle-fees", EMAIL)

    assert len(f"List-Unsubscribe: <{url}>") < 200
    assert url == LINKS.unsubscribe_url("5f0c7a0e-9c1b-4d52-8b7e-1f2a3b4c5d6e", "idle-fees", EMAIL)


def test_a_link_that_counts_holds_its_target_and_nothing_of_a_person() -> None:
    target = "https://app.example.com/offers/weekend-2026-03"

    url = LINKS.click_url(ID, target)

    assert url.startswith("https://notify.example.com/c/")
    assert len(url) < 200
    assert LINKS.read_click(token(url)) == Followed(ID, target)
    # And it is the same each time, good for nothing else, and no other token is good for it
    assert url == LINKS.click_url(ID, target)
    assert LINKS.read_unsubscribe(token(url)) is None
    assert LINKS.read_click(unsubscribe()) is None
    assert LINKS.read_click(visit()) is None


def test_what_is_ours_or_too_long_for_a_token_is_led_to_at_once() -> None:
    ours = LINKS.unsubscribe_url("ada", "receipts", EMAIL)
    longest = "https://app.example.com/" + "x" * 600

    assert LINKS.click_url(ID, ours) == ours
    assert LINKS.click_url(ID, longest) == longest


def test_the_others_end() -> None:
    undo = LINKS.undo_token(ADA, NOW)

    assert LINKS.read_visit(visit(), NOW + VISIT - 1) is not None
    assert LINKS.read_visit(visit(), NOW + VISIT) is None
    assert LINKS.read_undo(undo, NOW + UNDO - 1) == ADA
    assert LINKS.read_undo(undo, NOW + UNDO) is None
    assert VISIT == DAY


def test_no_link_is_good_for_another_purpose() -> None:
    undo = LINKS.undo_token(ADA, NOW)

    assert LINKS.read_undo(unsubscribe(), NOW) is None
    assert LINKS.read_visit(unsubscribe(), NOW) is None
    assert LINKS.read_unsubscribe(visit()) is None
    assert LINKS.read_undo(visit(), NOW) is None
    assert LINKS.read_unsubscribe(undo) is None
    assert LINKS.read_visit(undo, NOW) is None


def test_keys_overlap_while_they_are_changed() -> None:
    old, both, new = Links("https://x", [OTHER]), Links("https://x", [KEY, OTHER]), Links("https://x", [KEY])

    # While both are known, what either signed is good, and the newer signs
    assert both.read_unsubscribe(unsubscribe(old)) == both.read_unsubscribe(unsubscribe(new)) == ADA
    assert unsubscribe(both) == unsubscribe(new)
    # Once the old one is gone, so is what it signed
    assert new.read_unsubscribe(unsubscribe(old)) is None


def test_a_key_that_could_be_guessed_is_refused_and_none_is_no_key() -> None:
    assert read_keys(f" {KEY.decode()}\n{OTHER.decode()} ") == [KEY, OTHER]
    assert read_keys("") == []
    with pytest.raises(ConfigurationError, match="NOTIFIER_SIGNING_KEYS") as refused:
        read_keys(f"{KEY.decode()} hunter2")
    assert "hunter2" not in str(refused.value)


# Forgeries: 10,000 of them, none of which opens anything


def bit_flips(text: str) -> Iterator[str]:
    """Every bit of every letter of it turned round, where that leaves a letter."""
    for place, letter in enumerate(text):
        for bit in range(7):
            yield text[:place] + chr(ord(letter) ^ 1 << bit) + text[place + 1 :]


def letter_changes(text: str) -> Iterator[str]:
    """Every other letter of the alphabet at every place: also those that decode to the same bytes."""
    for place, letter in enumerate(text):
        yield from (text[:place] + other + text[place + 1 :] for other in ALPHABET if other != letter)


def cuts_and_additions(text: str) -> Iterator[str]:
    yield from (text[:length] for length in range(len(text)))
    yield from (text[start:] for start in range(1, len(text)))
    for place in range(len(text) + 1):
        yield from (text[:place] + more + text[place:] for more in ("A", "=", ".", "!", "\n", " ", "\0", "é", "\ud800"))


def swaps(tokens: list[str]) -> Iterator[str]:
    """The payload of each with the signature of each other."""
    for one in tokens:
        for other in tokens:
            if one != other:
                yield f"{one.partition('.')[0]}.{other.partition('.')[2]}"


def signed_by_others() -> Iterator[str]:
    """What somebody signs who knows how it is done, but not the key or not the salt."""
    stranger = Links("https://x", [OTHER])
    yield from (unsubscribe(stranger), visit(stranger), stranger.undo_token(ADA, NOW))
    payload = unsubscribe().partition(".")[0]
    for key in (KEY, OTHER, b"", b"secret"):
        for salt in ("", "itsdangerous.Signer", "notifier", "notifier.unsubscribe", "notifier.visit", "unsubscribe"):
            for derivation in ("hmac", "concat", "django-concat", "none"):
                signer = Signer(key, salt=salt, key_derivation=derivation)  # with SHA-1
                yield signer.sign(payload).decode()
    yield from (f"{payload}.", f".{payload}", payload, "", ".", "..", f"{payload}.{'A' * 43}")


def altered_payloads(text: str) -> Iterator[str]:
    payload, _, signature = text.partition(".")
    told = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    for before, after in ((b"ada", b"bob"), (b"ada", b"adb"), (b"receipts", b"billing"), (b"email", b"sms")):
        yield urlsafe_b64encode(told.replace(before, after)).rstrip(b"=").decode() + f".{signature}"


def noise(random: Random) -> Iterator[str]:
    while True:
        yield "".join(random.choices(ALPHABET + ".", k=random.randrange(1, 200)))


def forgeries() -> Iterator[str]:
    good = [unsubscribe(), unsubscribe(who="bob"), visit(), visit(who="bob"), LINKS.undo_token(ADA, NOW)]
    for each in good:
        yield from bit_flips(each)
        yield from cuts_and_additions(each)
        yield from altered_payloads(each)
    yield from swaps(good)
    yield from signed_by_others()
    yield from letter_changes(unsubscribe())
    yield from noise(Random(1))  # noqa: S311 (the same in every run)


def test_of_ten_thousand_forged_or_altered_tokens_none_is_accepted() -> None:
    good = {unsubscribe(), unsubscribe(who="bob"), visit(), visit(who="bob"), LINKS.undo_token(ADA, NOW)}
    assert all(opens(each) for each in good)
    tried = set(islice((each for each in forgeries() if each not in good), 2 * FORGERIES))

    accepted = [each for each in tried if opens(each)]

    assert len(tried) >= FORGERIES
    assert accepted == []


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{1,150}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_no_text_that_somebody_makes_up_opens_anything(text: str) -> None:
    assert not opens(text)


@given(st.integers(0, 200), st.characters())
def test_a_letter_anywhere_in_it_closes_a_link(place: int, letter: str) -> None:
    good = unsubscribe()
    altered = good[:place] + letter + good[place + 1 :]

    assert opens(altered) == (altered == good)


def test_nothing_of_a_link_is_printed() -> None:
    assert "ada" not in repr(ADA)
