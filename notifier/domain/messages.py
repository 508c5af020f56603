"""What is handed to a channel: content, address, and the reference that stays the same however often it is sent.

These hold personal data, so none of them shows more than its reference when printed.
"""

from hashlib import sha256
from typing import Annotated, Literal

import msgspec

from notifier.domain.deliveries import Channel, Reason, State
from notifier.domain.ids import LENGTH
from notifier.domain.text import WORD

Urgency = Literal["low", "normal", "high", "urgent"]


class Private(msgspec.Struct, frozen=True):
    """A struct whose repr shows no field."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Content(Private, frozen=True):
    """What a message says, as its channel's folder shapes it."""


def content_hash(content: Content) -> str:
    """The first 128 bits of SHA-256 over the content's JSON, members in their order: tells later which words were
    sent."""
    return sha256(msgspec.json.encode(content)).hexdigest()[:LENGTH]


class Device(Private, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Where a push goes: an FCM registration token or Firebase installation id (`kind`), and when the app last used
    it (epoch milliseconds).
    """

    kind: Literal["token", "fid"] = "token"
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=WORD)]
    platform: Literal["android", "ios", "web"] = "android"
    last_seen: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] = 0


class Message(Private, frozen=True, kw_only=True):
    """One message to one address. `reference` stays the same however often it is sent."""

    reference: str
    urgency: Urgency = "normal"

    @property
    def address(self) -> str:
        """The message's address as one text: one address gets its messages from one provider while that is well."""
        raise NotImplementedError


MAX_REFERENCE = 190
"""Characters of a provider's message id that are stored: longer than any known id, and the width of its column."""


class Receipt(msgspec.Struct, frozen=True):
    """The provider took the message: its name, and its own id for it, of which is kept what a column can hold.

    `delivered` says that whom the message is for has it by that, as where the provider is their own server: nobody
    else will tell.
    """

    provider: str
    reference: str
    delivered: bool = False

    @property
    def state(self) -> State:
        """The state of a delivery after this receipt."""
        return State.DELIVERED if self.delivered else State.SENT

    def __post_init__(self) -> None:
        if len(self.reference) > MAX_REFERENCE or not self.reference.isprintable():
            # The message was sent whatever its reference looks like, so the row must be writable.
            kept = "".join(filter(str.isprintable, self.reference))[:MAX_REFERENCE]
            msgspec.structs.force_setattr(self, "reference", kept)


class Report(Private, frozen=True, kw_only=True):
    """What a provider tells later about a message: that it has it, delivered it, or could not (`state`).

    `delivery` is our reference, `reference` the provider's own; `reason` and `code` say why it was not delivered.
    `again` is the class of retries by which it may go out once more where it was not.
    `addresses` are those it names, and `suppress` why they are not to be written to any more. `provider` is None where
    the report doesn't tell which account it was. `opened` says that the person themselves opened the message.
    """

    delivery: str
    channel: Channel
    provider: str | None = None
    state: State
    reason: str | None = None
    code: str | None = None
    reference: str | None = None
    addresses: tuple[str, ...] = ()
    suppress: Reason | None = None
    again: str | None = None
    opened: bool = False
