"""A sandbox within the worker: it takes the messages of tests. Nothing of them is on a wire, whatever the settings."""

from collections.abc import Mapping
from typing import Final

from notifier.domain.channels import channels
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Message, Receipt
from notifier.providers.spec import provider

NAME: Final = "sandbox"
"""The provider's name in attempts and deliveries of tests."""


class InProcess:
    """Stands in for the providers of a channel, as `notifier.sandbox` does without a fault on order: it takes each
    message, and where the channel's providers tell of arrivals the message has arrived."""

    def __init__(self, channel: Channel) -> None:
        spec = provider(channel)
        self._confirms = spec is not None and spec.confirms

    async def send(self, message: Message) -> Receipt:
        """Take the message; the receipt names the delivery by its own reference."""
        return Receipt(NAME, message.reference, delivered=self._confirms)

    async def close(self) -> None:
        return


def open_stand_ins() -> Mapping[Channel, InProcess]:
    """Open what stands in for each channel's providers in tests."""
    return {channel: InProcess(channel) for channel in channels()}
