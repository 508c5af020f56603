from notifier.channels.push.sandbox import Push
from notifier.channels.push.sandbox.inbox import on_screen, shorten
from notifier.domain.clock import ManualClock
from notifier.sandbox import SandboxLedger
from tests.named import PUSH


def test_a_push_takes_the_place_of_those_with_its_key_on_the_same_device() -> None:
    # Given
    ledger = SandboxLedger(ManualClock(0))
    apple = {"apns-collapse-id": "s1"}
    for to, push in (
        ("a", Push(title="10 %", collapse_key="s1")),
        ("a", Push(title="20 %", collapse_key="s1")),
        ("b", Push(title="other device", collapse_key="s1")),
        ("a", Push(title="30 %", apns_headers=apple)),
        ("a", Push(title="without")),
        ("a", Push(title="without")),
    ):
        ledger.accept(PUSH, to, "r", push, "id")

    # When
    shown = [(push.title, replaced) for _, push, replaced in on_screen(ledger.latest(PUSH))]

    # Then
    assert shown == [("without", 0), ("without", 0), ("30 %", 2), ("other device", 0)]


def test_long_tokens_show_their_two_ends() -> None:
    assert shorten("short") == "short"
    assert shorten("a" * 100 + "b" * 100) == "aaaaaaaa…bbbbbbbb"
