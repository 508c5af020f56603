"""What is POSTed to endpoints of others, signed: the OpenAPI document tells it as webhooks, the AsyncAPI document as
messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from notifier.changes.views import ChangesBatch
from notifier.domain.channels import channels, part

SIGNATURE_HEADERS: Final[Mapping[str, str]] = {
    "webhook-id": "The same at every try: whoever has seen it drops the repeat",
    "webhook-timestamp": "Seconds of the epoch; of this try",
    "webhook-signature": (
        "Standard Webhooks, over `{webhook-id}.{webhook-timestamp}.{body}`: `v1,` and HMAC-SHA256 in Base64; one for "
        "each secret, with a blank between them"
    ),
}
"""The headers of every message, and what each holds."""


@dataclass(frozen=True, kw_only=True)
class OutboundMessage:
    """A message to endpoints of others; `body` is the type of its JSON, `gone` says what an answer 410 does, and `name`
    is also that of its operation."""

    name: str
    title: str
    description: str
    gone: str
    body: type[msgspec.Struct]
    example: dict[str, Any]


CHANGES = OutboundMessage(
    name="changes",
    title="Changes",
    description=(
        "What became of deliveries, in order and at least once, to the URL of a subscription. A batch that is not "
        "answered 2xx is sent again with the same `webhook-id` before any other; 410 pauses the subscription."
    ),
    gone="The subscription is paused",
    body=ChangesBatch,
    example={
        "type": "changes",
        "timestamp": "2026-03-09T17:40:01Z",
        "data": {
            "subscription": "csms",
            "changes": [
                {
                    "id": "0-4711",
                    "delivery": "019cd39b86c0a4d1f0c6e5b2a7938145",
                    "state": "undelivered",
                    "reason": "unavailable",
                    "code": "30003",
                    "at": "2026-03-09T17:40:01Z",
                    "attempts": 1,
                    "type": "payment-failed",
                    "channel": "sms",
                    "recipient": "driver-2041",
                    "event": {
                        "id": "019cd39b86c05d41402abc4b2a76b971",
                        "type": "payment.failed",
                        "test": False,
                        "source": "billing",
                        "source_id": "payment-failed-1",
                    },
                }
            ],
        },
    },
)
"""A batch of a subscription."""


def of_channels() -> list[OutboundMessage]:
    """Return the messages that the channels' folders declare (`outbound.py`, OUTBOUND)."""
    return [message for channel in channels() for message in part(channel, "outbound", "OUTBOUND") or ()]


def outbound() -> list[OutboundMessage]:
    """Return all messages that endpoints of others are sent: the channels' and the batches of changes."""
    return [*of_channels(), CHANGES]
