"""The rules, each a pure function, in the order in which they are asked. The first that says something decides.

    address · expiry · suppression · consent · mandatory · everything off · locked · category × channel · category ·
    channel · tenant · type · cap · quiet hours · legal window

A suppressed address (STOP, a bounce, a bad number) stands over even a mandatory type: the carrier refuses it, and a
STOP outranks everything. A mandatory message takes the channels that are left: no switch and no cap stands before it
(but a limit that the policy gives its very type), but the person's quiet hours do, unless it is about security.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import time
from enum import StrEnum
from functools import lru_cache
from typing import Literal, cast

import msgspec

from notifier.domain.catalog import NotificationType
from notifier.domain.deliveries import Channel, ChannelName, Reason
from notifier.domain.preferences import Choices, Defaults, QuietHours
from notifier.domain.recipient_facts import EVERY_TYPE, RecipientFacts, of_type
from notifier.domain.regulation import Cap, Regulation, Window
from notifier.domain.twins import like, plain
from notifier.policy.digesting import digest_due
from notifier.policy.hours import next_free

Action = Literal["send", "hold", "suppress", "expire"]


class Rule(StrEnum):
    """The rule that decided, by its name."""

    ADDRESS = "address"
    EXPIRY = "expiry"
    SUPPRESSION = "suppression"
    CONSENT = "consent"
    MANDATORY = "mandatory"
    EVERYTHING = "everything_off"
    LOCKED = "locked"
    CATEGORY_CHANNEL = "category_channel"
    CATEGORY = "category"
    CHANNEL = "channel"
    TENANT = "tenant"
    TYPE = "type_default"
    CAP = "cap"
    QUIET_HOURS = "quiet_hours"
    LEGAL_WINDOW = "legal_window"
    EXPERIMENT = "experiment"  # said by no rule of `RULES`, but of the answers that these give (`trying`)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a rule says: `until` where it holds (None where it can't say when), `by` which tenant or window it was."""

    action: Action
    rule: Rule
    reason: Reason | None = None
    until: int | None = None
    by: str | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One type for one person on one channel, at a moment (`at`)."""

    kind: NotificationType
    channel: Channel
    facts: RecipientFacts
    expires_at: int
    at: int
    regulation: Regulation
    counted: bool = True  # False once its place under the cap is taken: at the last look before the wire


Ask = Callable[[Case], Verdict | None]


def address(case: Case) -> Verdict | None:
    if case.channel in case.facts.reachable:
        return None
    return Verdict("suppress", Rule.ADDRESS, Reason.NO_ADDRESS)


def expiry(case: Case) -> Verdict | None:
    return Verdict("expire", Rule.EXPIRY, Reason.EXPIRED) if case.expires_at <= case.at else None


def suppression(case: Case) -> Verdict | None:
    reason = case.facts.suppressed.get(case.channel)
    return None if reason is None else Verdict("suppress", Rule.SUPPRESSION, Reason(reason))


def consent(case: Case) -> Verdict | None:
    if case.kind.class_ != "marketing" or case.facts.consented(case.kind.category, case.channel):
        return None
    return Verdict("suppress", Rule.CONSENT, Reason.NO_CONSENT)


def mandatory(case: Case) -> Verdict | None:
    """Security goes at once; what else can't be switched off still waits for the person's morning."""
    if case.kind.waits_for_morning or not case.kind.is_mandatory_on(case.channel):
        return None
    return Verdict("send", Rule.MANDATORY)


def everything(case: Case) -> Verdict | None:
    if case.facts.preferences.everything or case.kind.is_mandatory_on(case.channel):
        return None
    if locked_by(case.kind, case.channel, case.facts) is not None:
        return None
    return _off(Rule.EVERYTHING)


def switches(case: Case) -> Verdict | None:
    if case.kind.is_mandatory_on(case.channel):
        return None
    return switched_off(case.kind, case.channel, case.facts)


def switched_off(kind: NotificationType, channel: Channel, facts: RecipientFacts) -> Verdict | None:
    """The verdict of the preference that switches a type off on a channel; None if none does."""
    on, rule, by = switched(kind, channel, facts)
    return None if on else _off(rule, by)


def switched(kind: NotificationType, channel: Channel, facts: RecipientFacts) -> tuple[bool, Rule, str | None]:
    """What the first level says that has a word on this cell, row or column; by which switch, and which tenant's."""
    category = kind.category
    lock = locked_by(kind, channel, facts)
    if lock is not None:
        name, locked = lock
        return _choice(locked, category, channel)[0] is not False, Rule.LOCKED, name
    on, rule = _choice(facts.preferences, category, channel)
    if on is not None:
        return on, rule, None
    for name, defaults in facts.defaults:
        on, _ = _choice(defaults, category, channel)
        if on is not None:
            return on, Rule.TENANT, name
    return channel not in kind.off_by_default, Rule.TYPE, None


def cap(case: Case) -> Verdict | None:
    if not case.counted or not case.facts.sends_in_window:
        return None
    if over_type(case) or over_person(case):
        return Verdict("suppress", Rule.CAP, Reason.OVER_CAP)
    limit = case.regulation.caps.get(case.kind.category)
    if limit is None or case.kind.is_mandatory_on(case.channel):
        return None
    told = case.facts.sends_in_window.get(like(case.kind.category, case.kind.id), ())
    if len(told) < limit.most:
        return None
    sent = sorted(at for at in told if at > case.at - limit.milliseconds)
    if len(sent) < limit.most:
        return None
    if case.kind.over_cap == "suppress":
        return Verdict("suppress", Rule.CAP, Reason.OVER_CAP)
    return Verdict("hold", Rule.CAP, Reason.OVER_CAP, sent[len(sent) - limit.most] + limit.milliseconds)


def over_type(case: Case) -> bool:
    """Whether the type has told the person, within its window around a moment, as often as it may.

    What is mandatory is held back only by a limit that names its type. What joins a digest is no message of its own.
    """
    kind = case.kind
    if kind.is_mandatory_on(case.channel) and plain(kind.id) not in case.regulation.types:
        return False
    return _over(case, case.regulation.limit_of(kind.id, kind.category), kind.id)


def over_person(case: Case) -> bool:
    """Whether all types together have told the person, within the window around a moment, as often as they may.

    What is mandatory is not held back, but counts. What joins a digest is no message of its own.
    """
    every = like(EVERY_TYPE, case.kind.id)
    return not case.kind.is_mandatory_on(case.channel) and _over(case, case.regulation.per_person, every)


def _over(case: Case, limit: Cap | None, type_id: str) -> bool:
    told = case.facts.sends_in_window.get(of_type(type_id), ())
    if limit is None or len(told) < limit.most:
        return False
    digest = digest_due(case.kind, case.channel, case.facts, case.at)
    if digest is not None and digest < case.expires_at:
        return False
    return sum(abs(at - case.at) < limit.milliseconds for at in told) >= limit.most


def quiet_hours(case: Case) -> Verdict | None:
    if not case.kind.waits_for_morning:
        return None
    quiet, by = quiet_of(case.facts)
    if quiet is None:
        return None
    free = _quiet_until(case.at, case.facts.zone, quiet)
    return None if free == case.at else Verdict("hold", Rule.QUIET_HOURS, Reason.QUIET_HOURS, free, by)


def legal_window(case: Case) -> Verdict | None:
    if case.kind.class_ != "marketing":
        return None
    name, window = case.regulation.window(case.facts.region)
    free = _closed_until(case.at, case.facts.zone, window)
    return None if free == case.at else Verdict("hold", Rule.LEGAL_WINDOW, Reason.LEGAL_WINDOW, free, name)


RULES: tuple[tuple[str, Ask], ...] = (
    ("address", address),
    ("expiry", expiry),
    ("suppression", suppression),
    ("consent", consent),
    ("mandatory", mandatory),
    ("everything", everything),
    ("switches", switches),
    ("cap", cap),
    ("quiet_hours", quiet_hours),
    ("legal_window", legal_window),
)
_ASKS = tuple(ask for _, ask in RULES)
_TIMED = (expiry, cap, quiet_hours, legal_window)  # those that may say another thing later, in the same order
SHARED = 4096  # zones times quiet hours that people have in common: those of one batch ask the same of the same moment
MAX_HOLDS = 20  # a hold may end within another one: at most every weekday's quiet hours and window, and some


def judge(case: Case) -> Verdict:
    """The answer: send, hold until, suppress or expire.

    Where one hold ends within another the later end counts; a hold that nobody can end, or that outlasts the time to
    live, is an expiry for the hold's reason.
    """
    held: Verdict | None = None
    asks: Sequence[Ask] = _ASKS
    for _ in range(MAX_HOLDS):
        verdict = _first(case, asks)
        if verdict is None or verdict.action == "send":
            return held or verdict or _sent(case)
        if verdict.action != "hold":
            return verdict if held is None or verdict.action != "expire" else _outlasted(held)
        held = verdict
        if verdict.until is None or verdict.until >= case.expires_at:
            break
        case, asks = msgspec.structs.replace(case, at=verdict.until), _TIMED
    return _outlasted(held) if held is not None else _sent(case)


def trace(case: Case) -> Iterator[tuple[str, Verdict | None]]:
    """Every rule's answer at one moment, by the rule's name, whether or not one before it has decided."""
    for name, ask in RULES:
        yield name, ask(case)


def _first(case: Case, asks: Sequence[Ask]) -> Verdict | None:
    for ask in asks:
        verdict = ask(case)
        if verdict is not None:
            return verdict
    return None


def _sent(case: Case) -> Verdict:
    """Send what no rule has refused."""
    return Verdict("send", Rule.MANDATORY if case.kind.is_mandatory_on(case.channel) else Rule.TYPE)


def _outlasted(held: Verdict) -> Verdict:
    return msgspec.structs.replace(held, action="expire", until=held.until)


def _off(rule: Rule, by: str | None = None) -> Verdict:
    return Verdict("suppress", rule, Reason.SWITCHED_OFF, None, by)


def quiet_of(facts: RecipientFacts) -> tuple[QuietHours | None, str | None]:
    """The quiet hours that hold for a person, and which tenant presets them where it isn't their own choice."""
    if facts.preferences.quiet_hours is not None:
        return facts.preferences.quiet_hours, None
    for name, defaults in facts.defaults:
        if defaults.quiet_hours is not None:
            return defaults.quiet_hours, name
    return None, None


# People of one zone are asked about the same moment, a batch of them at a time.
@lru_cache(SHARED)
def _quiet_until(at: int, zone: str, quiet: QuietHours) -> int | None:
    return next_free(at, zone, lambda shown: quiet.hold(shown.time()), [time.fromisoformat(quiet.ends)])


@lru_cache(SHARED)
def _closed_until(at: int, zone: str, window: Window) -> int | None:
    return next_free(at, zone, lambda shown: not window.open_at(shown), window.openings())


def locked_by(kind: NotificationType, channel: Channel, facts: RecipientFacts) -> tuple[str, Defaults] | None:
    """The nearest tenant that lets nobody choose here, by its name, and what it presets."""
    return next((each for each in facts.defaults if each[1].locks(kind.category, channel)), None)


def _choice(choices: Choices, category: str, channel: Channel) -> tuple[bool | None, Rule]:
    """What one level says of a cell, and by which of its switches; None where it says nothing."""
    name = cast("ChannelName", channel)
    cell = choices.switches.get(category, {}).get(name)
    if cell is not None:
        return cell, Rule.CATEGORY_CHANNEL
    row = choices.categories.get(category)
    if row is not None:
        return row, Rule.CATEGORY
    return choices.channels.get(name), Rule.CHANNEL
