"""Who hears of an event, on which channels, when, or why not: pure functions, no I/O."""

from notifier.policy.deciding import Answer, decide
from notifier.policy.identity import Outdated, about, audiences, delivery_id, outdates, sameness
from notifier.policy.rules import Action, Case, Rule, Verdict, judge, trace

__all__ = [
    "Action", "Answer", "Case", "Outdated", "Rule", "Verdict", "about", "audiences", "decide", "delivery_id", "judge",
    "outdates", "sameness", "trace",
]  # fmt: skip
