"""What people want to hear: a category × channel grid, quiet hours, digests, language and zone; and what their network,
fleet or host presets for them.

What nobody chose is open, and the next level answers: the person, each tenant from the nearest outwards, the type.
"""

from collections.abc import Mapping
from datetime import time
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from notifier.domain.deliveries import Channel, ChannelName
from notifier.domain.messages import Private
from notifier.domain.text import STEP, WORD

Pace = Literal["at_once", "hourly", "daily"]
MAX_CATEGORIES = 200  # of one document: more than any network has, and a history of full documents stays small

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=WORD)]
RecipientId = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=STEP)]
ClockTime = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9](?![\\s\\S])")]
Some = msgspec.Meta(max_length=MAX_CATEGORIES)
Grid = Annotated[dict[Key, dict[ChannelName, bool]], Some]

NETWORK = "network"
"""The tenant that everybody belongs to: the charging network itself."""


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"starts": "from", "ends": "until"}):
    """From one time of the person's day until another, which may be after midnight: `{"from": "22:00", "until":
    "07:00"}`. Both alike is no time at all."""

    starts: ClockTime
    ends: ClockTime

    def hold(self, at: time) -> bool:
        """Whether a time of day lies within the quiet hours."""
        starts, ends = time.fromisoformat(self.starts), time.fromisoformat(self.ends)
        return starts <= at < ends if starts <= ends else at >= starts or at < ends


class Choices(Private, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choices of one level: a person or a tenant. A missing entry is no choice.

    `categories` and `channels` switch a whole row or column of the grid, `switches` one cell: {"charging": {"sms":
    false}}. The cell goes before the row, the row before the column. `digests` says how often a category's messages
    come together.
    """

    channels: dict[ChannelName, bool] = {}
    categories: Annotated[dict[Key, bool], Some] = {}
    switches: Grid = {}
    quiet_hours: QuietHours | None = None
    digests: Annotated[dict[Key, Pace], Some] = {}


class PreferencesPatch(Choices, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a service tells of a person's choices among other things: what it doesn't name stays as it is."""

    everything: bool | None = None
    locale: str | None = None
    time_zone: str | None = None


class Preferences(PreferencesPatch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person chose. `everything` false switches off all that may be; `locale` and `time_zone` go before those
    that the recipient's service knows."""

    everything: bool = True


class Defaults(Choices, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant (`network`, `fleet:acme`, `host:mall-7`) presets for its people. In the `locked` categories, or on
    the locked channels of them, its word stands over theirs."""

    locked: Annotated[dict[Key, list[ChannelName]], Some] = {}

    def locks(self, category: str, channel: Channel) -> bool:
        """Whether the tenant locks a category on a channel; a category locked without channels is locked on all."""
        channels = self.locked.get(category)
        return channels is not None and (not channels or channel in channels)


NO_PREFERENCES = Preferences()
SHARED = 4096  # documents that people have in common: most never chose anything, the others from a handful of switches
_decode = msgspec.json.Decoder(Preferences).decode


@lru_cache(SHARED)
def read_preferences(document: str) -> Preferences:
    """Preferences from the store's JSON; what many people chose alike is read once."""
    return _decode(document)


def chosen(choices: msgspec.Struct) -> Mapping[str, Any]:
    """The members that hold a choice."""
    told: Mapping[str, Any] = msgspec.to_builtins(choices)
    silent: Mapping[str, Any] = msgspec.to_builtins(type(choices)())
    return {name: value for name, value in told.items() if value != silent[name]}


def laid_upon(before: Preferences, told: PreferencesPatch) -> Preferences:
    """The preferences after what was told of them; what it doesn't name stays. Where all of them were told, those."""
    if isinstance(told, Preferences):
        return told
    return msgspec.convert(merged(chosen(before), chosen(told)), Preferences)


def merged(document: Any, patch: Any) -> Any:
    """A JSON document after a merge patch (RFC 7396): null takes a member away, an object goes into it, all else
    replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
