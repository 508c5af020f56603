import msgspec
import pytest

from notifier.sandbox.faults import CALM, FaultRule, Faults, Match, Trouble
from tests.named import EMAIL, PUSH, SMS


def test_without_rules_nothing_happens() -> None:
    assert Faults().meet(PUSH) is CALM


def test_a_rule_is_used_up_after_so_many_times() -> None:
    # Given
    faults = Faults()
    rule = FaultRule(channel="push", action="drop_after", times=2)
    faults.add(rule)

    # When
    met = [faults.meet(PUSH).silent for _ in range(3)]

    # Then it is gone, and the one it was made from can be added anew
    assert met == [True, True, False]
    assert faults.rules == []
    assert rule.times == 2


def test_a_rule_without_times_lasts() -> None:
    faults = Faults()
    faults.add(FaultRule(channel="sms", action="fail"))
    assert all(faults.meet(SMS).fails for _ in range(100))


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        (Match(), True),
        (Match(to="a"), True),
        (Match(to="b"), False),
        (Match(reference="r"), True),
        (Match(to="a", reference="other"), False),
    ],
)
def test_a_rule_meets_the_messages_it_matches(match: Match, hit: bool) -> None:
    faults = Faults()
    faults.add(FaultRule(channel="email", action="fail", match=match))
    assert (faults.meet(EMAIL, to="a", reference="r").fails is not None) is hit
    assert faults.meet(PUSH, to="a", reference="r") == CALM


def test_delays_add_up_and_the_first_other_rule_decides() -> None:
    # Given
    faults = Faults()
    late = FaultRule(channel="push", action="delay", seconds=0.5)
    hang = FaultRule(channel="push", action="hang", seconds=2)
    faults.add(late, late, hang, FaultRule(channel="push", action="fail"))

    # When
    trouble = faults.meet(PUSH)

    # Then
    assert trouble == Trouble(3.0, hang)
    assert trouble.not_taken
    assert trouble.silent
    assert trouble.fails is None


def test_the_same_seed_rolls_the_same_dice() -> None:
    def met(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(FaultRule(channel="push", action="fail", probability=0.3))
        return [faults.meet(PUSH).fails is not None for _ in range(1_000)]

    assert met(1) == met(1) != met(2)
    assert 200 < sum(met(1)) < 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "explode"},
        {"action": "delay"},
        {"action": "drop_after", "seconds": 1},
        {"action": "drop_after", "code": "500"},
        {"action": "fail", "stage": "rcpt"},
        {"action": "fail", "channel": "email", "stage": "rcpt", "match": {"reference": "r"}},
        {"action": "fail", "channel": "email", "reply": "250 Ok"},
        {"action": "fail", "channel": "sms", "code": "UNREGISTERED"},
        {"action": "fail", "status": 200},
        {"action": "fail", "times": 0},
        {"action": "fail", "probability": 0},
        {"action": "fail", "surprise": True},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"channel": "push", **wrong}, FaultRule)


def test_a_rule_prints_no_address() -> None:
    assert "+49" not in repr(FaultRule(channel="sms", action="fail", match=Match(to="+4915112345678")))
