"""Where a person stands at a moment: everything the rules ask of them, and nothing that says who they are.

The same facts go into the decision's record, so that it can be explained later as it was.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from notifier.domain.deliveries import Channel
from notifier.domain.messages import Private
from notifier.domain.preferences import NO_PREFERENCES, Defaults, Preferences, apart

ALL = "all"
"""The channel name of a consent that holds for every channel."""

EVERY_TYPE = "*"
"""Stands for all types together in `of_type`, and its twin for all tests; no type is called so."""


def of_type(type_id: str) -> str:
    """The name under which `RecipientFacts.sends_in_window` has what one type told; no category is called so."""
    return f"type:{type_id}"


class RecipientFacts(Private, frozen=True, kw_only=True, gc=False):
    """What the rules ask of one person, as it was at that moment.

    `defaults` are their tenants', the nearest first, each with its name; `consents` the latest word by category and
    channel; `suppressed` why a channel's address is not to be written to; `region` ISO 3166, such as `US-FL`;
    `reachable` the channels they have an address for; `sends_in_window` when notifications of capped categories were
    sent to them within the cap's window (epoch milliseconds), and those of single types, and of all (`of_type`), where
    they were counted: `spent` where they are shown.
    """

    preferences: Preferences = NO_PREFERENCES
    defaults: tuple[tuple[str, Defaults], ...] = ()
    consents: Mapping[str, Mapping[str, bool]] = {}
    suppressed: Mapping[str, str] = {}
    region: str | None = None
    locale: str = "en"
    time_zone: str = "UTC"
    reachable: frozenset[str] = frozenset()
    sends_in_window: Mapping[str, tuple[int, ...]] = msgspec.field(default_factory=dict, name="spent")

    @property
    def zone(self) -> str:
        """The person's time zone: their own choice, else what their service knows."""
        return self.preferences.time_zone or self.time_zone

    @property
    def language(self) -> str:
        """The person's locale: their own choice, else what their service knows."""
        return self.preferences.locale or self.locale

    def locked_by(self, category: str, channel: Channel) -> str | None:
        """The nearest tenant that doesn't let the person choose here."""
        return next((name for name, defaults in self.defaults if defaults.locks(category, channel)), None)

    def consented(self, category: str, channel: Channel) -> bool:
        """Whether there is consent to a category on a channel: what nobody gave is not there."""
        return self.consents.get(category, {}).get(channel, False)


def read_facts(told: Mapping[str, Any]) -> RecipientFacts:
    """Facts from a decision's record. What is chosen or preset of channels that only another release has is left
    out."""
    try:
        return msgspec.convert(told, RecipientFacts)
    except msgspec.ValidationError:
        known = {
            "preferences": apart(told.get("preferences", {}))[0],
            "defaults": [(name, apart(preset)[0]) for name, preset in told.get("defaults", ())],
        }
        return msgspec.convert({**told, **known}, RecipientFacts)


def facts_shown(facts: RecipientFacts) -> dict[str, Any]:
    """Facts by their names; what there is none of is left out."""
    return {name: value for name, value in msgspec.to_builtins(facts).items() if value}
