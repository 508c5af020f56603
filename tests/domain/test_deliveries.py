"""The state machine, and ids that never collide."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.deliveries import MOVES, OPEN, TERMINAL, State, check_moves, may_come_before, may_move
from notifier.domain.ids import make_id

STATES = st.sampled_from(State)
PARTS = st.lists(st.text(st.characters(), max_size=6), max_size=5).map(tuple)


def test_every_state_has_its_moves_written_down() -> None:
    assert set(MOVES) == set(State)


def test_what_has_ended_stays_as_it_is() -> None:
    assert {
        State.DELIVERED, State.UNDELIVERED, State.SUPPRESSED, State.EXPIRED, State.SUPERSEDED, State.CANCELLED,
        State.FAILED,
    } == TERMINAL  # fmt: skip
    assert not any(may_move(ended, state) for ended in TERMINAL for state in State)


@given(st.lists(STATES, min_size=1))
def test_no_way_through_the_states_leaves_an_end(wished: list[State]) -> None:
    # Given a delivery that anybody tries to push anywhere
    state, seen = State.PENDING, [State.PENDING]
    for wish in wished:
        if may_move(state, wish):
            state = wish
            seen.append(state)

    # Then an end, once reached, is the last that was seen of it, and what was handed over goes out again only as what
    # has waited: by a receipt that tells of a trouble that passes, or because nobody knew what became of it
    assert all(state not in TERMINAL for state in seen[:-1])
    assert all(before == State.PENDING for before, after in itertools.pairwise(seen) if after == State.SENDING)
    assert MOVES[State.SENT] & OPEN == {State.PENDING}


def test_from_every_state_an_end_can_be_reached() -> None:
    for state in State:
        reached = {state}
        while new := {after for before in reached for after in MOVES[before]} - reached:
            reached |= new
        assert reached & TERMINAL


def test_only_what_waits_is_taken_up_and_only_what_was_being_sent_is_unknown() -> None:
    assert may_come_before(State.SENDING) == {State.PENDING}
    assert may_come_before(State.UNKNOWN) == {State.SENDING}


@given(STATES, STATES)
def test_the_moves_read_forward_and_backward_agree(before: State, after: State) -> None:
    assert may_move(before, after) == (before in may_come_before(after))


@given(st.lists(st.tuples(STATES, STATES)))
def test_a_list_of_moves_is_good_if_each_is(moves: list[tuple[State, State]]) -> None:
    wrong = [move for move in moves if not may_move(*move)]

    if not wrong:
        check_moves(moves)
        return
    with pytest.raises(ValueError, match=f"from {wrong[0][0]} to {wrong[0][1]}$"):
        check_moves(moves)


@given(PARTS, PARTS)
def test_ids_are_alike_exactly_where_their_parts_are(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (make_id(*one) == make_id(*other)) == (one == other)


@given(st.text(st.characters(), max_size=6))
def test_however_a_text_is_cut_into_parts_its_ids_differ(text: str) -> None:
    # Given every way to cut it into up to three parts, empty ones too
    places = itertools.combinations_with_replacement(range(len(text) + 1), 2)
    cuts = {(text[:a], text[a:b], text[b:]) for a, b in places} | {(text,), (text, ""), ("", text)}

    # Then each has an id of its own
    assert len({make_id(*cut) for cut in cuts}) == len(cuts)


def test_an_id_is_32_hex_digits_and_the_same_for_ever() -> None:
    # Rows written by older versions are found by it.
    assert make_id("event", "billing", "attempt-7") == "8e6080da0fcfc60f36b72c5b0ac89aa3"
