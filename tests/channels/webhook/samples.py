"""Webhooks that these tests send, with canaries in all that nothing may show."""

from typing import Any, Final

from notifier.channels.webhook.address import WebhookEndpoint
from notifier.channels.webhook.messages import WebhookContent, WebhookMessage
from notifier.domain.deliveries import Channel
from notifier.domain.standard_webhooks import secret_text
from tests.channels import canary

WEBHOOK: Final = Channel("webhook")
SECRET: Final = secret_text(b"canary-secret, and 24 bytes at least")
OLD_SECRET: Final = secret_text(b"another secret of 24 bytes or more")
ROUTING_KEY: Final = "R0UT1NGKEY" + "5a" * 11
REFERENCE: Final = "5f" * 16
OCCURRED_AT: Final = 1_773_078_000_000  # 2026-03-09T17:40:00Z

SECRETS: Final = (SECRET, OLD_SECRET, ROUTING_KEY, SECRET.removeprefix("whsec_"), "canary-path", canary.SECRET)
"""What no log, repr or answer may hold; the path of a URL is one where it is all that proves who we are."""


def endpoint(url: str = "https://hooks.example/canary-path", **members: Any) -> WebhookEndpoint:
    return WebhookEndpoint(url=url, **{"secret": SECRET, **members})


def webhook(to: WebhookEndpoint | None = None, **members: Any) -> WebhookMessage:
    usual: dict[str, Any] = {
        "reference": REFERENCE,
        "endpoint": to or endpoint(),
        "content": WebhookContent(
            title="Station 3 is offline: Gent Zuid", text=f"{canary.TEXT} since 6:40 PM.",
            link="https://app.example.com/sites/gent-zuid/stations/BE*BEC*E041503003",
        ),
        "recipient_id": "ops",
        "notification_type": "station-offline",
        "occurred_at": OCCURRED_AT,
        "subject": "BE*BEC*E041503003",
        "subject_key": "ab" * 16,
        "closes": (),
        "data": {"site_id": "gent-zuid", "station_id": "BE*BEC*E041503003", "connectors": 4},
        "urgency": "normal",
    }  # fmt: skip
    return WebhookMessage(**usual | members)
