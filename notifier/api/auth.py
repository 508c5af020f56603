"""API keys on requests: `Authorization: Bearer ntf_…`, or OCPI's `Token` with the key in Base64 (OCPI 2.2.1 §4.1.2)."""

import base64
import binascii
from contextlib import suppress

from starlette.requests import Request

from notifier.domain.clock import MINUTE, SECOND, Clock
from notifier.domain.errors import StoreUnavailable
from notifier.domain.keys import ApiKey, Scope, hash_secret, split_key
from notifier.domain.problems import problem
from notifier.store.console import keys
from notifier.store.core.database import Database

REMEMBERED = 20 * SECOND  # milliseconds that a key found good is not looked up again: revoking takes no longer
USE_NOTED = 10 * MINUTE  # milliseconds: how exactly a key tells when it was last used
MOST_REMEMBERED = 10_000  # keys; past it the memory starts anew


class Authenticator:
    """Admits requests whose key is good and has the scope."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[int, ApiKey]] = {}

    async def admit(self, request: Request, scope: Scope) -> ApiKey:
        """The key of a request; raises Problem 40101, 40102 or 40301."""
        text = _key_text(request.headers.get("authorization", ""))
        if text is None:
            raise problem(40101, "the request has no Authorization header with a key")
        parts = split_key(text)
        key = None if parts is None else await self._find(*parts)
        if key is None:
            raise problem(40102, "no such key, or it was revoked or has expired")
        if scope not in key.scopes:
            raise problem(40301, f"the key {key.id} lacks the scope {scope}")
        return key

    async def _find(self, id_: str, secret: str) -> ApiKey | None:
        now = self._clock.now()
        known = id_, hash_secret(secret)
        until, key = self._known.get(known, (0, None))
        if until > now:
            return key
        key = await keys.find(self._database, id_)
        if key is None or not key.admits(secret, now):
            self._known.pop(known, None)
            return None
        if key.used_at is None or now - key.used_at >= USE_NOTED:
            with suppress(StoreUnavailable):  # whether it is good doesn't hang on a note
                await keys.note_use(self._database, key.id, now)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        until = now + REMEMBERED
        self._known[known] = until if key.expires_at is None else min(until, key.expires_at), key
        return key


def _key_text(header: str) -> str | None:
    kind, _, value = header.partition(" ")
    match kind.lower():
        case "bearer":
            return value.strip()
        case "token":
            try:
                # With the line end that `echo KEY | base64` puts into it.
                return base64.b64decode(value.strip(), validate=True).decode("ascii").strip()
            except (binascii.Error, UnicodeDecodeError):
                return value.strip()
        case _:
            return None
