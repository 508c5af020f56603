"""Campaigns: events of marketing that address a segment, and when one is paused because people don't want it."""

from enum import StrEnum
from typing import Final

import msgspec

from notifier.domain.catalog import NotificationType
from notifier.domain.deliveries import Reason

COMPLAINTS_IN: Final = 1_000
"""Mails of which one may be complained of: large mailbox providers ask for less than 0.1 %."""
LEAST_COMPLAINTS: Final = 3
"""Complaints before which none is too many: one or two people are no judgement on a campaign."""
LEAST_COMPLAINED_OF: Final = 1_000
"""Mails sent before complaints are held against them: of fewer a single one is above the rate."""

BOUNCES_IN: Final = 20
"""Mails of which one may come back: more than 5 % are a list that was bought or is years old, and providers judge
a sender by them."""
LEAST_BOUNCES: Final = 10
"""Bounces before which none is too many: one domain that is away for a day must not stop a campaign."""
LEAST_BOUNCED_OF: Final = 100
"""Mails sent before bounces are held against them."""

NEVER: Final = 250_000_000_000_000
"""An instant in the year 9892, from which on paused deliveries are due: each campaign's at an instant of its own, by
which the index of what is due finds them, and nobody else does."""


class CampaignState(StrEnum):
    """Whether what is left of a campaign goes out: a person has let a paused one go on (`lifted`), or ended it."""

    RUNNING = "running"
    PAUSED = "paused"
    LIFTED = "lifted"
    ENDED = "ended"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Mails of a campaign that were sent, that came back, and that were called spam."""

    sent: int = 0
    undelivered: int = 0
    complained: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            sent=self.sent + other.sent, undelivered=self.undelivered + other.undelivered,
            complained=self.complained + other.complained,
        )  # fmt: skip


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """That a campaign was paused, at an instant, and what a person has made of it since."""

    state: CampaignState
    paused_at: int
    handled_at: int | None = None

    @property
    def until(self) -> int:
        """When the campaign's deliveries are due while it is paused."""
        return NEVER + self.paused_at

    def lasted(self, created_at: int) -> int:
        """Milliseconds for which a delivery of before its end waited: its time to live is longer by as much."""
        return 0 if self.handled_at is None else max(self.handled_at - max(self.paused_at, created_at), 0)


def is_campaign(kind: NotificationType) -> bool:
    """Whether a type's events are campaigns."""
    return kind.class_ == "marketing" and kind.audience == "segment"


def fault(counts: Counts) -> Reason | None:
    """Why a campaign is to be paused; None while it isn't."""
    complained, undelivered, sent = counts.complained, counts.undelivered, counts.sent
    if complained >= LEAST_COMPLAINTS and sent >= LEAST_COMPLAINED_OF and complained * COMPLAINTS_IN > sent:
        return Reason.COMPLAINTS
    if undelivered >= LEAST_BOUNCES and sent >= LEAST_BOUNCED_OF and undelivered * BOUNCES_IN > sent:
        return Reason.BOUNCES
    return None
