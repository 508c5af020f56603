"""A delivery: one notification to one address, its states, and the moves between them.

    pending(due_at) ─▶ sending(lease) ─▶ sent ─▶ delivered | undelivered
        ▲                 │      └─────▶ unknown ─▶ sent | pending | failed | delivered | undelivered
        └──── retry ──────┘
    pending and sending also end as suppressed, expired, superseded, cancelled or failed, each with a reason.
    A receipt also moves sending to delivered or undelivered, and pending to sent or delivered; and where it tells of a
    trouble that passes, sending, sent or unknown to pending, for one later try.
    What goes out as part of a digest, a delivery of its own, is collected from the beginning; it ends as superseded,
    cancelled or expired where that happens before its digest is sent.

A receipt may come before the worker has written down that it sent: the provider has seen what the worker only hopes, so
its word stands. It may also come late, about a message that was unknown and is pending once more: what the provider has
is then not sent again.

A state never moves backward; `MOVES` is the only place that says what may follow what, and the store builds its
conditions from it.
"""

from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal


class State(StrEnum):
    """The states of a delivery."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    COLLECTED = "collected"
    FAILED = "failed"


_ENDS: Final = frozenset({State.SUPPRESSED, State.EXPIRED, State.SUPERSEDED, State.CANCELLED, State.FAILED})

MOVES: Final[dict[State, frozenset[State]]] = {
    State.PENDING: _ENDS | {State.SENDING, State.SENT, State.DELIVERED},
    State.SENDING: _ENDS | {State.PENDING, State.SENT, State.UNKNOWN, State.DELIVERED, State.UNDELIVERED},
    State.SENT: frozenset({State.DELIVERED, State.UNDELIVERED, State.PENDING}),
    State.UNKNOWN: frozenset({State.SENT, State.PENDING, State.FAILED, State.DELIVERED, State.UNDELIVERED}),
    State.COLLECTED: frozenset({State.EXPIRED, State.SUPERSEDED, State.CANCELLED}),
    **{end: frozenset() for end in (*_ENDS, State.DELIVERED, State.UNDELIVERED)},
}

OPEN: Final = frozenset({State.PENDING, State.SENDING})
"""States in which the message can still be sent."""

UNREACHED: Final = frozenset({State.SUPPRESSED, State.EXPIRED, State.FAILED, State.UNDELIVERED})
"""Final states in which the person was not reached: the next fallback channel need not wait any longer."""

TOLD: Final = frozenset({State.SENDING, State.SENT, State.DELIVERED, State.UNKNOWN})
"""States in which the person was reached, or may have been."""

DEAD: Final = (State.FAILED, State.UNDELIVERED)
"""States in which a delivery waits for a person, who sends it again or lets it be."""

OVER: Final = frozenset({*_ENDS, State.SENT, State.DELIVERED} - {State.FAILED})
"""States in which neither the clock nor a person has anything left to do: at most a receipt is still to come."""

TERMINAL: Final = frozenset(state for state, nexts in MOVES.items() if not nexts)


def may_move(before: State, after: State) -> bool:
    """Whether a delivery may go from one state to the other."""
    return after in MOVES[before]


def may_come_before(after: State) -> frozenset[State]:
    """The states from which `after` can be reached in one move."""
    return frozenset(before for before, nexts in MOVES.items() if after in nexts)


CHANNELS: Final = sorted(folder.parent.name for folder in Path(__file__).parents[1].glob("channels/*/spec.py"))
"""The folders of `notifier.channels`."""

if TYPE_CHECKING:

    class Channel(StrEnum):
        """How a message travels: a folder of `notifier.channels` by its name (`notifier.domain.channels` looks it up).

        `NONE` marks the row of a recipient whom no channel could reach.
        """

        NONE = "none"

    ChannelName = str
    """A channel that people and services can name."""
else:
    Channel = StrEnum("Channel", {**{name.upper(): name for name in CHANNELS}, "NONE": "none"})
    ChannelName = Literal[tuple(CHANNELS)]

HeldChannel = str
"""A channel as a row names it: maybe one that only another release has, as while one is rolled out. What is read to be
shown holds such names, of which `channel_of` makes channels; what is read to be sent is of known channels alone."""

_BY_NAME: Final = {channel.value: channel for channel in Channel}


class Lane(StrEnum):
    """Queues by urgency: a campaign in `bulk` never stands before an alert in `urgent`."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


class Reason(StrEnum):
    """Why a delivery was not sent, in words that explain pages and metrics share."""

    UNKNOWN_RECIPIENT = "unknown_recipient"
    UNKNOWN_SEGMENT = "unknown_segment"
    EMPTY_AUDIENCE = "empty_audience"
    NO_ADDRESS = "no_address"
    SWITCHED_OFF = "switched_off"
    REPEAT = "repeat"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    RECIPIENT_GONE = "recipient_gone"
    TYPE_GONE = "type_gone"
    RENDER_FAILED = "render_failed"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    LEASE_EXPIRED = "lease_expired"
    QUARANTINED = "quarantined"
    NOT_RESENT = "not_resent"
    STOPPED = "stopped"
    BOUNCED = "bounced"
    BAD_NUMBER = "bad_number"
    NO_CONSENT = "no_consent"
    OVER_CAP = "over_cap"
    QUIET_HOURS = "quiet_hours"
    LEGAL_WINDOW = "legal_window"
    DIGEST = "digest"
    WAITS_TURN = "waits_turn"
    REACHED = "reached"
    NOT_TOLD = "not_told"
    ACKNOWLEDGED = "acknowledged"
    NOTHING_LEFT = "nothing_left"
    CAMPAIGN_PAUSED = "campaign_paused"
    CAMPAIGN_ENDED = "campaign_ended"
    COMPLAINTS = "complaints"
    BOUNCES = "bounces"
    HELD_BACK = "held_back"
    WAITS_TO_COMPARE = "waits_to_compare"


def check_moves(moves: Iterable[tuple[State, State]]) -> None:
    """Raise ValueError for the first move that `MOVES` doesn't allow."""
    for before, after in moves:
        if not may_move(before, after):
            raise ValueError(f"a delivery can't go from {before} to {after}")


def channel_of(name: HeldChannel) -> Channel | None:
    """The channel of a name that a row holds; None where only another release has it."""
    return _BY_NAME.get(name)


def by_queue(due: Iterable[tuple[str, Channel, Lane]]) -> dict[tuple[Channel, Lane], list[str]]:
    """Group delivery ids by their queue."""
    queues: defaultdict[tuple[Channel, Lane], list[str]] = defaultdict(list)
    for id_, channel, lane in due:
        queues[channel, lane].append(id_)
    return queues
