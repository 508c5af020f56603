from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email.sandbox import ReceivedMail
from notifier.channels.push.sandbox import Push
from notifier.channels.sms.sandbox import Sms
from notifier.domain.clock import ManualClock
from notifier.domain.deliveries import Channel
from notifier.sandbox.ledger import FULL_ENTRIES, SandboxLedger
from tests.named import EMAIL, PUSH, SMS

CONTENT = Push(title="Charging complete", body="Please move your car.")


def test_entries_are_numbered_and_timed_as_they_arrive() -> None:
    # Given
    clock = ManualClock(1_000)
    ledger = SandboxLedger(clock)

    # When
    first = ledger.accept(PUSH, "token", "r1", CONTENT, "p1")
    clock.advance(500)
    second = ledger.refuse(PUSH, "UNREGISTERED", "token", "r2")

    # Then
    assert (first.number, first.received_at, first.verdict) == (1, 1_000, "accepted")
    assert (second.number, second.received_at, second.verdict, second.code) == (2, 1_500, "refused", "UNREGISTERED")


@given(st.lists(st.tuples(st.sampled_from([PUSH, SMS]), st.sampled_from(["", "a", "b", "c"]), st.booleans())))
def test_counts_follow_from_the_entries(arrivals: list[tuple[Channel, str, bool]]) -> None:
    # Given / When
    ledger = SandboxLedger(ManualClock(0))
    for channel, reference, taken in arrivals:
        if taken:
            ledger.accept(channel, "to", reference, CONTENT, "id")
        else:
            ledger.refuse(channel, "500", "to", reference)

    # Then
    for channel in (PUSH, SMS):
        accepted = [entry for entry in ledger.after(0, channel) if entry.verdict == "accepted"]
        named = [entry.reference for entry in accepted if entry.reference]
        counts = ledger.summary()[channel]
        assert counts["accepted"] == len(accepted)
        assert counts["references"] == len(set(named))
        assert counts["duplicates"] == len(named) - len(set(named))
        assert sum(counts["refused"].values()) == len(list(ledger.after(0, channel))) - len(accepted)
        assert all(ledger.accepted(channel, reference) == named.count(reference) for reference in "abc")


def test_a_refused_message_is_no_duplicate_of_its_retry() -> None:
    # Given
    ledger = SandboxLedger(ManualClock(0))

    # When
    ledger.refuse(SMS, "20429", "+4915112345678", "r1")
    ledger.accept(SMS, "+4915112345678", "r1", Sms(sender="+1", body="x", encoding="GSM-7", segments=1), "SM1")

    # Then
    assert ledger.summary()["sms"] == {"accepted": 1, "references": 1, "duplicates": 0, "refused": {"20429": 1}}


def test_old_entries_lose_address_and_content_but_not_their_count() -> None:
    # Given
    ledger = SandboxLedger(ManualClock(7))

    # When
    for number in range(FULL_ENTRIES + 2):
        ledger.accept(EMAIL, "anna@example.com", f"r{number}", ReceivedMail(sender="", raw=b"x"), "id")

    # Then
    old, kept = ledger.entries[1], ledger.entries[2]
    assert (old.reference, old.received_at, old.to, old.provider_id, old.content) == ("r1", 7, "", "", None)
    assert kept.to == "anna@example.com"
    assert ledger.accepted(EMAIL, "r0") == 1
    assert len(list(ledger.latest(EMAIL))) == FULL_ENTRIES


def test_entries_are_found_by_reference_by_number_and_by_address() -> None:
    # Given
    ledger = SandboxLedger(ManualClock(0))
    for channel, to in ((PUSH, "a"), (SMS, "b"), (PUSH, "b"), (PUSH, "a")):
        ledger.accept(channel, to, f"r-{channel}", CONTENT, "id")

    # Then
    assert [entry.number for entry in ledger.of("r-push")] == [1, 3, 4]
    assert [entry.number for entry in ledger.of("r-push", SMS)] == []
    assert [entry.number for entry in ledger.after(2)] == [3, 4]
    assert [entry.number for entry in ledger.latest(PUSH, frozenset({"a"}))] == [4, 1]


def test_an_entry_prints_no_address_and_no_content() -> None:
    ledger = SandboxLedger(ManualClock(0))
    entry = ledger.accept(SMS, "+4915112345678", "r1", CONTENT, "SM1")
    assert repr(entry) == "<Entry 1 sms r1 accepted>"
    assert "complete" not in repr(entry.content)
