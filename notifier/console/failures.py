"""Failure rates of recent deliveries by channel and by type, with their main cause in words. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from notifier.domain.clock import MINUTE
from notifier.policy.phrases import REASONS
from notifier.store.reading.failing import OutcomeCount
from notifier.why.telling import meaning

SINCE = 5 * MINUTE  # milliseconds of the window: the same as for providers' answers
WARN, BAD = 0.03, 0.10  # failure rates: a list with 3 % wrong addresses is usual; 10 % never is


class FailureShare(NamedTuple):
    """A channel's or type's failed and attempted deliveries, and the most frequent error."""

    name: str
    failed: int
    tried: int
    said: str

    @property
    def share(self) -> float:
        """Return the failed share, from 0 to 1."""
        return self.failed / self.tried

    @property
    def tone(self) -> str:
        """Return the colour of this failure rate."""
        return "bad" if self.share >= BAD else "warn" if self.share >= WARN else "good"


class Failures(NamedTuple):
    """Failure rates at `at`, the worst first, the number of waiting dead letters, and the number of `older` messages
    given up, which no rate counts."""

    at: int
    worst: Sequence[FailureShare]
    tried: int
    dead: int
    older: int = 0

    @property
    def tone(self) -> str:
        """Return the colour of the whole: that of the worst rate, and never good while older messages are given up."""
        return self.worst[0].tone if self.worst else "warn" if self.older else "good"


def failing(outcomes: Sequence[OutcomeCount], names: dict[str, str]) -> list[FailureShare]:
    """Return each channel and type with a failure rate of at least `WARN`, the worst first; `names` are the types'
    names."""
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for each in outcomes:
        if each.older:
            continue
        for name in (str(each.channel), names.get(each.type, each.type)):
            tried[name] += each.number
            if each.failed:
                failed[name] += each.number
                said[name][_said(each)] += each.number
    found = [FailureShare(name, count, tried[name], said[name].most_common(1)[0][0]) for name, count in failed.items()]
    return sorted((each for each in found if each.share >= WARN), key=lambda each: (-each.share, -each.failed))


def _said(outcome: OutcomeCount) -> str:
    code = outcome.code or outcome.tried
    reason = REASONS.get(outcome.reason or "", (outcome.reason or "").replace("_", " "))
    if code is None:
        return reason or "no answer yet"
    return f"{code}, {meaning(outcome.channel, code) or reason or 'an unknown code'}"
