"""Who hears of an event, on which channels, when, or why not: pure functions, no I/O."""

from notifier.policy.deciding import ChannelAnswer, case_of, decide
from notifier.policy.grid import CategoryRow, Cell, Spot, choose, consents, make_grid, may_switch, switch
from notifier.policy.identity import (
    NEVER,
    Outdated,
    answered,
    audiences,
    collapse_key,
    concerns_many,
    delivery_id,
    digest_group,
    expires_at,
    outdates,
    own_audiences,
    person_key,
    subject_key,
    useless_from,
)  # fmt: skip
from notifier.policy.rules import Action, Case, Rule, Verdict, judge, trace
from notifier.policy.trying import BY_EXPERIMENT, SPEAKING, try_out

__all__ = [
    "BY_EXPERIMENT",
    "NEVER",
    "SPEAKING",
    "Action",
    "Case",
    "CategoryRow",
    "Cell",
    "ChannelAnswer",
    "Outdated",
    "Rule",
    "Spot",
    "Verdict",
    "answered",
    "audiences",
    "case_of",
    "choose",
    "collapse_key",
    "concerns_many",
    "consents",
    "decide",
    "delivery_id",
    "digest_group",
    "expires_at",
    "judge",
    "make_grid",
    "may_switch",
    "outdates",
    "own_audiences",
    "person_key",
    "subject_key",
    "switch",
    "trace",
    "try_out",
    "useless_from",
]  # fmt: skip
