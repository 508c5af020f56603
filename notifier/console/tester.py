"""Tests of texts, sent like real messages: to a saved contact through the real provider, and never to a recipient."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from notifier.domain.catalog import NotificationType
from notifier.domain.channels import Envelope, Reach, spec
from notifier.domain.clock import MINUTE, Clock
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError, Misconfigured, OutcomeUnknown, SendError
from notifier.domain.ids import make_id
from notifier.domain.messages import Content, Device, Message, Receipt
from notifier.pipeline.sharing import keeper
from notifier.providers import Transport
from notifier.providers.opening import open_transports
from notifier.runtime.settings import Settings
from notifier.store.console.contacts import Contact
from notifier.store.core.database import Database

MOST = 20  # tests of one user within `WINDOW`: enough for an afternoon's writing, too few to flood anybody
WINDOW = 15 * MINUTE  # milliseconds
PATIENCE = 20.0  # seconds for a provider's answer: as much as a delivery's lease would leave
TIME_TO_LIVE = 600  # seconds that a provider retries: the user is waiting

ACTION = "text.test"
"""The audit log's action of a test send; the rate limit counts these entries."""


class Tester:
    """Sends tests through the providers. The first test opens their transports: most web processes never need them.

    A test writes no row but its line in the audit log, so no receipt, retry or redrive can follow it.
    """

    def __init__(self, settings: Settings, namespace: str, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._keep = keeper(settings, namespace, database, clock)
        self._clock = clock
        self._transports: Mapping[Channel, Transport[Any]] | None = None

    async def send(self, channel: Channel, message: Message) -> Receipt | SendError:
        """Send a test and return the provider's outcome."""
        try:
            if self._transports is None:
                self._transports = open_transports(self._settings, self._clock, self._keep)
            async with asyncio.timeout(PATIENCE):
                receipt: Receipt = await self._transports[channel].send(message)
                return receipt
        except SendError as error:
            return error
        except ConfigurationError as error:  # workers may have what this process lacks, such as a key file
            return Misconfigured(channel, "unconfigured", str(error))
        except TimeoutError:
            return OutcomeUnknown(channel, "no_answer", "the provider did not answer in time; it may have it")

    async def close(self) -> None:
        """Close the transports that were opened."""
        for transport in (self._transports or {}).values():
            await transport.close()


def to_contact(
    contact: Contact, kind: NotificationType, channel: Channel, content: Content, data: Mapping[str, Any]
) -> Message | None:
    """Return the message that brings a contact exactly these words, with a sample's data where its channel sends them;
    None where the contact has no address for it."""
    if not contact.address(channel):
        return None
    reference = make_id("test", secrets.token_hex(16))
    device = Device(value=contact.token) if contact.token else None
    reach = Reach(email=contact.email, phone=contact.phone, device=device, own=contact.own)
    envelope = Envelope(
        reference=reference, recipient_id=contact.name, notification_type=kind.id, occurred_at=0,
        collapse_key=reference, subject=contact.name, subject_key=reference, time_to_live=TIME_TO_LIVE,
        urgency=kind.urgency, data=data,
    )  # fmt: skip
    return spec(channel).make_message(envelope, reach, content)
