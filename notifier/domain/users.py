"""The console's users: what each role may do, and how passwords and sessions are kept.

A password is kept as argon2id makes it (RFC 9106), a session as the hash of its id: whoever reads the database can sign
in as nobody.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Literal, get_args

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from notifier.domain.clock import HOUR, MINUTE

IDLE = HOUR  # milliseconds without a request after which a session ends: an unattended desk
ABSOLUTE = 12 * HOUR  # milliseconds after which a session ends in any case: a shift
TOUCH = MINUTE  # milliseconds by which a session's recorded last use may be late: it saves a write for every page

TRIES = 5  # wrong passwords for a name, after which the name is blocked for a while
ADDRESS_TRIES = 50  # the same for one address, which a whole office may share
LOCK = 15 * MINUTE  # milliseconds of the block: it leaves 480 guesses a day

MIN_PASSWORD = 12  # characters
MAX_PASSWORD = 200

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_SESSION = re.compile(r"[A-Za-z0-9_-]{43}")


class Role(StrEnum):
    """A console user's role; each role includes the rights of those before it."""

    VIEWER = "viewer"
    AUTHOR = "author"
    PUBLISHER = "publisher"
    OPERATOR = "operator"
    ADMIN = "admin"


Permission = Literal["read", "write", "publish", "operate", "administer"]
"""Read; edit drafts; publish them; redrive and discard dead letters; manage users and API keys, read the audit log."""

_ALL: tuple[Permission, ...] = get_args(Permission)

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({"read"}),
    Role.AUTHOR: frozenset({"read", "write"}),
    Role.PUBLISHER: frozenset({"read", "write", "publish"}),
    Role.OPERATOR: frozenset({"read", "write", "publish", "operate"}),
    Role.ADMIN: frozenset(_ALL),
}


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user as it is kept. The name is what they sign in with, and what the audit calls them."""

    name: str
    role: Role
    password_hash: str
    created_at: int
    disabled_at: int | None = None
    signed_in_at: int | None = None

    def __repr__(self) -> str:
        return f"<User {self.name}>"


class ConsoleSession(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has signed in; `id_hash` is the hash of what their cookie holds."""

    id_hash: str
    user: str
    role: Role
    created_at: int
    used_at: int

    def __repr__(self) -> str:
        return f"<Session of {self.user}>"


def make_session_id() -> str:
    """A new session's id, for the cookie alone: 256 bits of randomness."""
    return secrets.token_urlsafe(32)


def is_session_id(text: str) -> bool:
    """Whether a text has the shape of a session's id."""
    return _SESSION.fullmatch(text) is not None


def hash_session_id(id_: str) -> str:
    """The hash that is stored of a session's id: SHA-256 in hex."""
    return sha256(id_.encode()).hexdigest()


def csrf_token(session_id: str) -> str:
    """The token by which a form proves that its page was ours: only the cookie's holder can know it."""
    return hmac.new(session_id.encode(), b"csrf", sha256).hexdigest()


def make_password() -> str:
    """A password to hand over once: 120 bits of randomness."""
    return secrets.token_urlsafe(15)


def password_fault(password: str) -> str | None:
    """Why a chosen password is not allowed, in words; None if it is allowed."""
    if len(password) < MIN_PASSWORD:
        return f"at least {MIN_PASSWORD} characters; a few words are easier to remember than symbols"
    if len(password) > MAX_PASSWORD:
        return f"at most {MAX_PASSWORD} characters"
    return None


def hash_password(password: str) -> str:
    """The stored hash of a password: argon2id with parameters and salt. Takes some 50 ms of CPU, so not on a loop."""
    return _hasher().hash(password)


def admits(user: User | None, password: str) -> bool:
    """Whether the password is this user's and the user may still sign in; it takes as long where there is no user."""
    known = _nobody() if user is None else user.password_hash
    try:
        right = _hasher().verify(known, password)
    except (VerificationError, InvalidHashError):
        return False
    return right and user is not None and user.disabled_at is None


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # RFC 9106's second choice: 64 MiB, three passes


@cache
def _nobody() -> str:
    return hash_password(make_password())
