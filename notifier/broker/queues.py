"""The queues, their name prefix, and which worker processes take them."""

from typing import Final

from notifier.domain.deliveries import Channel, Lane

NAMESPACE: Final = "notifier"
"""What the names of all keys and queues in a broker begin with; a colon and the installation's own name follow."""

DECIDE: Final = "decide"
DECIDE_URGENT: Final = "decide.urgent"
"""Events that somebody has to hear of at once: no burst of others is decided before them."""
EXPAND: Final = "expand"
ASK: Final = "ask"
CAREFUL: Final = "careful"
"""Whatever may have ended a worker, one row a message, one message at a time: it can take nothing else with it."""
LANES: Final[dict[tuple[Channel, Lane], str]] = {
    (channel, lane): f"{channel}.{lane}" for channel in Channel if channel != Channel.NONE for lane in Lane
}

PROMPT: Final = [DECIDE_URGENT, DECIDE, ASK, *(queue for (_, lane), queue in LANES.items() if lane != Lane.BULK)]
BULK: Final = [queue for (_, lane), queue in LANES.items() if lane == Lane.BULK]
BACKGROUND: Final = ([CAREFUL, EXPAND], [CAREFUL, *BULK])
"""For two worker processes: what campaigns go through, and what may end one of them. The other goes on with what waits
behind that."""
QUEUES: Final = [*PROMPT, CAREFUL, EXPAND, *BULK]


def prefetch(queue: str, wanted: int) -> int:
    """How many of a queue's messages a process may hold: those it holds when it dies have to be signalled again."""
    return 1 if queue == CAREFUL else wanted
