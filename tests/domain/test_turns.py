"""Whose events come later: nobody's but those of a key that reports far more than others."""

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.clock import DAY
from notifier.domain.turns import LITTLE, WINDOW, Turns

NOW = 20_000 * DAY


def test_beside_a_key_in_a_loop_all_others_have_their_turn() -> None:
    # Given three keys that report an event a second, and one that reports a thousand
    turns = Turns()
    told: dict[str, list[bool]] = {"loop": [], "a": [], "b": [], "c": []}
    for second in range(30):
        for key in told:
            told[key].append(turns.has_turn(key, 1000 if key == "loop" else 1, NOW + second * 1000))

    # Then the loop has its turn until others are known, and then no more; the others always have
    assert not any(told.pop("loop")[1:])
    assert all(all(each) for each in told.values())


@given(batches=st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 5000)), max_size=40))
def test_who_reports_alone_always_has_a_turn(batches: list[tuple[int, int]]) -> None:
    turns, now = Turns(), NOW
    for pause, events in batches:
        now += pause
        assert turns.has_turn("csms", events, now)


@given(batches=st.lists(st.tuples(st.integers(0, 3000), st.sampled_from("abcd"), st.integers(1, 2000)), max_size=80))
def test_who_reports_no_more_than_the_others_on_average_always_has_a_turn(batches: list[tuple[int, str, int]]) -> None:
    # Given several keys that report as they like
    turns, now, counted = Turns(), NOW, list[tuple[int, str, int]]()
    for pause, key, events in batches:
        now += pause
        counted.append((now, key, events))
        has_turn = turns.has_turn(key, events, now)

        # Then whoever has none has reported more than a little in the last two windows, and more than half of all by
        # every way of counting: no key that is one of many alike
        if not has_turn:
            recent = [each for each in counted if now - each[0] < 2 * WINDOW]
            own = sum(number for _, name, number in recent if name == key)
            assert own > LITTLE
            assert len({name for _, name, _ in recent}) > 1


def test_a_burst_is_forgotten() -> None:
    turns = Turns()
    turns.has_turn("others", 1, NOW)
    assert not turns.has_turn("loop", 10_000, NOW)

    later = NOW + 2 * WINDOW
    assert turns.has_turn("others", 1, later)
    assert turns.has_turn("loop", LITTLE, later)
    assert not turns.has_turn("loop", 1, later)
