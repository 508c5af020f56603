"""The content of a push, and a push to one device."""

from notifier.domain.messages import Content, Device, Message


class PushContent(Content, frozen=True, kw_only=True, omit_defaults=True):
    """What a phone shows: with it an `image`, by its https address, and a button with this label (`action`). `link`
    opens the app at the right place, from the button too.

    What is absent is left out of its JSON, so that the hash of what was sent without it stays what it was.
    """

    title: str
    body: str
    link: str | None = None
    image: str | None = None
    action: str | None = None


class PushMessage(Message, frozen=True, kw_only=True):
    """A push to one device. `time_to_live` is in seconds; a push replaces one with the same `collapse_key` on the
    phone."""

    device: Device
    content: PushContent
    notification_type: str
    collapse_key: str
    time_to_live: int

    @property
    def address(self) -> str:
        return self.device.value
