"""Channels: how a message reaches its provider, and what the provider's answer means. One folder a channel.

A transport is made inside a running event loop and used only there. All sends of a process share it, hundreds at a
time.
"""

from typing import Protocol, TypeVar

from notifier.messages import Receipt

M = TypeVar("M", contravariant=True)


class Transport(Protocol[M]):
    """Hands messages of one kind to a provider."""

    async def send(self, message: M) -> Receipt:
        """Hand over one message, within a minute.

        Raises a SendError for whatever the provider or the network does; never retries by itself, for only the caller
        knows whether the message is still of use.
        """
        ...

    async def close(self) -> None:
        """Close every connection; sends under way fail."""
        ...
