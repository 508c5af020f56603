"""Who hears of an event, on which channels, when, or why not: pure functions, no I/O."""

from notifier.policy.deciding import Answer, decide
from notifier.policy.identity import (
    NEVER,
    Outdated,
    about,
    audiences,
    delivery_id,
    digest_group,
    expires_at,
    outdates,
    sameness,
    useless_from,
)  # fmt: skip
from notifier.policy.rules import Case, Rule, Verdict, judge, trace

__all__ = [
    "NEVER", "Answer", "Case", "Outdated", "Rule", "Verdict", "about", "audiences", "decide", "delivery_id",
    "digest_group", "expires_at", "judge", "outdates", "sameness", "trace", "useless_from",
]  # fmt: skip
