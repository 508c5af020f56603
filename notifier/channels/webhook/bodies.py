"""The bodies of webhooks, a form for each kind of endpoint, as data that becomes JSON."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from notifier.channels.webhook.address import Format
from notifier.channels.webhook.messages import WebhookMessage
from notifier.domain.clock import to_datetime
from notifier.domain.messages import Urgency
from notifier.domain.text import cut

SLACK_HEADER: Final = 150
"""Characters of a header (docs.slack.dev/reference/block-kit/blocks/header-block)."""
SLACK_SECTION: Final = 3_000
"""Characters of a section's text (docs.slack.dev/reference/block-kit/blocks/section-block)."""
PAGERDUTY_SUMMARY: Final = 1_024
"""Characters of a summary (developer.pagerduty.com/docs/send-alert-event)."""

SEVERITIES: Final[Mapping[Urgency, str]] = {
    "low": "info", "normal": "warning", "high": "error", "urgent": "critical",
}  # fmt: skip
"""PagerDuty's severity by urgency."""


def encode(message: WebhookMessage) -> bytes:
    """Encode the body as JSON, identical at every attempt; ValueError for a lone surrogate, which JSON can't hold."""
    return msgspec.json.encode(_FORMS[message.endpoint.format](message))


class WebhookData(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook tells: its words (`title`, `text`, `link`) in the recipient's language, and the `event`'s data.

    `subject_key` is one for all that is about one thing of a type; `closes` has the `subject_key` of what is over now.
    """

    recipient_id: str
    subject: str
    subject_key: str
    closes: Sequence[str]
    urgency: Urgency
    title: str
    text: str
    link: str
    event: Mapping[str, Any]


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook: `id` is the delivery's and in the header too, `type` the notification type, `timestamp`
    the instant of the event."""

    id: str
    type: str
    timestamp: datetime
    data: WebhookData


def _standard(message: WebhookMessage) -> WebhookBody:
    """Standard Webhooks: `type`, `timestamp` (of the event) and `data`, with the id that the header has too.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    return WebhookBody(
        id=message.reference,
        type=message.notification_type,
        timestamp=to_datetime(message.occurred_at),
        data=WebhookData(
            recipient_id=message.recipient_id,
            subject=message.subject,
            subject_key=message.subject_key,
            closes=message.closes,
            urgency=message.urgency,
            title=message.content.title,
            text=message.content.text,
            link=message.content.link,
            event=message.data,
        ),
    )


def _slack(message: WebhookMessage) -> dict[str, Any]:
    """A Slack incoming webhook: blocks, and a `text` for notifications and for who can't see blocks.

    The blocks are plain text. Where Slack reads markup (`text`, the link) its three control characters are escaped, so
    that no station's name can call a whole channel (`<!channel>`).
    Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    """
    content = message.content
    return {
        "text": _escaped(f"{content.title}\n{content.text}"),
        "blocks": [
            {"type": "header", "text": _plain(content.title, SLACK_HEADER)},
            {"type": "section", "text": _plain(content.text, SLACK_SECTION)},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{_escaped(content.link)}>"}]},
        ],
        "unfurl_links": False,
    }


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": cut(text, limit), "emoji": False}


def _escaped(text: str) -> str:
    """Slack's control characters as entities (docs.slack.dev/messaging/formatting-message-text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(message: WebhookMessage) -> dict[str, Any]:
    """A message with an Adaptive Card for the Teams workflow "When a Teams webhook request is received".

    Words are text runs, which know no Markdown: no station's name can become a link. The button is called after the
    link's host, for the card's words are in a language and its label would have to be.
    Source: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using and
    https://adaptivecards.io/explorer/
    """
    content = message.content
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        _run(content.title, size="large", weight="bolder"),
                        _run(content.text),
                    ],
                    "actions": [{"type": "Action.OpenUrl", "title": _host(content.link), "url": content.link}],
                },
            }
        ],
    }


def _host(link: str) -> str:
    return urlsplit(link).hostname or link


def _run(text: str, **looks: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **looks}]}


def _pagerduty(message: WebhookMessage) -> dict[str, Any]:
    """A PagerDuty event (Events API v2): an alert is triggered, and resolved by the type that closes it.

    Both have the id of what they are about as `dedup_key`. Of a type that closes several only the first is resolved: an
    event has one key.
    Source: https://developer.pagerduty.com/docs/send-alert-event
    """
    content = message.content
    closing = {"event_action": "resolve", "dedup_key": message.closes[0]} if message.closes else {}
    return {
        "routing_key": message.endpoint.secret,
        "event_action": "trigger",
        "dedup_key": message.subject_key,
        **closing,
        "payload": {
            "summary": cut(content.title, PAGERDUTY_SUMMARY),
            "source": message.subject,
            "severity": SEVERITIES[message.urgency],
            "timestamp": to_datetime(message.occurred_at),
            "class": message.notification_type,
            "custom_details": {"text": content.text, "delivery": message.reference, "event": message.data},
        },
        "links": [{"href": content.link, "text": content.title}],
    }


_FORMS: Final[Mapping[Format, Callable[[WebhookMessage], WebhookBody | dict[str, Any]]]] = {
    "standard": _standard, "slack": _slack, "teams": _teams, "pagerduty": _pagerduty,
}  # fmt: skip
