"""The preference centre's form: from preferences to form fields, and from form fields to a person's changes."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast

import msgspec

from notifier import policy
from notifier.domain.messages import Private
from notifier.domain.preferences import Pace, Preferences, QuietHours
from notifier.domain.problems import UNDECODABLE
from notifier.domain.recipient_facts import RecipientFacts
from notifier.policy import CategoryRow, Spot
from notifier.policy.rules import quiet_of

Mistake = Literal["not_a_time", "needs_both", "alike", "not_listed"]
PACES: tuple[Pace, ...] = ("at_once", "hourly", "daily")
NO_QUIET = QuietHours("00:00", "00:00")
"""The value for no quiet hours, which overrides a tenant's preset."""

_TIME = re.compile("([01]?[0-9]|2[0-3]):[0-5][0-9]")
_PACE = "pace."


class Fields(Private, frozen=True, kw_only=True):
    """The filled-in form: `on` are the ticked boxes, `paces` the chosen digest pace by category."""

    on: frozenset[str]
    paces: dict[str, str]
    quiet_from: str
    quiet_until: str
    locale: str
    time_zone: str
    everything_off: bool


class Shown(Fields, frozen=True, kw_only=True):
    """The form as the page first showed it. The page carries this state, so that a change made elsewhere meanwhile
    isn't taken for this person's choice.

    `open` are the boxes that can be ticked.
    """

    open: frozenset[str]


def name_of(category: str, channel: str) -> str:
    """Return the form value of the box of a grid cell."""
    return f"{category}.{channel}"


def fields_of(rows: Sequence[CategoryRow], facts: RecipientFacts, locale: str) -> Shown:
    """Return the form as it is first shown. `locale` is the language of the pages for the person."""
    quiet, _ = quiet_of(facts)
    shown = quiet is not None and quiet.starts != quiet.ends
    cells = [(name_of(row.category, cell.channel), cell) for row in rows for cell in row.cells]
    return Shown(
        on=frozenset(name for name, cell in cells if cell.on),
        open=frozenset(name for name, cell in cells if cell.is_open),
        paces={row.category: row.pace for row in rows if row.pace},
        quiet_from=quiet.starts if quiet and shown else "",
        quiet_until=quiet.ends if quiet and shown else "",
        locale=locale,
        time_zone=facts.zone,
        everything_off=not facts.preferences.everything,
    )


def write_shown(shown: Shown) -> str:
    """Encode the shown form for the page to carry. A person who tampers with it affects only their own changes."""
    return msgspec.json.encode(shown, order="deterministic").decode()


def read_shown(form: Mapping[str, Sequence[str]], present: Shown) -> Shown:
    """Decode what the submitted form's page showed; the form as it would be shown now where the field is missing."""
    try:
        told = msgspec.json.decode(form["shown"][-1], type=Shown)
    except (KeyError, *UNDECODABLE):
        return present
    paces = {category: told.paces.get(category, pace) for category, pace in present.paces.items()}
    return msgspec.structs.replace(told, paces=paces)


def read_fields(form: Mapping[str, Sequence[str]], shown: Shown) -> Fields:
    """Return the submitted form. A missing field is as it was shown; a missing box is unticked."""

    def value(name: str, otherwise: str) -> str:
        return form.get(name, [otherwise])[-1].strip()

    return Fields(
        on=frozenset(form.get("on", ())),
        paces={category: value(_PACE + category, pace) for category, pace in shown.paces.items()},
        quiet_from=value("quiet_from", shown.quiet_from),
        quiet_until=value("quiet_until", shown.quiet_until),
        locale=value("locale", shown.locale),
        time_zone=value("time_zone", shown.time_zone),
        everything_off="everything_off" in form,
    )


def mistakes(fields: Fields, shown: Shown, locales: Collection[str], zones: Collection[str]) -> dict[str, Mistake]:
    """Return the mistakes by field name, empty where the form can be saved. An unchanged field is never a mistake."""
    found: dict[str, Mistake] = {}
    for name, value in (("quiet_from", fields.quiet_from), ("quiet_until", fields.quiet_until)):
        if value and not _TIME.fullmatch(value):
            found[name] = "not_a_time"
    if bool(fields.quiet_from) != bool(fields.quiet_until):
        found.setdefault("quiet_until" if fields.quiet_from else "quiet_from", "needs_both")
    if not found and fields.quiet_from and _clock_time(fields.quiet_from) == _clock_time(fields.quiet_until):
        found["quiet_until"] = "alike"
    if fields.locale not in {*locales, shown.locale}:
        found["locale"] = "not_listed"
    if fields.time_zone not in {*zones, shown.time_zone}:
        found["time_zone"] = "not_listed"
    for category, pace in fields.paces.items():
        if pace not in PACES:
            found[_PACE + category] = "not_listed"
    return found


def changed_spots(rows: Sequence[CategoryRow], shown: Shown, fields: Fields) -> dict[Spot, bool]:
    """Return the cells that a person switched: their box differs from what was shown and from the present
    preference."""
    touched = (fields.on ^ shown.on) & shown.open
    wanted = [
        (row.category, cell.channel)
        for row in rows
        for cell in row.cells
        for name in [name_of(row.category, cell.channel)]
        if (name in fields.on if name in touched else cell.on)
    ]
    return policy.choose(rows, wanted)


def chosen(
    preferences: Preferences, rows: Sequence[CategoryRow], shown: Shown, fields: Fields, facts: RecipientFacts
) -> Preferences:
    """Return the preferences with a person's changes from a form without mistakes; the rest stays as it is, or
    unset."""
    changes: dict[str, object] = {}
    if fields.everything_off != shown.everything_off:
        changes["everything"] = not fields.everything_off
    quiet = fields.quiet_from, fields.quiet_until
    if quiet != (shown.quiet_from, shown.quiet_until):
        changes["quiet_hours"] = _quiet_hours(quiet, facts)
    if fields.locale != shown.locale:
        changes["locale"] = fields.locale
    if fields.time_zone != shown.time_zone:
        changes["time_zone"] = fields.time_zone
    paces = {category: pace for category, pace in fields.paces.items() if pace != shown.paces[category]}
    if paces:
        changes["digests"] = preferences.digests | cast("dict[str, Pace]", paces)
    return msgspec.structs.replace(policy.switch(preferences, changed_spots(rows, shown, fields)), **changes)


def _quiet_hours(quiet: tuple[str, str], facts: RecipientFacts) -> QuietHours | None:
    starts, ends = quiet
    if starts:
        return QuietHours(_clock_time(starts), _clock_time(ends))
    return NO_QUIET if any(defaults.quiet_hours for _, defaults in facts.defaults) else None


def _clock_time(text: str) -> str:
    return text.zfill(len("00:00"))
