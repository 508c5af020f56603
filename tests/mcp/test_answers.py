"""What tools make of the API's answers: pages of a replay are added up."""

from typing import Any

from notifier.mcp.answers import added_up

Json = dict[str, Any]
COUNTS = ("events", "decisions", "answers", "differ", "by_today", "failed", "gone")


def page(number: int, following: str | None, *changes: tuple[str, int]) -> Json:
    """A page on which every count is a number, with these changes by channel."""
    found = [
        {"type": "offer", "channel": channel, "before": "held", "after": "sent", "count": count, "examples": [number]}
        for channel, count in changes
    ]
    return dict.fromkeys(COUNTS, number) | {"changes": found, "next": following}


def test_pages_of_a_replay_are_added_up() -> None:
    told = added_up([page(1, "a", ("push", 2)), page(4, None, ("email", 9), ("push", 3))])

    assert {told[name] for name in COUNTS} == {5}
    assert told["next"] is None
    assert [(each["channel"], each["count"], each["examples"]) for each in told["changes"]] == [
        ("email", 9, [4]), ("push", 5, [1])
    ]  # fmt: skip
