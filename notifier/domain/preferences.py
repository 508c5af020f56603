"""What people want to hear: a category × channel grid, quiet hours, digests, language and zone; and what their network,
fleet or host presets for them.

What nobody chose is open, and the next level answers: the person, each tenant from the nearest outwards, the type.
"""

from collections.abc import Mapping
from datetime import time
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from notifier.domain.deliveries import Channel, ChannelName, channel_of
from notifier.domain.effects import ANY
from notifier.domain.messages import Private
from notifier.domain.text import STEP, WORD

Pace = Literal["at_once", "hourly", "daily"]
MAX_CATEGORIES = 200  # of one document: more than any network has, and a history of full documents is still small

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=WORD)]
RecipientId = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=STEP)]
ClockTime = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9](?![\\s\\S])")]
Some = msgspec.Meta(max_length=MAX_CATEGORIES)
Grid = Annotated[dict[Key, dict[ChannelName, bool]], Some]

C = TypeVar("C", bound="Choices")

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


def apart(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A stored document of choices in two: what this release understands of it, and what is of channels that only
    another one has, as while that one is rolled out."""
    known, others = dict(document), {}
    if "channels" in document:
        known["channels"], others["channels"] = _channels_apart(document["channels"])
    for member in {"switches", "locked"} & document.keys():
        parts = {category: _channels_apart(each) for category, each in document[member].items()}
        # What is locked on channels of the other release alone isn't locked on all, as no channels would say.
        known[member] = {category: mine for category, (mine, theirs) in parts.items() if mine or not theirs}
        others[member] = {category: theirs for category, (_, theirs) in parts.items() if theirs}
    return known, {member: value for member, value in others.items() if value}


def together(known: Any, others: Any) -> Any:
    """A document of choices from its two parts, as `apart` has them."""
    if isinstance(known, list):
        return [*known, *others] if known else known  # none are all of them
    result = dict(known)
    for name, value in others.items():
        result[name] = together(result[name], value) if name in result else value
    return result


def _channels_apart(named: Any) -> tuple[Any, Any]:
    if isinstance(named, list):
        return [each for each in named if channel_of(each)], [each for each in named if not channel_of(each)]
    mine = {name: value for name, value in named.items() if channel_of(name)}
    return mine, {name: value for name, value in named.items() if name not in mine}


NO_PREFERENCES = Preferences()
SHARED = (
    4096  # cached documents; people share them: most never chose anything, the others flipped one of a few switches
)


@lru_cache(SHARED)
def read_preferences(document: str) -> Preferences:
    """Preferences from the store's JSON; what many people chose alike is read once."""
    return _read(document, Preferences)


def read_defaults(document: str) -> Defaults:
    """A tenant's presets from the store's JSON."""
    return _read(document, Defaults)


def _read(document: str, kind: type[C]) -> C:
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.ValidationError:  # of another release
        return msgspec.convert(apart(msgspec.json.decode(document))[0], kind)


def rewritten(held: str | None, after: Choices) -> dict[str, Any]:
    """The document to store where choices replace a stored document: those on channels that only another release has
    stay."""
    others = {} if held is None else apart(msgspec.json.decode(held))[1]
    document: dict[str, Any] = together(chosen(after), others)
    return document


def chosen(choices: msgspec.Struct) -> Mapping[str, Any]:
    """The members that hold a choice."""
    told: Mapping[str, Any] = msgspec.to_builtins(choices)
    silent: Mapping[str, Any] = msgspec.to_builtins(type(choices)())
    return {name: value for name, value in told.items() if value != silent[name]}


def switched_off(before: Preferences, after: Preferences) -> list[tuple[str, str]]:
    """What a change of preferences switches off that was on, by category and channel; a whole row, a whole column and
    everything are of `ANY` channel, `ANY` category, or both."""
    named = [
        (category, channel) for category, cells in after.switches.items() for channel, on in cells.items() if not on
    ]
    named += [(category, ANY) for category, on in after.categories.items() if not on]
    named += [(ANY, channel) for channel, on in after.channels.items() if not on]
    named += [] if after.everything else [(ANY, ANY)]
    return [spot for spot in named if not _is_off(before, *spot)]


def _is_off(preferences: Preferences, category: str, channel: str) -> bool:
    """Whether a person's own choices switch off a category on a channel, each of which may be `ANY`."""
    cell = preferences.switches.get(category, {}).get(channel)
    said = (cell, preferences.categories.get(category), preferences.channels.get(channel))
    return not preferences.everything or next((not on for on in said if on is not None), False)


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
