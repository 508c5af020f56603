"""SMS: a text to a person's number."""

from collections.abc import Callable
from typing import Final

from notifier.channels.sms.messages import SmsContent, SmsMessage
from notifier.domain import identifiers
from notifier.domain.channels import ChannelSpec, Envelope, Reach
from notifier.domain.deliveries import Channel, Reason
from notifier.domain.text import lead_addresses


def make_message(envelope: Envelope, reach: Reach, content: SmsContent) -> SmsMessage | None:
    """The text to a person's number; None where they have none."""
    if reach.phone is None:
        return None
    return SmsMessage(
        reference=envelope.reference, to=reach.phone, content=content, time_to_live=envelope.time_to_live,
        urgency=envelope.urgency,
    )  # fmt: skip


def lead(content: SmsContent, to: Callable[[str], str]) -> SmsContent:
    """A text whose addresses are what `to` makes of them."""
    return SmsContent(text=lead_addresses(content.text, to))


SPEC: Final = ChannelSpec(
    channel=Channel("sms"),
    order=2,
    by="by SMS",
    address="phone number",
    content=SmsContent,
    has_address=lambda known: known.phone,
    make_message=make_message,
    lead=lead,
    key="phone",
    canonical=identifiers.line,
    gone=Reason.BAD_NUMBER,
    when_unknown="ask",  # Twilio can be queried; a resent text would be read twice
    can_ask=True,
    longest_value=60,  # a longer value costs another segment, and pushes the sentence's end out of sight
    contact="phone",
)
