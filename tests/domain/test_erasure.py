"""Names in data become a pseudonym; what only looks like one of them stays."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.erasure import names, redact

KNOWN = {"ada", "NL-TST-C1"}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["ada", "NL-TST-C1", "adam", "Ada", "", "bob"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "ada"]), inner, max_size=3),
)


@given(values)
def test_no_name_is_left_and_the_shape_stays(value: Any) -> None:
    left = redact(value, KNOWN, "x" * 32)

    assert not names(left, KNOWN)
    assert _shape(left) == _shape(value)


@given(values)
def test_what_names_nobody_stays_as_it_is(value: Any) -> None:
    if not names(value, KNOWN):
        assert redact(value, KNOWN, "x" * 32) == value


def _shape(value: Any) -> Any:
    match value:
        case dict():
            return {key: _shape(each) for key, each in value.items()}
        case list():
            return [_shape(each) for each in value]
        case _:
            return type(value)
