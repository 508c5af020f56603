"""What a webhook says, and one webhook to one endpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

from notifier.channels.webhook.address import WebhookEndpoint
from notifier.domain.messages import Content, Message


class WebhookContent(Content, frozen=True, kw_only=True):
    """The words for people in it: a `title`, a `text` of a sentence or two, and where they lead (`link`)."""

    title: str
    text: str
    link: str


class WebhookMessage(Message, frozen=True, kw_only=True):
    """One webhook. What is beside the content is for programs, and as `notifier.domain.channels.Envelope` has it."""

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
