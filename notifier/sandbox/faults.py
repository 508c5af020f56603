"""Faults on order: the stand-ins refuse, delay, hang or disconnect, as the rules say.

    fail          refuse the message, with the provider's own code or reply
    delay         accept the message, answer `seconds` late
    hang          don't accept the message, answer nothing for `seconds`, then close the connection
    drop_before   don't accept the message, close the connection
    drop_after    accept the message, then close the connection without an answer: the outcome is unknown

Rules are tried in order. Delays add up; the first other rule that matches decides. A rule with `times` is removed once
it has been applied so often.
"""

import random
from typing import Final, Literal, NamedTuple

import msgspec

from notifier.domain.deliveries import Channel, ChannelName
from notifier.domain.messages import Private
from notifier.sandbox.stand_in import StandIn, stand_ins

Action = Literal["fail", "delay", "hang", "drop_before", "drop_after"]


class Match(Private, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The messages that a rule applies to: by address (token, number, mailbox), by reference, or by both."""

    to: str | None = None
    reference: str | None = None


class FaultRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault on order. Raises ValueError where its fields contradict each other.

    `stage` is where it strikes: `message` is the request, or a mail's final dot; a stand-in may have more (`StandIn`).
    `status` and `code` shape a failing HTTP answer (FCM: `UNREGISTERED`, Twilio: 21610); `code` alone implies its usual
    status. `retry_after` is its header, in seconds. `reply` is a failing SMTP reply ("451 4.7.1 Try again later").
    `seconds` belongs to delay and hang. Without `times` it always applies; `probability` is rolled with seeded dice.
    """

    channel: ChannelName
    action: Action
    stage: str = "message"
    match: Match = Match()
    status: int | None = None
    code: str | int | None = None
    retry_after: int | None = None
    reply: str | None = None
    seconds: float = 0.0
    times: int | None = None
    probability: float = 1.0

    def __post_init__(self) -> None:
        provider = _stand_in(self.channel)
        stages = provider.stages | provider.early_stages
        if self.stage not in stages:
            raise ValueError(f"stage: {self.channel} has no stage {self.stage!r}, only {sorted(stages)}")
        if self.match.reference is not None and self.stage in provider.early_stages:
            raise ValueError(f"match.reference: no reference is known yet at stage {self.stage!r}")
        if (self.action in ("delay", "hang")) != (self.seconds > 0):
            raise ValueError("seconds: say how long for delay and hang, and leave it out for the others")
        if self.action != "fail" and (self.status or self.code or self.reply or self.retry_after):
            raise ValueError("status, code, reply and retry_after belong to the action fail")
        if self.code:
            provider.check_code(self.code)
        if self.reply is not None and not (self.reply[:3].isdigit() and self.reply[:1] in ("4", "5")):
            raise ValueError("reply: an SMTP failure starts with 4 or 5 and two more digits")
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError("status: a failing HTTP status is 400 to 599")
        if self.times is not None and self.times < 1:
            raise ValueError("times: at least 1; leave it out for always")
        if not 0 < self.probability <= 1:
            raise ValueError("probability: above 0 and up to 1")

    def matches(self, channel: Channel, stage: str, to: str, reference: str) -> bool:
        return (
            self.channel == channel
            and self.stage == stage
            and self.match.to in (None, to)
            and self.match.reference in (None, reference)
        )


def _stand_in(channel: str) -> StandIn:
    """Return a channel's stand-in; raises ValueError where it has none."""
    found = stand_ins().get(Channel(channel))
    if found is None:
        raise ValueError(f"channel: nothing stands in for {channel}")
    return found


class Trouble(NamedTuple):
    """The faults that one message meets: seconds of delay before the answer, and the rule that decides."""

    seconds: float = 0.0
    rule: FaultRule | None = None

    @property
    def fails(self) -> FaultRule | None:
        """Return the deciding rule if it refuses the message."""
        return self.rule if self.rule is not None and self.rule.action == "fail" else None

    @property
    def not_taken(self) -> bool:
        """Whether the message is neither accepted nor refused."""
        return self.rule is not None and self.rule.action in ("hang", "drop_before")

    @property
    def silent(self) -> bool:
        """Whether the connection is closed instead of an answer."""
        return self.rule is not None and self.rule.action != "fail"


CALM: Final = Trouble()


class Faults:
    """The rules in force. Dice are seeded: the same messages in the same order meet the same faults."""

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[FaultRule] = []
        self._dice = random.Random(seed)  # noqa: S311  repeatable, not secret

    def add(self, *rules: FaultRule) -> None:
        """Add copies of these rules after those in force."""
        self.rules.extend(msgspec.structs.replace(rule) for rule in rules)

    def clear(self) -> None:
        self.rules.clear()

    def meet(self, channel: Channel, stage: str = "message", to: str = "", reference: str = "") -> Trouble:
        """Return the faults that a message meets now; counts down the `times` of the rules applied."""
        if not self.rules:
            return CALM
        seconds = 0.0
        for rule in tuple(self.rules):
            if not rule.matches(channel, stage, to, reference) or self._dice.random() >= rule.probability:
                continue
            if rule.times is not None:
                rule.times -= 1
                if not rule.times:
                    self.rules.remove(rule)
            seconds += rule.seconds
            if rule.action != "delay":
                return Trouble(seconds, rule)
        return Trouble(seconds)
