"""The content of a message in the inbox."""

from notifier.domain.messages import Content, Message


class InboxContent(Content, frozen=True, kw_only=True, omit_defaults=True):
    """A title, a text below it, and a `link`; `action` is the link's label, None for none."""

    title: str
    body: str
    link: str | None = None
    action: str | None = None


class InboxMessage(Message, frozen=True, kw_only=True):
    """One message in one person's inbox."""

    recipient_id: str
    content: InboxContent

    @property
    def address(self) -> str:
        return self.recipient_id
