"""Webhook: a POST to an endpoint of an operator, a fleet or a host."""

from typing import Final

import msgspec

from notifier.channels.webhook.address import HIDDEN, WebhookEndpoint, check
from notifier.channels.webhook.messages import WebhookContent, WebhookMessage
from notifier.domain.channels import ChannelSpec, Envelope, Reach
from notifier.domain.deliveries import Channel

CHANNEL: Final = Channel("webhook")


def make_message(envelope: Envelope, reach: Reach, content: WebhookContent) -> WebhookMessage | None:
    """Make the webhook to a recipient's endpoint; None where they have none."""
    held = reach.own.get(CHANNEL)
    if held is None:
        return None
    return WebhookMessage(
        reference=envelope.reference, endpoint=msgspec.convert(held, WebhookEndpoint), content=content,
        recipient_id=envelope.recipient_id, notification_type=envelope.notification_type,
        occurred_at=envelope.occurred_at, subject=envelope.subject, subject_key=envelope.subject_key,
        closes=envelope.closes, data=envelope.data, urgency=envelope.urgency,
    )  # fmt: skip


SPEC: Final = ChannelSpec(
    channel=CHANNEL,
    order=4,
    by="by webhook",
    address="endpoint",
    content=WebhookContent,
    own_address=WebhookEndpoint,
    check_address=check,
    hidden=HIDDEN,
    has_address=lambda known: CHANNEL in known.own,
    make_message=make_message,
    when_unknown="resend",  # the id stays the same, so the endpoint recognises a repeat
)
