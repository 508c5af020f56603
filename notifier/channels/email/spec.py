"""E-mail: a mail to a person's mailbox."""

from typing import Final

from notifier.channels.email import links
from notifier.channels.email.messages import EmailContent, EmailMessage
from notifier.domain import identifiers
from notifier.domain.channels import ChannelSpec, Envelope, Reach
from notifier.domain.deliveries import Channel, Reason


def make_message(envelope: Envelope, reach: Reach, content: EmailContent) -> EmailMessage | None:
    """Make the mail to a person's mailbox; None where they have none."""
    if reach.email is None:
        return None
    return EmailMessage(
        reference=envelope.reference, to=reach.email, to_name=reach.name, content=content,
        unsubscribe_url=envelope.unsubscribe_url, urgency=envelope.urgency,
    )  # fmt: skip


SPEC: Final = ChannelSpec(
    channel=Channel("email"),
    order=3,
    by="by e-mail",
    address="mailbox",
    content=EmailContent,
    has_address=lambda known: known.email,
    make_message=make_message,
    lead=links.lead,
    key="email",
    canonical=identifiers.mailbox,
    gone=Reason.BOUNCED,
    when_unknown="resend",  # a resent mail has the same Message-ID, by which mail programs recognise a repeat
    collects=True,
    unsubscribes=True,
    contact="email",
)
