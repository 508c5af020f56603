"""API keys: `ntf_<id>_<secret>`, shown once, kept as a hash, good for the scopes, sources and event types they name."""

import hmac
import re
import secrets
from collections.abc import Collection
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from notifier.domain.text import LINE

Scope = Literal[
    "events:write", "opened:write", "recipients:write", "recipients:read", "recipients:erase", "tenants:write",
    "ledger:read", "metrics:read", "dead:read", "dead:write", "explain:read", "ocpi",
]  # fmt: skip
SCOPES: tuple[Scope, ...] = get_args(Scope)

ANY_ENDING: Final = "*"
"""The end of a source that matches every source with the part before it."""

KeyName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=LINE)]
"""A key's name. The audit log names it as the actor of what was done with the key."""

_ID_BYTES = 8
_SECRET_BYTES = 32  # 256 random bits can't be guessed, so a fast hash is enough
ANY_PARTY: Final = "any"
"""Stands for every party of an OCPI network."""

_PARTY = re.compile(r"([A-Za-z]{2})[*-]?([A-Za-z0-9]{3})", re.ASCII)
_KEY = re.compile(rf"ntf_([0-9a-f]{{{2 * _ID_BYTES}}})_([0-9a-f]{{{2 * _SECRET_BYTES}}})")


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept: instants in epoch milliseconds; its limits, `rate` in events a second and `daily` in events
    a day (UTC), where it has any.

    It reports events of these `sources` and event types (`types`) only; of any where there are none. A source that ends
    in `*` stands for all that begin so. By OCPI it speaks for these `parties`, each as `make_party` writes it; for any
    where there are none.
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

    def reports_as(self, source: str) -> bool:
        """Whether the key may report events of a source."""
        return not self.sources or any(
            source.startswith(each[:-1]) if each.endswith(ANY_ENDING) else source == each for each in self.sources
        )

    def reports_of(self, event_type: str) -> bool:
        """Whether the key may report events of a type."""
        return not self.types or event_type in self.types

    def speaks_for(self, country_code: str, party_id: str) -> bool:
        """Whether the key may write objects that an OCPI party owns."""
        return not self.parties or is_among(self.parties, country_code, party_id)


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


def make_key(name: str, scopes: frozenset[str], now: int, **bounds: Any) -> tuple[str, ApiKey]:
    """A new key: the text to hand over, never to be seen again, and what is kept of it. `bounds` are fields of it."""
    id_, secret = secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES)
    return f"ntf_{id_}_{secret}", ApiKey(
        id=id_, name=name, secret_hash=hash_secret(secret), scopes=scopes, created_at=now, **bounds
    )


def split_key(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key's text, or None where it isn't one."""
    match = _KEY.fullmatch(text)
    return (match[1], match[2]) if match else None


def hash_secret(secret: str) -> str:
    """The hash that is stored of a key's secret: SHA-256 in hex."""
    return sha256(secret.encode()).hexdigest()
