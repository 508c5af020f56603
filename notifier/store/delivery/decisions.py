"""Decisions, and the short form in which they stand in their table: what goes without saying is left out, and moments
are told by how far they are from the decision.

    answers   [["push", "019c…cd9b"], ["sms", "019c…61dd", "suppressed", "address", "no_address"]]
    standing  ["de", "Europe/Berlin", ["push", "email"], {"spent": {"type:": [-3600000]}}]

A row is written for each person and type, so this form decides how much an event writes. What it leaves out is part of
every row that was ever written: whoever changes it, or a default of what it holds, migrates those rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from notifier.domain.deliveries import State
from notifier.domain.preferences import NO_PREFERENCES, Choices, Defaults, Preferences
from notifier.domain.recipient_facts import RecipientFacts, of_type
from notifier.policy import Rule

Answer = Mapping[str, Any]
"""What was decided for a channel: `channel`, `delivery` (its id), `answer` (the delivery's first state), `rule`,
`reason`, `due_at`, and `by` where a preset or a window decided."""

PLAIN: Final[tuple[Any, ...]] = (State.PENDING, Rule.TYPE, None, 0, None)
"""A stored answer has a channel, its delivery's id, then its answer, rule, reason, milliseconds from the decision until
it is due, and `by`; it ends before the values that are these."""

UNSAID: Final[tuple[Any, ...]] = ("en", "UTC", frozenset(), {})
"""Stored facts have the locale, the time zone, the channels that reach the person, and the rest by name; they end
before the values that are these."""

OWN_TYPE: Final = of_type("")
"""The name in stored `spent` of the type that is decided."""

_NOTHING_CHOSEN: Final[dict[type[Choices], tuple[tuple[str, Any], ...]]] = {
    kind: tuple(msgspec.structs.asdict(kind()).items()) for kind in (Preferences, Defaults)
}
_PREFERENCES: Final = msgspec.to_builtins(Preferences())
_PRESET: Final = msgspec.to_builtins(Defaults())
_BY_NAME: Final = ("consents", "suppressed", "region")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The decision for one recipient: one answer per channel, and the recipient's facts at the time."""

    event_id: str
    type: str
    recipient_id: str
    decided_at: int
    answers: list[dict[str, Any]]
    standing: RecipientFacts | None = None


def stored(decisions: Iterable[Decision]) -> list[dict[str, Any]]:
    """Make the rows of decisions, by columns."""
    return [
        {
            "event_id": made.event_id,
            "type": made.type,
            "recipient_id": made.recipient_id,
            "decided_at": made.decided_at,
            "answers": [_short_answer(each, made.decided_at) for each in made.answers],
            "standing": None if made.standing is None else _short_facts(made.standing, made.type, made.decided_at),
        }
        for made in decisions
    ]


def answers_told(row: Any) -> list[dict[str, Any]]:
    """The answers of a row of `decision`, with all their members."""
    return [_told(row.decided_at, *each) for each in msgspec.json.decode(row.answers, type=list[list[Any]])]


def _told(decided_at: int, channel: str, delivery: str | None, *rest: Any) -> dict[str, Any]:
    answer, rule, reason, due_in, by = (*rest, *PLAIN[len(rest) :])[: len(PLAIN)]
    told = {
        "channel": channel, "answer": answer, "reason": reason, "due_at": decided_at + due_in, "rule": rule,
        "delivery": delivery,
    }  # fmt: skip
    return told if by is None else told | {"by": by}


def facts_told(row: Any) -> dict[str, Any] | None:
    """The person's facts in a row of `decision`, by the names of `RecipientFacts`, also what only another release
    understands; None where nobody was known or they aren't kept."""
    short = None if row.standing is None else msgspec.json.decode(row.standing, type=list[Any] | None)
    if short is None:  # MariaDB keeps a null as JSON's
        return None
    locale, time_zone, reachable, named = (*short, *UNSAID[len(short) :])[: len(UNSAID)]
    told = {
        **named,
        "preferences": _PREFERENCES | named.get("preferences", {}),
        "defaults": [[tenant, _PRESET | preset] for tenant, preset in named.get("defaults", ())],
        "locale": locale,
        "time_zone": time_zone,
        "reachable": reachable,
        "spent": {
            of_type(row.type) if name == OWN_TYPE else name: [row.decided_at + each for each in since]
            for name, since in named.get("spent", {}).items()
        },
    }
    return {name: value for name, value in told.items() if value}


def _short_answer(told: Answer, decided_at: int) -> tuple[Any, ...]:
    rest = (told["answer"], told["rule"], told["reason"], told["due_at"] - decided_at, told.get("by"))
    return (told["channel"], told["delivery"], *_shortened(rest, PLAIN))


def _short_facts(facts: RecipientFacts, type_id: str, decided_at: int) -> tuple[Any, ...]:
    named: dict[str, Any] = {}
    for name in _BY_NAME:
        if value := getattr(facts, name):
            named[name] = value
    if facts.preferences != NO_PREFERENCES:
        named["preferences"] = _chosen(facts.preferences)
    if facts.defaults:
        named["defaults"] = [(tenant, _chosen(preset)) for tenant, preset in facts.defaults]
    if facts.sends_in_window:
        named["spent"] = _since(facts.sends_in_window, of_type(type_id), decided_at)
    return _shortened((facts.locale, facts.time_zone, facts.reachable, named), UNSAID)


def _since(sent: Mapping[str, Sequence[int]], own: str, decided_at: int) -> dict[str, Sequence[int]]:
    return {
        OWN_TYPE if name == own else name: moments and [each - decided_at for each in moments]
        for name, moments in sent.items()
    }  # fmt: skip


def _chosen(choices: Choices) -> dict[str, Any]:
    return {
        name: value for name, none in _NOTHING_CHOSEN[type(choices)] if (value := getattr(choices, name)) != none
    }  # fmt: skip


def _shortened(values: tuple[Any, ...], silent: tuple[Any, ...]) -> tuple[Any, ...]:
    if values == silent:
        return ()
    end = len(values)
    while values[end - 1] == silent[end - 1]:
        end -= 1
    return values[:end]
