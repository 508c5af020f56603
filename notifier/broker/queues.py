"""The queues, their name prefix, and which worker processes take them."""

from typing import Final

from notifier.domain.deliveries import Channel, Lane

DECIDE: Final = "decide"
DECIDE_URGENT: Final = "decide.urgent"
"""Events of urgent notification types: no burst of other events is decided before them."""
DECIDE_LATER: Final = "decide.later"
"""Events of a key that reports far more than others, while those wait: decided as soon as nothing else is."""
EXPAND: Final = "expand"
ASK: Final = "ask"
CHANGES: Final = "changes"
"""Subscriptions that are to be told what became of deliveries."""
CAREFUL: Final = "careful"
"""Rows that may have crashed a worker: one row a message, one message at a time, so a crash affects no other row."""
LANES: Final[dict[tuple[Channel, Lane], str]] = {
    (channel, lane): f"{channel}.{lane}" for channel in Channel if channel != Channel.NONE for lane in Lane
}

PROMPT: Final = [
    DECIDE_URGENT, DECIDE, DECIDE_LATER, ASK, *(queue for (_, lane), queue in LANES.items() if lane != Lane.BULK),
]  # fmt: skip
BULK: Final = [queue for (_, lane), queue in LANES.items() if lane == Lane.BULK]
BACKGROUND: Final = ([CAREFUL, EXPAND, CHANGES], [CAREFUL, *BULK])
"""The queues of the two background worker processes: campaigns, subscriptions and rows that may crash a process. While
one restarts the other works on."""
QUEUES: Final = [*PROMPT, CAREFUL, EXPAND, CHANGES, *BULK]


def prefetch(queue: str, wanted: int) -> int:
    """How many of a queue's messages a process may hold: those it holds when it dies have to be signalled again."""
    return 1 if queue in (CAREFUL, DECIDE_LATER) else wanted
