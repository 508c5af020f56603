"""Push: a notification on each of a person's devices."""

from typing import Final

from notifier.channels.push.messages import PushContent, PushMessage
from notifier.domain.channels import ChannelSpec, Envelope, Reach
from notifier.domain.deliveries import Channel


def make_message(envelope: Envelope, reach: Reach, content: PushContent) -> PushMessage | None:
    """Make the push to a delivery's device; None where the person no longer has the device."""
    if reach.device is None:
        return None
    return PushMessage(
        reference=envelope.reference, device=reach.device, content=content,
        notification_type=envelope.notification_type, collapse_key=envelope.collapse_key,
        time_to_live=envelope.time_to_live, urgency=envelope.urgency,
    )  # fmt: skip


SPEC: Final = ChannelSpec(
    channel=Channel("push"),
    order=1,
    by="by push",
    address="device",
    content=PushContent,
    has_address=lambda known: known.devices,
    make_message=make_message,
    per_device=True,
    when_unknown="resend",  # the collapse key puts the second in the first one's place on the phone
    longest_value=60,  # a long station name is cut, so that the sentence's end is still seen on a small screen
    contact="token",
)
