"""What an arm of an experiment changes of the answers for a person."""

from collections.abc import Iterable

import msgspec

from notifier.domain.deliveries import Reason, State
from notifier.domain.experiments import Arm
from notifier.policy.deciding import ChannelAnswer
from notifier.policy.rules import Rule

SPEAKING = frozenset({State.PENDING, State.COLLECTED})
"""The states of answers by which the person is to be told."""

BY_EXPERIMENT = frozenset({Reason.HELD_BACK, Reason.WAITS_TO_COMPARE})
"""The reasons of answers that an experiment gave, and no rule would give again."""


def try_out(answers: Iterable[ChannelAnswer], arm: Arm, expires_at: int) -> list[ChannelAnswer]:
    """The answers for a person of an arm: silence where it is the holdback, and later messages where it waits; one that
    would be too late expires. What the person isn't told anyway stays as it is."""
    return [_try_out(each, arm, expires_at) if each.state in SPEAKING else each for each in answers]


def _try_out(answer: ChannelAnswer, arm: Arm, expires_at: int) -> ChannelAnswer:
    if arm.silent:
        return msgspec.structs.replace(
            answer, state=State.SUPPRESSED, rule=Rule.EXPERIMENT, reason=Reason.HELD_BACK, step=0
        )
    if not arm.delay or answer.state != State.PENDING:
        return answer
    due_at = answer.due_at + arm.delay
    state = State.EXPIRED if due_at >= expires_at else State.PENDING
    reason = answer.reason or (Reason.WAITS_TO_COMPARE if state == State.PENDING else None)
    return msgspec.structs.replace(answer, state=state, due_at=due_at, rule=Rule.EXPERIMENT, reason=reason)
