"""Types, events and people that tests of the policy make."""

from typing import Any

import msgspec

from notifier.domain.catalog import Field, NotificationType
from notifier.domain.channels import KnownAddresses, reachable
from notifier.domain.events import Event
from notifier.domain.messages import Device
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.recipients import Recipient
from tests.named import EMAIL, PUSH, SMS
from tests.samples import NOW

CHANNELS = [PUSH, SMS, EMAIL]

TEXT = Field(type="text", about="A name")
FIELDS = {
    "session_id": TEXT,
    "stage": TEXT,
    **dict.fromkeys(
        ("driver_id", "token", "fleet_id", "site_id", "topic", "segment_id"),
        msgspec.structs.replace(TEXT, optional=True),
    ),
}


def kind_of(**lines: Any) -> NotificationType:
    """A type with these lines in its file."""
    given = {
        "id": "idle",
        "name": "Idle",
        "event": "idle.warning",
        "class_": "service",
        "category": "charging",
        "audience": "driver",
        "channels": tuple(CHANNELS),
        "time_to_live": "10 min",
        "about": "session_id",
        "same": ("session_id", "stage"),
        "link": "{{ app_url }}",
        "data": FIELDS,
        "samples": (),
    }
    return NotificationType(**given | lines)


def event_of(at: int = NOW, accepted_at: int = NOW, id_: str = "e", type_: str = "idle.warning", **data: Any) -> Event:
    return Event(
        id=id_, source="s", source_id=id_, type=type_, subject=None, occurred_at=at, accepted_at=accepted_at, digest="",
        data={"session_id": "101", "stage": "1", **data},
    )  # fmt: skip


def person_of(
    id_: str = "ada", email: str | None = "ada@example.com", phone: str | None = "+4915123456789", devices: int = 1,
    **standing: Any,
) -> Recipient:  # fmt: skip
    """A person with these addresses, who stands so."""
    return Recipient(
        id=id_, name=None, email=email, phone=phone, devices=[Device(value=f"{id_}-{n}") for n in range(devices)],
        facts=RecipientFacts(
            reachable=reachable(KnownAddresses(email is not None, phone is not None, devices > 0)), **standing
        ),
    )  # fmt: skip
