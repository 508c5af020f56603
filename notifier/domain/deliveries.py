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
from hashlib import blake2b
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
"""States in which the message can still go out."""

UNREACHED: Final = frozenset({State.SUPPRESSED, State.EXPIRED, State.FAILED, State.UNDELIVERED})
"""Ends after which the person has not heard of it: the next channel need not wait any longer."""

TOLD: Final = frozenset({State.SENDING, State.SENT, State.DELIVERED, State.UNKNOWN})
"""States in which the person has heard of it, or may have."""

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


def make_id(*parts: str) -> str:
    """The id of what these parts make the same thing: 32 hex digits (BLAKE2b, 128 bits).

    An event's id is the hash of its source and the id its source gave it; a delivery's is the hash of its type,
    collapse key, recipient, channel and address. So what is the same twice has one row, whoever writes it and however
    often.
    """
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    framed = b"".join([len(data).to_bytes(4, "big") + data for data in encoded])
    return blake2b(framed, digest_size=16).hexdigest()


def check_moves(moves: Iterable[tuple[State, State]]) -> None:
    """Raise ValueError for the first move that `MOVES` doesn't allow."""
    for before, after in moves:
        if not may_move(before, after):
            raise ValueError(f"a delivery can't go from {before} to {after}")


def by_queue(due: Iterable[tuple[str, Channel, Lane]]) -> dict[tuple[Channel, Lane], list[str]]:
    """Group delivery ids by their queue."""
    queues: defaultdict[tuple[Channel, Lane], list[str]] = defaultdict(list)
    for id_, channel, lane in due:
        queues[channel, lane].append(id_)
    return queues
