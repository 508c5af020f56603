"""The content of a mail, and a mail to one mailbox."""

from notifier.domain.messages import Content, Message


class EmailContent(Content, frozen=True, kw_only=True):
    """A mail's subject and its two bodies."""

    subject: str
    text: str
    html: str


class EmailMessage(Message, frozen=True, kw_only=True):
    """One mail to one mailbox; `reference` becomes the Message-ID, the same on every attempt.

    `unsubscribe_url` is the RFC 8058 one-click address, None where the category can't be switched off.
    """

    to: str
    to_name: str | None = None
    content: EmailContent
    unsubscribe_url: str | None = None

    @property
    def address(self) -> str:
        return self.to
