"""Fictitious people: drivers, fleet managers and site operators, with addresses that reach nobody.

Mail goes to the domains of RFC 2606. Phone numbers are from ranges that regulators keep for fiction and that are valid
nonetheless: 555-0100 to 0199 in North America (ATIS-0300115), (0)30 23125 000 to 999 in Berlin (Bundesnetzagentur,
Mitteilung 148/2021) and 01 99 00 in France (Arcep's numbering plan). Ofcom's 07700 900000 to 999 and Arcep's 06 39 98
would not do: libphonenumber counts them as invalid.
"""

import zlib
from random import Random
from typing import Any

from notifier.demo.acn import dice

SITE_ID, SITE = "pasadena", "Pasadena"
FLEETS = ("fleet-north", "fleet-south")
MANAGERS, OPERATORS = 3, 3  # of people enough; at most half are not drivers

LANGUAGES = {"en": 60, "es": 20, "de": 12, "fr": 8}  # per cent
FIRST_NAMES = {
    "en": ("Ava", "Ethan", "Grace", "Henry", "Liam", "Maya", "Noah", "Olivia", "Priya", "Samuel"),
    "es": ("Alejandra", "Camila", "Diego", "Inés", "Javier", "Lucía", "Mateo", "Óscar", "Pilar", "Sofía"),
    "de": ("Anke", "Björn", "Claudia", "Dörte", "Felix", "Greta", "Jürgen", "Katrin", "Lukas", "Ulrike"),
    "fr": ("Amélie", "Benoît", "Chloé", "Élodie", "François", "Hélène", "Julien", "Léa", "Mathis", "Zoé"),
}
LAST_NAMES = {
    "en": ("Baker", "Chen", "Foster", "Hughes", "Kim", "Nguyen", "O'Neill", "Patel", "Reed", "Walker"),
    "es": ("Castillo", "Delgado", "Fuentes", "Ibáñez", "Méndez", "Muñoz", "Ortega", "Peña", "Ramos", "Vega"),
    "de": ("Bauer", "Fuchs", "Götz", "Hartmann", "Krüger", "Lorenz", "Möller", "Schäfer", "Vogel", "Weiß"),
    "fr": ("Aubert", "Bernard", "Chevalier", "Dubois", "Faure", "Garnier", "Lefèvre", "Mercier", "Noël", "Rivière"),
}
ZONES = {
    "en": ("America/Los_Angeles", "America/Denver", "America/New_York"),
    "es": ("America/Los_Angeles", "America/Los_Angeles", "Europe/Madrid"),
    "de": ("Europe/Berlin", "Europe/Vienna", "America/Los_Angeles"),
    "fr": ("Europe/Paris", "America/Los_Angeles", "America/Los_Angeles"),
}
AREA_CODES = (213, 310, 323, 408, 415, 424, 510, 562, 619, 626, 650, 661, 707, 714, 747, 760, 805, 818, 858, 949)
NO_EMAIL, NO_PHONE, NO_DEVICE = 0.05, 0.15, 0.12  # shares
SWITCHED_OFF = 0.15  # share who switched something off, evenly one of these
SWITCHES = (
    {"charging": {"push": False}},
    {"charging": {"sms": False}},
    {"idle-fees": {"push": False, "sms": False}},
    {"receipts": {"push": False}},
    {"charging": {"push": False, "sms": False}, "idle-fees": {"sms": False}},
)


def people(count: int, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Make recipients by id, in the shape of RecipientDetails: drivers, and last a few managers and operators.

    Some have no mailbox, number or phone with the app, some switched something off: a demo shows that, too.
    """
    chance = dice(seed)
    others = ["fleet_manager"] * MANAGERS + ["site_operator"] * OPERATORS
    kinds = others[: count // 2]
    kinds = ["driver"] * (count - len(kinds)) + kinds
    return [_person(chance, number, kind) for number, kind in enumerate(kinds, 1)]


def token_of(driver: str) -> str:
    """Return a driver's charging token, an OCPI contract id."""
    return f"US-DEM-C{checksum(driver):010}"


def checksum(text: str) -> int:
    """Return a text's checksum, the same on every machine."""
    return zlib.crc32(text.encode())


def _person(chance: Random, number: int, kind: str) -> tuple[str, dict[str, Any]]:
    id_ = f"{kind.replace('_', '-')}-{number}"
    (locale,) = chance.choices(list(LANGUAGES), list(LANGUAGES.values()))
    audience: dict[str, Any] = {
        "driver": {"tokens": [token_of(id_)]},
        "fleet_manager": {"fleets": [FLEETS[number % len(FLEETS)]]},
        "site_operator": {"sites": [SITE_ID]},
    }[kind]
    details: dict[str, Any] = {
        "kind": kind,
        "name": f"{chance.choice(FIRST_NAMES[locale])} {chance.choice(LAST_NAMES[locale])}",
        "locale": locale,
        "time_zone": chance.choice(ZONES[locale]),
        "email": f"{id_}@example.{chance.choice(('com', 'org'))}",
        "phone": _phone(locale, number),
        "devices": [{"value": f"demo-{chance.getrandbits(128):032x}", "platform": chance.choice(("android", "ios"))}],
    }
    if kind == "driver" and chance.random() < SWITCHED_OFF:
        details["preferences"] = {"switches": chance.choice(SWITCHES)}
    for name, share in (("email", NO_EMAIL), ("phone", NO_PHONE), ("devices", NO_DEVICE)):
        if chance.random() < share:
            del details[name]
    return id_, details | audience


def _phone(locale: str, number: int) -> str:
    """Return a fictitious phone number: Berlin, France, or 555-01xx somewhere in California."""
    match locale:
        case "de":
            return f"+493023125{number % 1000:03}"
        case "fr":
            return f"+33199{number % 10_000:06}"
        case _:
            return f"+1{AREA_CODES[number // 100 % len(AREA_CODES)]}55501{number % 100:02}"
