"""Documents of choices in which a newer release names channels that this one doesn't know."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.deliveries import CHANNELS, Channel, channel_of
from notifier.domain.preferences import Preferences, apart, read_defaults, read_preferences, rewritten, together

NAMES = st.sampled_from([*CHANNELS, "carrier-pigeon", "fax"])
CATEGORIES = st.sampled_from(["charging", "billing"])
GRID = st.dictionaries(CATEGORIES, st.dictionaries(NAMES, st.booleans(), min_size=1))
LOCKED = st.dictionaries(CATEGORIES, st.lists(NAMES, unique=True))
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"channels": st.dictionaries(NAMES, st.booleans()), "switches": GRID, "locked": LOCKED}
)


@given(DOCUMENTS)
def test_a_document_in_its_two_parts_is_the_same_document(document: dict[str, Any]) -> None:
    known, others = apart(document)

    assert _unordered(together(known, others)) == _unordered(document)
    assert not any(name in CHANNELS for name in others.get("channels", {}))
    read_defaults(msgspec.json.encode(document).decode())


def test_what_is_locked_by_channels_of_the_other_release_alone_is_locked_on_none_of_ours() -> None:
    read = read_defaults('{"locked": {"charging": ["carrier-pigeon"], "billing": []}}')

    assert not read.locks("charging", Channel("sms"))
    assert read.locks("billing", Channel("sms"))


def test_a_lock_on_all_channels_stays_one_where_the_other_release_names_its_own() -> None:
    assert together({"locked": {"charging": []}}, {"locked": {"charging": ["fax"]}}) == {"locked": {"charging": []}}


def test_choices_replace_ours_and_keep_those_of_the_other_release() -> None:
    held = '{"channels": {"fax": true, "sms": false}, "everything": false}'

    assert read_preferences(held) == Preferences(channels={"sms": False}, everything=False)
    assert rewritten(held, Preferences(channels={"email": False})) == {"channels": {"email": False, "fax": True}}


@pytest.mark.parametrize("document", ['{"channels": {"sms": 1}}', '{"channel": {}}'])
def test_what_is_no_document_of_any_release_is_still_an_error(document: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_preferences(document)


def test_a_channel_is_known_by_its_name() -> None:
    assert channel_of("sms") is Channel("sms")
    assert channel_of("fax") is None


def _unordered(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"locked": {name: sorted(each) for name, each in document.get("locked", {}).items()}}
