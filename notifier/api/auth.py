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

REMEMBERED = 20 * SECOND  # milliseconds that a valid key is cached: revoking a key takes at most this long
USE_NOTED = 10 * MINUTE  # milliseconds: the resolution of a key's "last used"
MOST_REMEMBERED = 10_000  # keys in the cache; beyond that it is emptied


class Authenticator:
    """Admits requests whose API key is valid and has the scope."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[int, ApiKey]] = {}

    async def admit(self, request: Request, scope: Scope) -> ApiKey:
        """Return the API key of a request; raises Problem 40101, 40102 or 40301."""
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
            with suppress(StoreUnavailable):  # a key is valid even if its last use can't be written
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
                # `echo KEY | base64` encodes a line end with the key.
                return base64.b64decode(value.strip(), validate=True).decode("ascii").strip()
            except (binascii.Error, UnicodeDecodeError):
                return value.strip()
        case _:
            return None
