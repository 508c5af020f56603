"""A webhook's content, and a webhook to one endpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

from notifier.channels.webhook.address import WebhookEndpoint
from notifier.domain.messages import Content, Message


class WebhookContent(Content, frozen=True, kw_only=True):
    """A webhook's words for people: a `title`, a `text` of a sentence or two, and a `link`."""

    title: str
    text: str
    link: str


class WebhookMessage(Message, frozen=True, kw_only=True):
    """One webhook. Fields other than the content are for programs, as in `notifier.domain.channels.Envelope`."""

    endpoint: WebhookEndpoint
    content: WebhookContent
    recipient_id: str
    notification_type: str
    occurred_at: int
    subject: str
    subject_key: str
    closes: Sequence[str]
    data: Mapping[str, Any]

    @property
    def address(self) -> str:
        return self.endpoint.url
