"""API keys: `ntf_<id>_<secret>`, shown once, kept as a hash, good for the scopes they name."""

import hmac
import re
import secrets
from hashlib import sha256
from typing import Literal, get_args

import msgspec

Scope = Literal[
    "events:write", "opened:write", "recipients:write", "recipients:read", "recipients:erase", "tenants:write",
    "ledger:read", "dead:read", "dead:write", "explain:read", "ocpi",
]  # fmt: skip
SCOPES: tuple[Scope, ...] = get_args(Scope)

_ID_BYTES = 8
_SECRET_BYTES = 32  # 256 bits of randomness: a fast hash is enough, there is nothing to guess
_KEY = re.compile(rf"ntf_([0-9a-f]{{{2 * _ID_BYTES}}})_([0-9a-f]{{{2 * _SECRET_BYTES}}})")


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept."""

    id: str
    name: str
    secret_hash: str
    scopes: frozenset[str]
    created_at: int
    revoked_at: int | None = None

    def __repr__(self) -> str:
        return f"<ApiKey {self.id}>"

    def admits(self, secret: str) -> bool:
        """Whether the secret is this key's and the key is still good."""
        return self.revoked_at is None and hmac.compare_digest(self.secret_hash, hash_secret(secret))


def make_key(name: str, scopes: frozenset[str], now: int) -> tuple[str, ApiKey]:
    """A new key: the text to hand over, never to be seen again, and what is kept of it."""
    id_, secret = secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES)
    return f"ntf_{id_}_{secret}", ApiKey(
        id=id_, name=name, secret_hash=hash_secret(secret), scopes=scopes, created_at=now
    )


def split_key(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key's text, or None where it isn't one."""
    match = _KEY.fullmatch(text)
    return (match[1], match[2]) if match else None


def hash_secret(secret: str) -> str:
    """SHA-256 in hex."""
    return sha256(secret.encode()).hexdigest()
