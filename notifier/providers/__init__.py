"""Providers: how a message reaches its provider, and what all channels have in common on that way.

A transport is made inside a running event loop and used only there. All sends of a process share it, hundreds at a
time.
"""

from typing import Protocol, TypeVar, runtime_checkable

from notifier.domain.messages import Receipt

M = TypeVar("M", contravariant=True)


@runtime_checkable
class StatusQueryable(Protocol[M]):
    """A provider that can be asked whether it has a message."""

    async def find(self, message: M, since: int) -> Receipt | None:
        """The receipt of a message taken since an instant; None where it has none. Raises a SendError."""
        ...


class Transport(Protocol[M]):
    """Hands messages of one kind to a provider."""

    async def send(self, message: M) -> Receipt:
        """Hand over one message, as soon as may be; a delivery's lease is renewed meanwhile, and ends with its worker.

        Raises a SendError for whatever the provider or the network does; never retries by itself, for only the caller
        knows whether the message is still of use.
        """
        ...

    async def close(self) -> None:
        """Close every connection; sends under way fail."""
        ...
