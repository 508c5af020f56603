"""How much fails of what is sent lately, by channel and by type, in words. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from notifier.domain.clock import MINUTE
from notifier.policy.phrases import REASONS
from notifier.store.reading.failing import OutcomeCount
from notifier.why.telling import meaning

SINCE = 5 * MINUTE  # milliseconds that are looked at: as long as providers' answers are
WARN, BAD = 0.03, 0.10  # shares that fail: a list with that many wrong addresses is usual; a tenth never is


class FailureShare(NamedTuple):
    """Of a channel or a type, how many failed of how many were tried, and what was said of most of them."""

    name: str
    failed: int
    tried: int
    said: str

    @property
    def share(self) -> float:
        """The part that failed."""
        return self.failed / self.tried

    @property
    def tone(self) -> str:
        """How it looks."""
        return "bad" if self.share >= BAD else "warn" if self.share >= WARN else "good"


class Failures(NamedTuple):
    """What fails at `at`, the worst first, how many dead letters wait, and how many were given up of `older` messages,
    which are in no share."""

    at: int
    worst: Sequence[FailureShare]
    tried: int
    dead: int
    older: int = 0

    @property
    def tone(self) -> str:
        """How all of it looks: as the worst of it, and never good while older messages are given up."""
        return self.worst[0].tone if self.worst else "warn" if self.older else "good"


def failing(outcomes: Sequence[OutcomeCount], names: dict[str, str]) -> list[FailureShare]:
    """Each channel and type of which more than `WARN` fails, the worst first; `names` are the types'."""
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
    return f"{code}, {meaning(outcome.channel, code) or reason or 'which is not in our table'}"
