"""Who hears of an event, on which channels, when, or why not: pure functions, no I/O."""

from notifier.policy.deciding import ChannelAnswer, case_of, decide
from notifier.policy.grid import CategoryRow, Cell, Spot, choose, consents, make_grid, may_switch, switch
from notifier.policy.identity import (
    NEVER,
    Outdated,
    audiences,
    collapse_key,
    delivery_id,
    digest_group,
    expires_at,
    outdates,
    outdates_for_many,
    own_audiences,
    subject_key,
    useless_from,
)  # fmt: skip
from notifier.policy.rules import Action, Case, Rule, Verdict, judge, trace

__all__ = [
    "NEVER",
    "Action",
    "Case",
    "CategoryRow",
    "Cell",
    "ChannelAnswer",
    "Outdated",
    "Rule",
    "Spot",
    "Verdict",
    "audiences",
    "case_of",
    "choose",
    "collapse_key",
    "consents",
    "decide",
    "delivery_id",
    "digest_group",
    "expires_at",
    "judge",
    "make_grid",
    "may_switch",
    "outdates",
    "outdates_for_many",
    "own_audiences",
    "subject_key",
    "switch",
    "trace",
    "useless_from",
]  # fmt: skip
