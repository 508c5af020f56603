"""API keys: `ntf_<id>_<secret>`, shown once, kept as a hash, good for the scopes, sources and event types they name.

A test key is `ntf_test_<id>_<secret>`: releases that know no test keys refuse it.
"""

import hmac
import math
import re
import secrets
from collections.abc import Collection
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from notifier.domain.text import LINE
from notifier.domain.twins import is_test, plain

Scope = Literal[
    "events:write", "opened:write", "recipients:write", "recipients:read", "recipients:erase", "tenants:write",
    "deliveries:read", "ledger:read", "metrics:read", "dead:read", "dead:write", "explain:read", "changes:read",
    "subscriptions:write", "texts:read", "texts:write", "texts:publish", "ocpi",
    "stations:write",
]  # fmt: skip
SCOPES: tuple[Scope, ...] = get_args(Scope)

ANY_ENDING: Final = "*"
"""The end of a source that matches every source with the part before it."""

KeyName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=LINE)]
"""A key's name. The audit log names it as the actor of what was done with the key."""

MAX_SOURCE: Final = 1000
"""Characters of a source, and so of the beginning of one: CloudEvents' own have as many at most here."""
MAX_SOURCES: Final = 100
"""Sources of one key, and likewise its event types and parties: each event is compared with all of them."""
MAX_RATE: Final = 1_000_000.0
"""Events a second of a key at most: some hundred times what an installation takes, and a number that no clock loses."""
MAX_DAILY: Final = int(MAX_RATE) * 24 * 3600
"""Events a day of a key at most: those of the highest rate."""

TEST_SCOPES: Final = frozenset[Scope]({"events:write", "deliveries:read", "changes:read", "subscriptions:write"})
"""The scopes that a test key may have: every other one reads or writes what is no test."""

_ID_BYTES = 8
_SECRET_BYTES = 32  # 256 random bits can't be guessed, so a fast hash is enough
ANY_PARTY: Final = "any"
"""Stands for every party of an OCPI network."""

_PARTY = re.compile(r"([A-Za-z]{2})[*-]?([A-Za-z0-9]{3})", re.ASCII)
_TEST = "test_"
_KEY = re.compile(rf"ntf_({_TEST})?([0-9a-f]{{{2 * _ID_BYTES}}})_([0-9a-f]{{{2 * _SECRET_BYTES}}})")
_is_line = re.compile(LINE).match


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The events that a key reports and is told about: those of these `sources` and event types (`types`); of any where
    there are none. A source that ends in `*` stands for all that begin so. `test` is whether they are tests, None for
    both; a test is of the type whose twin's it is (`domain.twins`)."""

    sources: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    test: bool | None = None

    @property
    def narrow(self) -> bool:
        """Whether there are sources or types to keep within."""
        return bool(self.sources or self.types)

    def has_source(self, source: str) -> bool:
        """Whether events of a source are within the bounds, as far as their types are."""
        return covers(self.sources, source)

    def has_type(self, event_type: str) -> bool:
        """Whether events of a type are within the bounds, as far as their sources are."""
        return not self.types or plain(event_type) in self.types

    def cover(self, source: str, event_type: str) -> bool:
        """Whether an event of a source and a type is within the bounds."""
        return self.test in (None, is_test(event_type)) and self.has_source(source) and self.has_type(event_type)


UNBOUND: Final = Bounds()
"""The bounds of a key that has none."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept: instants in epoch milliseconds; its limits, `rate` in events a second and `daily` in events
    a day (UTC), where it has any.

    It reports, and is told about, events within its `bounds` only (`sources` and `types`). By OCPI it speaks for these
    `parties`, each as `make_party` writes it; for any where there are none. Events that a
    `test` key reports are tests: they reach nobody, and it is told of such alone. `replaced_by` is the id of the key
    that took its place.
    """

    id: str
    name: str
    secret_hash: str
    scopes: frozenset[str]
    created_at: int
    revoked_at: int | None = None
    expires_at: int | None = None
    used_at: int | None = None
    sources: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rate: float | None = None
    parties: tuple[str, ...] = ()
    daily: int | None = None
    test: bool = False
    replaced_by: str | None = None

    def __repr__(self) -> str:
        return f"<ApiKey {self.id}>"

    def admits(self, secret: str, now: int) -> bool:
        """Whether the secret is this key's and the key is still good."""
        return self.good_at(now) and hmac.compare_digest(self.secret_hash, hash_secret(secret))

    def good_at(self, now: int) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def limited(self) -> bool:
        """Whether the key may report only so many events in a second or in a day."""
        return self.rate is not None or self.daily is not None

    @property
    def bounds(self) -> Bounds:
        return Bounds(sources=self.sources, types=self.types, test=self.test)

    def speaks_for(self, country_code: str, party_id: str) -> bool:
        """Whether the key may write objects that an OCPI party owns."""
        return not self.parties or is_among(self.parties, country_code, party_id)


def covers(sources: Collection[str], source: str) -> bool:
    """Whether a source is one of these, each of which may end in `*`; any is where there are none."""
    return not sources or any(
        source.startswith(each[:-1]) if each.endswith(ANY_ENDING) else source == each for each in sources
    )


def make_party(text: str) -> str:
    """A party of an OCPI network as a key keeps it, such as `DE*ABC`; ValueError where it is none."""
    match = _PARTY.fullmatch(text)
    if match is None:
        raise ValueError("a party is a country code of two letters, a * and an id of three characters, such as DE*ABC")
    return f"{match[1]}*{match[2]}".upper()


def read_parties(text: str) -> frozenset[str]:
    """The parties in a setting, between blanks or commas; `any` stands for all. ValueError where one is none."""
    return frozenset(each if each == ANY_PARTY else make_party(each) for each in text.replace(",", " ").split())


def is_among(parties: Collection[str], country_code: str, party_id: str) -> bool:
    """Whether a party is one of these, ignoring case."""
    return ANY_PARTY in parties or f"{country_code}*{party_id}".upper() in parties


def find_faults(
    scopes: Collection[str], sources: Collection[str], types: Collection[str], parties: Collection[str],
    rate: float | None, daily: int | None, *, test: bool, known: Collection[str],
) -> dict[str, str]:  # fmt: skip
    """Return what is wrong with a new key's bounds, in words by field: `scopes`, `sources`, `types`, `parties`, `rate`,
    `daily`.

    `known` are the event types that there are.
    """
    found = {"scopes": _scopes_fault(scopes, test=test), "sources": _sources_fault(sources), "rate": _rate_fault(rate)}
    if daily is not None and not 0 < daily <= MAX_DAILY:
        found["daily"] = f"the limit is a number of events a day, above 0 and at most {MAX_DAILY:,}"
    unknown = next((each for each in types if each not in known), None)
    found["types"] = None if unknown is None else f"there is no event type {unknown}"
    if "ocpi" in scopes and not parties:
        found["parties"] = "the scope ocpi needs a party, such as DE*ABC: whose sessions and CDRs the key may write"
    if "ocpi" in scopes and (sources or types):
        found["scopes"] = "sources and types don't apply to OCPI, parties do; create separate keys"
    for name, given in (("sources", sources), ("types", types), ("parties", parties)):
        if len(given) > MAX_SOURCES:
            found[name] = f"a key may have {MAX_SOURCES} of them; leave them out to allow all"
    return {name: fault for name, fault in found.items() if fault is not None}


def _scopes_fault(scopes: Collection[str], *, test: bool) -> str | None:
    if not scopes:
        return "name one scope at least"
    if test and (more := sorted({*scopes} - TEST_SCOPES)):
        return f"a test key may have {', '.join(sorted(TEST_SCOPES))} alone, not {more[0]}: that is about real people"
    return None


def _sources_fault(sources: Collection[str]) -> str | None:
    for each in sources:
        if not 0 < len(each) <= MAX_SOURCE or not _is_line(each):
            return f"a source is one line of 1 to {MAX_SOURCE} characters"
        if ANY_ENDING in each[:-1]:
            return f"{each}: a * stands for the end of a source, so it is the last character"
    return None


def _rate_fault(rate: float | None) -> str | None:
    if rate is None or (math.isfinite(rate) and 0 < rate <= MAX_RATE):
        return None
    return f"the rate is a number of events a second, above 0 and at most {MAX_RATE:,.0f}"


def make_key(name: str, scopes: frozenset[str], now: int, *, test: bool = False, **bounds: Any) -> tuple[str, ApiKey]:
    """A new key: the text to hand over, never to be seen again, and what is kept of it. `bounds` are fields of it."""
    id_, secret = secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES)
    mark = _TEST if test else ""
    return f"ntf_{mark}{id_}_{secret}", ApiKey(
        id=id_, name=name, secret_hash=hash_secret(mark + secret), scopes=scopes, created_at=now, test=test, **bounds
    )


def make_successor(key: ApiKey, now: int) -> tuple[str, ApiKey]:
    """A new key with the name and bounds of another, and with its lifetime from now on: its text, and what is kept."""
    lifetime = None if key.expires_at is None else key.expires_at - key.created_at
    return make_key(
        key.name, key.scopes, now, test=key.test, sources=key.sources, types=key.types, rate=key.rate,
        daily=key.daily, parties=key.parties, expires_at=None if lifetime is None else now + lifetime,
    )  # fmt: skip


def split_key(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key's text, or None where it isn't one. That it is a test key is part of the
    secret."""
    match = _KEY.fullmatch(text)
    return (match[2], (match[1] or "") + match[3]) if match else None


def hash_secret(secret: str) -> str:
    """The hash that is stored of a key's secret: SHA-256 in hex."""
    return sha256(secret.encode()).hexdigest()
