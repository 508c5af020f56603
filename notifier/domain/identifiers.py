"""How identifiers compare, in one place: each is brought into the one form in which it is kept and compared where it
comes in, and behind that letter by letter.

| identifier | compares |
|---|---|
| charging tokens (RFID uids, contract ids), topics (EVSE ids) | without case (OCPI's CiString), kept in capitals |
| events, deliveries | as 32 hex digits in small letters; people may give them as a database shows them |
| recipients, fleets, sites, teams | letter by letter: they are the caller's own |
| locales | without case, `_` as `-` (RFC 5646 §2.1.1); texts are looked up by RFC 4647 §3.4 |
| phone numbers | as E.164, old forms as the new one |
| mailboxes | without case; RFC 5321 lets a host tell local parts apart by case, and none does: a STOP must not miss |
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from notifier.domain.ids import FORM, LENGTH, is_id
from notifier.domain.text import END

Id = Annotated[str, msgspec.Meta(max_length=LENGTH, pattern=f"^{FORM}{END}")]
"""An id where a service gives one."""

CASELESS: Final = frozenset({"token", "topic"})
"""Groups of audience keys whose names are CiStrings."""

_SMALL: Final = {ord(letter): ord(letter.upper()) for letter in "abcdefghijklmnopqrstuvwxyz"}
"""ASCII only, as OCPI defines CiString: upper case can make other letters longer."""

MAX_LOCALE: Final = 35  # characters: the length that RFC 5646 §4.4.1 asks every implementation to support

_LOCALE: Final = re.compile(
    r"[a-z]{2,3}(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(-[0-9a-wy-z](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?",
    re.ASCII,
)
"""A language tag by RFC 5646 §2.1, without languages of four to eight letters (reserved, none exist) and without tags
that are entirely private use."""

_RENUMBERED: Final[Mapping[str, tuple[tuple[re.Pattern[str], str], ...]]] = {
    # IFT's plan of 3 August 2019: mobile numbers lost the 1 in front.
    "+52": ((re.compile(r"\+521(\d{10})"), r"+52\1"),),
    # A mobile number is dialled with a 9 from abroad and without it in a text; no two numbers differ only in the 9.
    "+54": ((re.compile(r"\+54([1-8]\d{9})"), r"+549\1"),),
    # Anatel, resolution 553/2010: mobile numbers got a ninth digit, a 9 in front (trunked 7s did not).
    "+55": ((re.compile(r"\+55([1-9]\d)([689]\d{7})"), r"+55\g<1>9\2"),),
    # ARTCI, 31 January 2021: 01 (Moov), 05 (MTN) or 07 (Orange) in front of mobile numbers, by their second digit.
    "+225": (
        (re.compile(r"\+225([04-9][0-3]\d{6})"), r"+22501\1"),
        (re.compile(r"\+225([04-9][4-6]\d{6})"), r"+22505\1"),
        (re.compile(r"\+225([04-9][7-9]\d{6})"), r"+22507\1"),
    ),
    # ARCEP Bénin, 30 November 2024: 01 in front of all numbers.
    "+229": ((re.compile(r"\+229(\d{8})"), r"+22901\1"),),
}
"""Old forms of numbers (E.164), by their country, each with its present form."""

RENUMBERED: Final = tuple(_RENUMBERED)
"""Prefixes of the countries whose numbers have old forms."""


def audience(group: str, name: object) -> str:
    """The key of an audience, such as `driver:42` or `token:NL-TST-C1`."""
    return f"{group}:{caseless(str(name))}" if group in CASELESS else f"{group}:{name}"


def caseless(name: str) -> str:
    """The form of an identifier in which its case counts for nothing."""
    return name.translate(_SMALL)


def locale(text: str) -> str | None:
    """The canonical form of a language tag (RFC 5646 §2.1.1), such as `zh-Hant-TW`; None for what isn't one."""
    tag = text.replace("_", "-").translate({ord(letter.upper()): letter for letter in map(chr, _SMALL)})
    if len(tag) > MAX_LOCALE or not _LOCALE.fullmatch(tag):
        return None
    first, *others = tag.split("-")
    parts, free = [first], True
    for part in others:
        free = free and len(part) > 1  # after a singleton all subtags are in lower case
        parts.append(_cased(part) if free else part)
    return "-".join(parts)


def _cased(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 else part


def line(number: str) -> str:
    """The number (E.164) under which a line is known now, whichever of its forms was given."""
    for prefix, forms in _RENUMBERED.items():
        if number.startswith(prefix):
            for old, new in forms:
                if old.fullmatch(number):
                    return old.sub(new, number)
    return number


def old_forms(number: str) -> list[str]:
    """The forms that a line's number had before, from the one that it has now."""
    shorter = {
        "+52": [f"+521{number[3:]}"],
        "+54": [f"+54{number[4:]}"],
        "+55": [number[:5] + number[6:]],
        "+225": [f"+225{number[6:]}"],
        "+229": [f"+229{number[6:]}"],
    }
    return [
        old
        for prefix, candidates in shorter.items()
        if number.startswith(prefix)
        for old in candidates
        if old != number and line(old) == number
    ]


def mailbox(address: str) -> str:
    """The form in which mailboxes compare."""
    return address.lower()


def read_id(text: str) -> str | None:
    """The id that a person copied, be it from PostgreSQL, which shows it with hyphens, or from MariaDB's `HEX()`, which
    shows it in upper case; None where the text is none."""
    plain = text.replace("-", "").lower()
    return plain if is_id(plain) else None
