"""Inbox: a list in the app, for everybody; messages that are no longer current leave it by themselves."""

from typing import Final

from notifier.channels.inbox.messages import InboxContent, InboxMessage
from notifier.domain.channels import ChannelSpec, Envelope, Reach
from notifier.domain.deliveries import Channel


def make_message(envelope: Envelope, _reach: Reach, content: InboxContent) -> InboxMessage:
    """Make the message in its recipient's inbox: everybody has one."""
    return InboxMessage(
        reference=envelope.reference, recipient_id=envelope.recipient_id, content=content, urgency=envelope.urgency
    )


SPEC: Final = ChannelSpec(
    channel=Channel("inbox"),
    order=5,
    by="in the inbox",
    address="inbox",
    content=InboxContent,
    has_address=lambda _known: True,
    make_message=make_message,
    when_unknown="resend",  # the row is the message: there can't be a second one
)
