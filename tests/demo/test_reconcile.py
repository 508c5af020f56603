"""Our books against the providers': each message is held against what arrived of it."""

from notifier.domain.deliveries import State
from notifier.reconcile import compare


def test_what_is_called_sent_and_never_arrived_is_lost() -> None:
    found = compare({("push", "a"): State.SENT, ("push", "b"): State.SENT}, {"push": {"a": 1}}, 0)
    assert (found.lost, found.duplicated, found.unrecorded) == (1, 0, 0)


def test_what_arrived_twice_is_duplicated_and_what_nobody_sent_is_unrecorded() -> None:
    found = compare({("push", "a"): State.DELIVERED}, {"push": {"a": 2, "b": 1}}, 0)
    assert (found.lost, found.duplicated, found.unrecorded) == (0, 1, 1)


def test_a_message_that_may_have_arrived_is_neither_lost_nor_unrecorded() -> None:
    states = {("sms", "a"): State.UNKNOWN, ("sms", "b"): State.UNKNOWN}
    found = compare(states, {"sms": {"a": 1}}, 0)
    assert (found.lost, found.unrecorded) == (0, 0)


def test_what_goes_to_no_provider_is_not_lost_there() -> None:
    found = compare({("elsewhere", "a"): State.SENT}, {"push": {}}, 0)
    assert (found.lost, found.received) == (0, {"push": 0})
