"""Every rule, reason and state in plain English, in sentences that can be read aloud to the person they are about.

This is the one home of such words: explanations, simulations, dead letters and the command line all speak from here.
"""

from collections.abc import Callable, Mapping
from typing import Final

from notifier.domain.channels import spec
from notifier.domain.clock import DAY
from notifier.domain.deliveries import Channel, HeldChannel, State, channel_of
from notifier.domain.regulation import WEEKDAYS
from notifier.domain.twins import like
from notifier.policy.hours import local
from notifier.policy.rules import Case, Rule, Verdict, over_person, over_type, quiet_of, switched

THIS_WEEK = 6 * DAY  # milliseconds within which a weekday alone is unambiguous

REASONS: Final[Mapping[str, str]] = {
    "acknowledged": "somebody has acknowledged it",
    "address_gone": "the device, number or mailbox doesn't exist or can't receive",
    "attempts_exhausted": "every attempt failed, and no more are allowed",
    "bad_number": "the number doesn't exist or can't receive texts",
    "bounced": "mail to this mailbox came back",
    "bounces": "too many mails of the campaign came back",
    "campaign_ended": "its campaign was paused, and somebody has ended it",
    "campaign_paused": "its campaign is paused until somebody lets it go on",
    "cancelled": "the event no longer applies",
    "complaints": "too many people called mails of the campaign spam",
    "digest": "it is sent together with others",
    "empty_audience": "nobody is in its audience",
    "expired": "it is too late to be of use",
    "held_back": "it is held back from some people for a time, to see what it changes",
    "lease_expired": "the worker that was sending it ended, and the provider may have it",
    "legal_window": "marketing may not be sent at that hour where the person lives",
    "misconfigured": "our account, key or sender was misconfigured when it was sent",
    "no_address": "there is no device, number or mailbox to send it to",
    "no_consent": "the person has not consented, which marketing requires",
    "not_resent": "the provider may or may not have it, and its notification type forbids sending it twice",
    "not_told": "the person was never notified of what it resolves",
    "nothing_left": "nothing was left to send when the digest was due",
    "opted_out": "the person opted out at the carrier",
    "over_cap": "the person had reached a limit on messages",
    "quarantined": "it crashed worker after worker, or can't be decided; the workers' log has the error",
    "quiet_hours": "the person has quiet hours",
    "reached": "another channel reached the person",
    "recipient_gone": "the person is no longer registered",
    "refused": "the provider refuses it for good: its content, its size or its sender",
    "render_failed": "the message can't be made from its texts and data; the workers' log names the field",
    "repeat": "it is a duplicate of an earlier message",
    "stopped": "the person wrote STOP and has not written START since",
    "superseded": "a newer message superseded it",
    "switched_off": "the person, or a preset of their network, fleet or host, switched it off",
    "throttled": "the provider or the carrier limited the rate",
    "type_gone": "its notification type no longer exists",
    "unavailable": "the phone, the mailbox or the carrier could not be reached in time",
    "unknown": "the provider can't say what became of it",
    "unknown_segment": "the event names a segment that does not exist",
    "unknown_recipient": "nobody that the event names is registered",
    "waits_to_compare": "it goes out later to some people for a time, to see what that changes",
    "waits_turn": "another channel or another person on call comes first",
}
"""Every `Reason`, and every kind of error that a provider's answer can be."""

STATES: Final[Mapping[State, str]] = {
    State.PENDING: "waiting to be sent",
    State.SENDING: "a worker is sending it",
    State.SENT: "the provider accepted it",
    State.DELIVERED: "it arrived",
    State.UNDELIVERED: "it did not arrive",
    State.UNKNOWN: "the provider may or may not have it",
    State.SUPPRESSED: "not sent",
    State.EXPIRED: "not sent in time",
    State.SUPERSEDED: "not sent, because a newer message superseded it",
    State.CANCELLED: "not sent, because the event no longer applies",
    State.COLLECTED: "goes out as part of a digest",
    State.FAILED: "could not be sent",
}


def way(channel: HeldChannel) -> str:
    """A channel as the way of a message: "by push"; "on any channel" of a row that stands for none. One that only
    another release has is told by its name."""
    if channel == Channel.NONE:
        return "on any channel"
    known = channel_of(channel)
    return f"by {channel}" if known is None else spec(known).by


def _address(channel: Channel) -> str:
    return "address" if channel == Channel.NONE else spec(channel).address


def reason(name: str) -> str:
    """A reason in words; one that another version wrote is told as it is."""
    return REASONS.get(name, name.replace("_", " "))


def state(state: State, because: str | None) -> str:
    """Where a delivery is and why, in words."""
    own = because is None or because == state
    return STATES[state] if own else f"{STATES[state]}: {reason(str(because))}"


def moment(instant: int, zone: str, now: int) -> str:
    """An instant on the person's wall, seen from another: "07:00 on Tuesday", with its date where it is far off."""
    shown = local(instant, zone)
    day = f"{WEEKDAYS[shown.weekday()].capitalize()}"
    if abs(instant - now) > THIS_WEEK:
        day += f" {shown:%Y-%m-%d}"
    return f"{shown:%H:%M} on {day}"


def answer(state: State, because: str | None, due_at: int, decided_at: int, zone: str) -> str:
    """What was decided for a channel: "held until 07:00 on Tuesday, their time: the person has quiet hours"."""
    if state not in (State.PENDING, State.COLLECTED):
        return STATES[state] if because is None else f"{STATES[state]}: {reason(because)}"
    if due_at <= decided_at:
        return "to be sent immediately"
    until = f"held until {moment(due_at, zone, decided_at)}, their time"
    return until if because is None else f"{until}: {reason(because)}"


def rule(case: Case, name: str, said: Verdict | None) -> str:
    """What a rule (by its name in `rules.RULES`) answers about a case, also where it lets it pass."""
    if said is None:
        return f"{_PASSES[name](case)}."
    return f"{_told(case, said)}: {_outcome(case, said)}."


def _outcome(case: Case, said: Verdict) -> str:
    until = None if said.until is None else moment(said.until, case.facts.zone, case.at)
    match said.action:
        case "send":
            return "it may go out"
        case "hold":
            return "held, without a known end" if until is None else f"held until {until}, their time"
        case "suppress":
            return "not sent"
        case "expire":
            return "not sent, because it is too late to be of use" + (
                "" if until is None else f" at {until}, their time"
            )


def _told(case: Case, said: Verdict) -> str:
    """The fact that a rule goes by."""
    category, channel, by = case.kind.category, case.channel, said.by or "the network"
    match said.rule:
        case Rule.ADDRESS:
            return f"There is no {_address(channel)}"
        case Rule.EXPIRY:
            over = f"Its time to live of {case.kind.time_to_live} is over"
            return over if case.kind.until is None else f"{over}, or its “{case.kind.until}” is past"
        case Rule.SUPPRESSION:
            return f"The {_address(channel)} is suppressed ({reason(said.reason or 'suppressed')})"
        case Rule.CONSENT:
            return f"The person has not consented to {category} messages {way(channel)}, which marketing requires"
        case Rule.MANDATORY:
            return "The type is mandatory, so nobody can switch it off and no quiet hours apply"
        case Rule.EVERYTHING:
            return "The person switched everything off"
        case Rule.LOCKED:
            return f"{by} switched {category} messages {way(channel)} off for everybody"
        case Rule.CATEGORY_CHANNEL:
            return f"The person switched {category} messages {way(channel)} off"
        case Rule.CATEGORY:
            return f"The person switched {category} messages off"
        case Rule.CHANNEL:
            return f"The person switched messages {way(channel)} off"
        case Rule.TENANT:
            return f"{by} presets {category} messages {way(channel)} as off, and the person chose nothing else"
        case Rule.TYPE:
            if said.action == "send":
                return "No rule forbids it"
            return f"This type is sent {way(channel)} only to people who switched it on"
        case Rule.CAP if over_type(case):
            return f"This type has notified the person {_limit(case)}, which is its limit"
        case Rule.CAP if over_person(case):
            return f"The person has been notified {_of_person(case)} by all types together, which is the limit"
        case Rule.CAP:
            return f"The person has had {_cap(case)} of {category} messages, which is the limit"
        case Rule.QUIET_HOURS:
            return _quiet(case)
        case Rule.EXPERIMENT:
            return "An experiment decides what the person is told"
        case Rule.LEGAL_WINDOW:
            return _window(case)


def _cap(case: Case) -> str:
    limit = case.regulation.caps.get(case.kind.category)
    if limit is None:
        return "enough"
    since = case.at - limit.milliseconds
    had = sum(at > since for at in case.facts.sends_in_window.get(like(case.kind.category, case.kind.id), ()))
    return f"{had} of {limit.most} within {limit.window}"


def _limit(case: Case) -> str:
    limit = case.regulation.limit_of(case.kind.id, case.kind.category)
    return "enough" if limit is None else f"{limit.most} times within {limit.window}"


def _of_person(case: Case) -> str:
    limit = case.regulation.per_person
    return "enough" if limit is None else f"{limit.most} times within {limit.window}"


def _quiet(case: Case) -> str:
    hours, by = quiet_of(case.facts)
    if hours is None:
        return "Quiet hours"
    who = "chosen by the person" if by is None else f"preset by {by}"
    return f"Quiet hours from {hours.starts} to {hours.ends} ({who})"


def _window(case: Case) -> str:
    name, window = case.regulation.window(case.facts.region)
    day = local(case.at, case.facts.zone).weekday()
    opens, closes = window.days[day]
    where = "where no other window applies" if name == "default" else f"in {name}"
    return f"Marketing may be sent from {opens:%H:%M} to {closes:%H:%M} on a {WEEKDAYS[day].capitalize()} {where}"


def _consented(case: Case) -> str:
    if case.kind.class_ != "marketing":
        return "It is not marketing, so no consent is needed"
    return f"The person has consented to {case.kind.category} messages {way(case.channel)}"


def _switched(case: Case) -> str:
    cell = f"{case.kind.category} messages {way(case.channel)}"
    _, rule, by = switched(case.kind, case.channel, case.facts)
    match rule:
        case Rule.LOCKED:
            return f"{by} locked {cell} as on: the person's choice doesn't apply"
        case Rule.TENANT:
            return f"{by} presets {cell} as on"
        case Rule.TYPE:
            return f"Nobody switched {cell} off"
        case _:
            return f"The person switched {cell} on"


def _within_cap(case: Case) -> str:
    limit = case.regulation.caps.get(case.kind.category)
    if limit is None and case.regulation.limit_of(case.kind.id, case.kind.category):
        return f"This type may notify the person {_limit(case)}, and that limit is not reached"
    if limit is None and case.regulation.per_person and not case.kind.is_mandatory_on(case.channel):
        return f"The person may be notified {_of_person(case)} by all types together, and that limit is not reached"
    if limit is None:
        return f"Nothing limits how many {case.kind.category} messages a person may have"
    return f"The person has had {_cap(case)} of {case.kind.category} messages"


def _not_quiet(case: Case) -> str:
    if quiet_of(case.facts)[0] is None:
        return "There are no quiet hours"
    if case.kind.through_quiet_hours:
        return f"{_quiet(case)}, and this type ignores them"
    return f"{_quiet(case)}, and it is {local(case.at, case.facts.zone):%H:%M}"


def _in_window(case: Case) -> str:
    if case.kind.class_ != "marketing":
        return "It is not marketing, so the law permits every hour"
    return f"{_window(case)}, and it is {local(case.at, case.facts.zone):%H:%M}"


_PASSES: Final[Mapping[str, Callable[[Case], str]]] = {
    "address": lambda case: f"There is a {_address(case.channel)}",
    "expiry": lambda case: f"Its time to live of {case.kind.time_to_live} is not over",
    "suppression": lambda case: f"The {_address(case.channel)} is not suppressed",
    "consent": _consented,
    "mandatory": lambda _: "The type is not mandatory",
    "everything": lambda _: "The person has not switched everything off",
    "switches": _switched,
    "cap": _within_cap,
    "quiet_hours": _not_quiet,
    "legal_window": _in_window,
}
