"""One type for one person: an answer for each channel, and for push for each device."""

from collections.abc import Iterator

import msgspec

from notifier.domain.catalog import NotificationType
from notifier.domain.channels import spec
from notifier.domain.deliveries import Channel, Reason, State
from notifier.domain.events import Event
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.recipients import Recipient, device_id
from notifier.domain.regulation import Regulation
from notifier.policy.digesting import digest_due
from notifier.policy.identity import expires_at
from notifier.policy.rules import Case, Rule, Verdict, judge

STATES = {"send": State.PENDING, "hold": State.PENDING, "suppress": State.SUPPRESSED, "expire": State.EXPIRED}


class ChannelAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the policy says of one channel (and, for push, one device) of one person.

    `state` is pending where a message should go out at `due_at`, collected where it goes into a digest (one that it
    begins is due at `due_at`), else how the delivery ends before it began; `target`
    is the device's id for push, "" where the person's one number or mailbox is meant. `rule` decided it, for a
    `reason`; `by` names whose preset or window it was. `step` counts the channels that are tried before this one.
    """

    channel: Channel
    target: str = ""
    state: State
    due_at: int
    rule: Rule
    reason: Reason | None = None
    by: str | None = None
    step: int = 0


def decide(
    kind: NotificationType, event: Event, person: Recipient, now: int, regulation: Regulation, turn: int = 0
) -> list[ChannelAnswer]:
    """One answer per channel of the type, in its order; for push one per device.

    Where the type tries one channel after the other, each that may be used waits a step longer than the one before;
    those that may not are passed over at once. `turn` is how many people on call are asked before this one.
    """
    answers: list[ChannelAnswer] = []
    step = 0
    for channel in kind.channels:
        case = case_of(kind, event, channel, person.facts, now, regulation)
        found = list(_answers(case, judge(case), person, now, turn * kind.turn + step * kind.step, step))
        answers += found
        if kind.step and any(answer.state == State.PENDING for answer in found):
            step += 1
    return answers


def case_of(
    kind: NotificationType, event: Event, channel: Channel, facts: RecipientFacts, at: int, regulation: Regulation
) -> Case:
    """Make the case that the rules judge when an event is decided, and when a decision is explained or simulated."""
    return Case(
        kind=kind, channel=channel, facts=facts, expires_at=expires_at(kind, event), at=at, regulation=regulation
    )


def _answers(
    case: Case, verdict: Verdict, person: Recipient, now: int, waits: int, step: int
) -> Iterator[ChannelAnswer]:
    state = STATES[verdict.action]
    due_at, reason = now, verdict.reason
    if state == State.PENDING:
        due_at = max(now + waits, verdict.until or now)
        if waits and reason is None:
            reason = Reason.WAITS_TURN
        digest_due_at = digest_due(case.kind, case.channel, case.facts, now)
        if digest_due_at is not None and max(digest_due_at, due_at) < case.expires_at:
            state, due_at, reason = State.COLLECTED, max(digest_due_at, due_at), Reason.DIGEST
        elif due_at >= case.expires_at:
            state, due_at = State.EXPIRED, now
    for target in _targets(person, case.channel):
        yield ChannelAnswer(
            channel=case.channel, target=target, state=state, due_at=due_at, rule=verdict.rule, reason=reason,
            by=verdict.by, step=step if state == State.PENDING else 0,
        )  # fmt: skip


def _targets(person: Recipient, channel: Channel) -> list[str]:
    if spec(channel).per_device and person.devices:
        return [device_id(device) for device in person.devices]
    return [""]
