"""Every text column holds whatever is let in: no database cuts, and none refuses at the last moment."""

from collections.abc import Iterable
from typing import Any, get_args, get_origin

import msgspec
import pytest
import sqlalchemy as sa

from notifier.cli.arguments import MAX_ACTOR
from notifier.domain import (
    availability_alerts,
    catalog,
    cloudevents,
    consent,
    experiments,
    keys,
    preferences,
    recipients,
    sayable,
    segments,
    stations,
    subscriptions,
    users,
)  # fmt: skip
from notifier.domain.deliveries import CHANNELS, Channel, Lane, Reason, State
from notifier.domain.errors import MAX_CODE, SEND_ERRORS
from notifier.domain.messages import MAX_REFERENCE, Receipt
from notifier.runtime import accounts
from notifier.store.core.schema import metadata
from notifier.texts import publishing

ID = 32  # of a hash in hex
TAIL = 20  # what of it a dated id keeps
SHA256 = 64
ARGON2 = 100  # what argon2-cffi writes with its own defaults
SECRET = 200
MAILBOX = 254  # email-validator's most (RFC 5321 §4.5.3.1.3, less the brackets)
NUMBER = 16  # E.164 with its plus
LOCALE = 12  # `recipients.check_locale`: language, script, territory
ZONE = 40  # the longest IANA name has 32
ACTION = 40  # words of our own


def most(shape: Any) -> int:
    """The characters that an annotated text may have."""
    (meta,) = (each for each in get_args(shape) if isinstance(each, msgspec.Meta))
    assert meta.max_length is not None
    return meta.max_length


def longest(*words: Iterable[str]) -> int:
    return max(len(word) for each in words for word in each)


KEY = most(preferences.Key)
PERSON = most(preferences.RecipientId)
TYPE = most(catalog.TypeId)
EXPERIMENT = most(experiments.ExperimentId)
ARM = 30
VARIANT = EXPERIMENT + len("/") + ARM + len("/999")
AUDIENCE = len("subscribers:") + KEY

IN = {
    "event.id": ID, "event.source": most(cloudevents.Line), "event.source_id": most(cloudevents.Line),
    "event.type": most(catalog.EventType), "event.subject": most(cloudevents.Line), "event.digest": ID,
    "open_event.cursor": PERSON,
    "delivery.recipient_id": PERSON, "delivery.type": TYPE, "delivery.channel": longest(Channel),
    "delivery.lane": longest(Lane), "delivery.state": longest(State), "delivery.reason": longest(Reason),
    "outcome.provider": accounts.MAX_NAME, "outcome.locale": LOCALE, "outcome.time_zone": ZONE,
    "outcome.content_hash": ID,
    # What providers say is cut where it is read (below).
    "open_delivery.code": MAX_CODE, "outcome.code": MAX_CODE, "outcome.provider_reference": MAX_REFERENCE,
    "delivery.variant": VARIANT, "effect.variant": VARIANT, "awaited_outcome.variant": VARIANT,
    "experiment.id": EXPERIMENT, "experiment.type": TYPE, "exposure.experiment": EXPERIMENT,
    "effect.type": TYPE, "effect.locale": LOCALE, "awaited_outcome.type": TYPE, "awaited_outcome.locale": LOCALE,
    "awaited_outcome.channels": len(",".join(CHANNELS)),
    "decision.type": TYPE, "decision.recipient_id": PERSON,
    "recipient.id": PERSON, "recipient.kind": longest(get_args(recipients.RecipientDetails.__annotations__["kind"])),
    "recipient.name": most(recipients.Name), "recipient.email": MAILBOX, "recipient.phone": NUMBER,
    "recipient.locale": LOCALE, "recipient.time_zone": ZONE, "recipient.region": 6,
    "device.recipient_id": PERSON, "membership.audience": AUDIENCE, "membership.recipient_id": PERSON,
    "reach.audience": AUDIENCE, "delivery_note.recipient_id": PERSON,
    "preference_change.recipient_id": PERSON, "preference_change.actor": MAX_ACTOR,
    "consent.recipient_id": PERSON, "consent.category": KEY, "consent.wording": most(consent.Line),
    "consent.source": most(consent.Line), "consent.actor": MAX_ACTOR,
    "tenant.name": KEY, "segment.id": most(segments.SegmentId),
    "segment.name": most(segments.Segment.__annotations__["name"]),
    "template_version.type": TYPE, "template_version.actor": MAX_ACTOR,
    "template_version.why": most(publishing.Reason), "template_draft.type": TYPE, "template_draft.actor": MAX_ACTOR,
    "audit.actor": MAX_ACTOR, "audit.subject": KEY,
    "api_key.name": most(keys.KeyName), "api_key.secret_hash": SHA256, "api_key.scopes": len(" ".join(keys.SCOPES)),
    "console_user.name": 64, "console_user.password_hash": ARGON2, "console_session.user": 64,
    "console_session.id_hash": SHA256, "secret.value": SECRET, "provider.id": len("email:") + accounts.MAX_NAME,
    "subscription.id": most(subscriptions.SubscriptionId), "subscription.secret": SECRET,
    "subscription.previous_secret": SECRET, "subscription.answer": MAX_CODE,
    "subscription.url": most(subscriptions.SubscriptionDetails.__annotations__["url"]),
    "subscription.owner": most(subscriptions.SubscriptionDetails.__annotations__["owner"]),
    "location.id": most(stations.LocationId), "location.party": most(stations.Party),
    "location.name": most(stations.Name), "location.address": most(stations.Line), "location.city": most(stations.Line),
    "location.country": most(stations.Location.__annotations__["country"]),
    "location.operator": most(stations.Name), "location.time_zone": ZONE,
    "evse.id": most(stations.EvseId), "evse.location_id": most(stations.LocationId),
    "evse.uid": most(stations.Evse.__annotations__["uid"]), "evse.station": most(stations.OcppStation),
    "evse_status.evse_id": most(stations.EvseId),
    "availability_alert.location_id": most(stations.LocationId), "availability_alert.recipient_id": PERSON,
    "availability_alert.connector": most(availability_alerts.Standard),
    "availability_alert.evse_id": most(stations.EvseId),
    "test_contact.name": KEY, "test_contact.email": MAILBOX, "test_contact.phone": NUMBER,
}  # fmt: skip
"""The most characters that may come to each column, from what lets them in."""

OURS = {
    "tally.part", "tally.state", "tally.channel", "tally.reason", "retention_late.part", "retention_mark.name",
    "effect.channel", "effect.what", "experiment.state", "evse.source", "evse.status", "evse_status.status",
    "availability_alert.state", "availability_alert.ended",
    "campaign.state", "campaign.reason",
    "delivery.channel", "open_delivery.channel", "open_delivery.lane", "open_delivery.state", "open_delivery.reason",
    "outcome.state", "outcome.reason", "outcome.answer", "lease.channel", "supersession.reason", "device.kind",
    "device.platform", "consent.channel", "template_version.origin", "suppression.reason", "secret.name",
    "audit.action", "audit.detail", "console_user.role", "subscription.paused",
}  # fmt: skip
"""Columns that hold words of our own alone."""


def texts() -> dict[str, int]:
    """Every column of a limited text, with its limit."""
    return {
        f"{table.name}.{column.name}": column.type.length
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.String) and column.type.length is not None
    }


def test_every_text_column_has_a_limit_at_the_edge() -> None:
    hashes = {name for name, length in texts().items() if length in (ID, TAIL)}

    assert set(texts()) - set(IN) - OURS - hashes == set()


@pytest.mark.parametrize(("column", "characters"), IN.items())
def test_what_is_let_in_fits_its_column(column: str, characters: int) -> None:
    assert characters <= texts()[column]


@pytest.mark.parametrize("said", ["9" * 600, "😀" * 300, "projects/p/messages/" + "0" * 700])
def test_what_a_provider_says_is_cut_to_its_column(said: str) -> None:
    assert Receipt("fcm", said).reference == said[:MAX_REFERENCE]
    assert {error("fcm", said, "…").code for error in SEND_ERRORS.values()} == {said[:MAX_CODE]}


def test_a_providers_own_id_is_kept_without_what_no_database_keeps() -> None:
    assert Receipt("fcm", "a\x00b\ud800c\x1b").reference == "abc"


def test_a_user_has_at_most_so_many_characters() -> None:
    assert users.NAME.fullmatch("a" * 64)
    assert not users.NAME.fullmatch("a" * 65)


def test_zones_and_locales_are_as_short_as_is_said() -> None:
    assert longest(sayable.zones()) <= ZONE
    assert len(recipients.check_locale("zh-hant-tw")) <= LOCALE
    assert get_origin(preferences.Key) is not None
