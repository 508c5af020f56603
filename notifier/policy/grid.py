"""The grid that a person sees: their categories, the channels of each, what is on, and what isn't theirs to switch.

What a person left as it was stays no choice, so that what their tenants preset later holds for them too.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from notifier.domain.catalog import AUDIENCE_FIELDS, Audience, Catalog, NotificationType
from notifier.domain.channels import channels
from notifier.domain.deliveries import Channel
from notifier.domain.preferences import Pace, Preferences
from notifier.domain.recipient_facts import RecipientFacts
from notifier.policy.rules import switched_off

FOR_ANYBODY: frozenset[Audience] = frozenset({"subscribers", "segment"})
"""Audiences that every person may come to belong to."""

Spot = tuple[str, Channel]
"""A cell of the preference grid: a category on a channel."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One category on one channel. `locked_by` is the tenant whose word it is; `mandatory` where it is nobody's."""

    channel: Channel
    on: bool
    mandatory: bool = False
    locked_by: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the person may switch this cell."""
        return not self.mandatory and self.locked_by is None


class CategoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One category. `pace` says how often its messages come together, None where they never do; `counts_clicks` that
    links in some of them are counted."""

    category: str
    is_marketing: bool
    cells: tuple[Cell, ...]
    pace: Pace | None = None
    counts_clicks: bool = False


def may_switch(kind: NotificationType, channel: Channel, facts: RecipientFacts) -> bool:
    """Whether a person can switch a type off on a channel: marketing always, by taking back their consent."""
    if kind.class_ == "marketing":
        return True
    return not kind.is_mandatory_on(channel) and facts.locked_by(kind.category, channel) is None


def make_grid(catalog: Catalog, groups: Collection[str], facts: RecipientFacts) -> list[CategoryRow]:
    """The rows of whoever is in these groups (`driver`, `site` …), in the catalog's order."""
    kinds: dict[str, list[NotificationType]] = {}
    for kind in catalog.types.values():
        if kind.audience in FOR_ANYBODY or any(group in groups for group, _ in AUDIENCE_FIELDS[kind.audience]):
            kinds.setdefault(kind.category, []).append(kind)
    return [_row(category, each, facts) for category, each in kinds.items()]


def choose(rows: Iterable[CategoryRow], wanted: Collection[Spot]) -> dict[Spot, bool]:
    """The changes that leave exactly these cells switched on."""
    return {
        (row.category, cell.channel): not cell.on
        for row in rows
        for cell in row.cells
        if cell.is_open and cell.on != ((row.category, cell.channel) in wanted)
    }


def switch(preferences: Preferences, changed: Mapping[Spot, bool]) -> Preferences:
    """The preferences with these cells switched."""
    switches = {category: dict(cells) for category, cells in preferences.switches.items()}
    for (category, channel), on in changed.items():
        switches.setdefault(category, {})[channel.value] = on
    return msgspec.structs.replace(preferences, switches=switches)


def consents(rows: Iterable[CategoryRow], changed: Mapping[Spot, bool]) -> dict[Spot, bool]:
    """The changes that give or withdraw consent: switching marketing on or off does so."""
    marketing = {row.category for row in rows if row.is_marketing}
    return {spot: on for spot, on in changed.items() if spot[0] in marketing}


def _row(category: str, kinds: Sequence[NotificationType], facts: RecipientFacts) -> CategoryRow:
    offered = [channel for channel in channels() if any(channel in kind.channels for kind in kinds)]
    return CategoryRow(
        category=category,
        is_marketing=any(kind.class_ == "marketing" for kind in kinds),
        cells=tuple(_cell(channel, [k for k in kinds if channel in k.channels], facts) for channel in offered),
        pace=_pace(category, facts) if any(kind.digest for kind in kinds) else None,
        counts_clicks=any(kind.clicks for kind in kinds),
    )


def _cell(channel: Channel, kinds: Sequence[NotificationType], facts: RecipientFacts) -> Cell:
    if all(kind.is_mandatory_on(channel) for kind in kinds):
        return Cell(channel=channel, on=True, mandatory=True)
    theirs = [kind for kind in kinds if not kind.is_mandatory_on(channel)]
    on = any(_is_on(kind, channel, facts) for kind in theirs)
    locked = not any(may_switch(kind, channel, facts) for kind in theirs)
    return Cell(channel=channel, on=on, locked_by=facts.locked_by(kinds[0].category, channel) if locked else None)


def _is_on(kind: NotificationType, channel: Channel, facts: RecipientFacts) -> bool:
    if switched_off(kind, channel, facts) is not None:
        return False
    return kind.class_ != "marketing" or facts.consented(kind.category, channel)


def _pace(category: str, facts: RecipientFacts) -> Pace:
    levels = (facts.preferences, *(defaults for _, defaults in facts.defaults))
    return next((level.digests[category] for level in levels if category in level.digests), "at_once")
