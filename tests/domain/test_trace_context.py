"""Trace contexts by the W3C's standard, and how one is kept with an event's data."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.trace_context import TraceContext, parted, read_context, with_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
def test_a_context_is_read_as_it_stands(flags: str, sampled: bool) -> None:
    assert read_context(f"00-{TRACE}-{SPAN}-{flags}", "a=1,b=2") == TraceContext(TRACE, SPAN, sampled, "a=1,b=2")


def test_a_later_version_may_have_more_at_its_end() -> None:
    assert read_context(f"cc-{TRACE}-{SPAN}-01-what-comes") == TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "given",
    [
        None, 7, "", "00", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01-more", f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01more", f"00-{TRACE}-{SPAN}-0x", f"00-{TRACE}-{SPAN}-01\n",
    ],
)  # fmt: skip
def test_what_is_no_context_is_none(given: object) -> None:
    assert read_context(given) is None


@pytest.mark.parametrize("state", [None, 7, 'a="1"', "a=\\", "ü=1", "x" * 513])
def test_a_state_that_can_not_be_kept_is_left_out(state: object) -> None:
    assert read_context(f"00-{TRACE}-{SPAN}-01", state) == TraceContext(TRACE, SPAN, True)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(',"~trace":"'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcdefgh_", min_size=1, max_size=8), values, min_size=1))
@pytest.mark.parametrize("state", ["", "a=1, b=~2"])
def test_data_and_context_come_apart_as_they_were_put_together(state: str, data: dict[str, object]) -> None:
    document = msgspec.Raw(msgspec.json.encode(data))
    context = TraceContext(TRACE, SPAN, True, state)

    together = bytes(with_context(document, context)).decode()

    assert parted(together) == (bytes(document).decode(), context)
    assert json.loads(together)  # databases that look at their JSON find it sound


def test_data_without_a_context_are_as_they_are() -> None:
    document = msgspec.Raw(b'{"note":"~10 minutes"}')

    assert with_context(document, None) is document
    assert parted('{"note":"~10 minutes"}') == ('{"note":"~10 minutes"}', None)
