"""Signed links and app tokens: by one a person without a login says what they want to hear, or an app shows them what
they were told, and nobody else can.

A token is what it says in base64url JSON, a dot, and an HMAC-SHA256 (itsdangerous) under the salt of its purpose: a
token for one thing is never good for another.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, TypeVar, get_args

import msgspec
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from notifier.domain.clock import DAY, HOUR
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Private

Purpose = Literal["unsubscribe", "undo", "preferences", "click", "map"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

VISIT = DAY  # milliseconds that a link to the preference centre, or to the map, is valid: it shows and changes choices
UNDO = HOUR  # milliseconds in which whoever still has the page open can undo an unsubscription there
APP_TOKEN = HOUR  # milliseconds that an app's token is valid: a stolen one soon stops working
MAX_TOKEN = 800  # characters: the longest recipient id and category, and the signature; and an address of 500
MIN_KEY = 32  # characters of a signing key: 128 bits in hex

_Payload = TypeVar("_Payload", bound=msgspec.Struct)


class Unsubscribe(Private, frozen=True, array_like=True):
    """Switch off one category on one channel.

    It has no end: people unsubscribe by mails that are years old, and all that it can do is stop what it came with. The
    one in a mail's words names no time or mail, so a mail that is rendered again is the same to the letter; the one in
    its header says by which delivery it came.
    """

    recipient_id: str
    category: str
    channel: Channel
    delivery_id: str = ""


class Undo(Private, frozen=True, array_like=True):
    """Undo an unsubscription, `until` a time (epoch milliseconds): a mail in other hands must not subscribe."""

    done: Unsubscribe
    until: int


class PreferenceAccess(Private, frozen=True, array_like=True):
    """See and change all of a person's preferences, `until` a time (epoch milliseconds)."""

    recipient_id: str
    until: int


class MapAccess(Private, frozen=True, array_like=True):
    """See the map and ask to be told of free ports there, `until` a time (epoch milliseconds)."""

    recipient_id: str
    until: int


class AppVisit(Private, frozen=True, array_like=True):
    """See one person's messages on one channel, `until` a time (epoch milliseconds)."""

    recipient_id: str
    until: int


class Followed(Private, frozen=True, array_like=True):
    """A link in a message, by which delivery it was sent and where it leads.

    It has no end: people follow links in mails that are years old, when nothing else is known of the delivery any more.
    """

    delivery_id: str
    target: str


class Links:
    """Makes links below the public URL, and reads their tokens.

    The first of the keys signs, all of them are good: put a new one in front, and keep the old ones for as long as
    mails that they signed may be opened.
    """

    def __init__(self, public_url: str, keys: Sequence[bytes]) -> None:
        self._url = public_url.rstrip("/")
        self.use(keys)

    def use(self, keys: Sequence[bytes]) -> None:
        """Sign with the first of these keys from now on, and read what any of them signed."""
        oldest_first = list(reversed(keys))
        salts = (*PURPOSES, *(f"app.{channel}" for channel in Channel))
        self._signers = {
            salt: Signer(oldest_first, salt=f"notifier.{salt}", key_derivation="hmac", digest_method=sha256)
            for salt in salts
        }

    def unsubscribe_url(self, recipient_id: str, category: str, channel: Channel, delivery_id: str = "") -> str:
        """The address that a mail's footer names, and with the delivery its List-Unsubscribe header (RFC 8058)."""
        # Without a delivery the payload is what it was before there was one: what was sent is proven by its hash.
        payload = (recipient_id, category, channel, delivery_id)[: 4 if delivery_id else 3]
        return f"{self._url}/u/{self._sign('unsubscribe', payload)}"

    def preference_url(self, recipient_id: str, now: int) -> str:
        """The address of a person's preference centre."""
        return f"{self._url}/p/{self._sign('preferences', PreferenceAccess(recipient_id, now + VISIT))}"

    def map_url(self, recipient_id: str, now: int) -> str:
        """The address of the map for a person."""
        return f"{self._url}/map/{self._sign('map', MapAccess(recipient_id, now + VISIT))}"

    def click_url(self, delivery_id: str, target: str) -> str:
        """The address that leads to a target and counts that it was followed; the target itself where that is ours, as
        a link to unsubscribe is, or too long for a token."""
        if target.startswith(f"{self._url}/"):
            return target
        token = self._sign("click", Followed(delivery_id, target))
        return target if len(token) > MAX_TOKEN else f"{self._url}/c/{token}"

    def undo_token(self, done: Unsubscribe, now: int) -> str:
        """The token of the form that undoes an unsubscription."""
        return self._sign("undo", Undo(done, now + UNDO))

    def app_token(self, channel: Channel, recipient_id: str, now: int) -> str:
        """The token by which an app reads one person's messages from a channel's endpoints."""
        return self._sign(f"app.{channel}", AppVisit(recipient_id, now + APP_TOKEN))

    def read_app_token(self, channel: Channel, token: str, now: int) -> AppVisit | None:
        """The visit that an app's token for a channel allows; None if the token is not ours or expired."""
        visit = self._read(f"app.{channel}", token, AppVisit)
        return visit if visit is not None and now < visit.until else None

    def read_unsubscribe(self, token: str) -> Unsubscribe | None:
        """The unsubscription that a token holds; None if we didn't sign it for this use."""
        return self._read("unsubscribe", token, Unsubscribe)

    def read_click(self, token: str) -> Followed | None:
        """The link that a token holds; None if we didn't sign it for this use."""
        return self._read("click", token, Followed)

    def read_undo(self, token: str, now: int) -> Unsubscribe | None:
        """The unsubscription that a token allows to undo; None if the token is not ours or expired."""
        undo = self._read("undo", token, Undo)
        return undo.done if undo is not None and now < undo.until else None

    def read_visit(self, token: str, now: int) -> PreferenceAccess | None:
        """The preference access that a token grants; None if the token is not ours or expired."""
        visit = self._read("preferences", token, PreferenceAccess)
        return visit if visit is not None and now < visit.until else None

    def read_map(self, token: str, now: int) -> MapAccess | None:
        """The access to the map that a token grants; None if the token is not ours or expired."""
        access = self._read("map", token, MapAccess)
        return access if access is not None and now < access.until else None

    def _sign(self, salt: str, payload: msgspec.Struct | tuple[str, ...]) -> str:
        return self._signers[salt].sign(base64_encode(msgspec.json.encode(payload))).decode("ascii")

    def _read(self, salt: str, token: str, shape: type[_Payload]) -> _Payload | None:
        if len(token) > MAX_TOKEN:
            return None
        try:
            payload = self._signers[salt].unsign(token)
            signature = token.rpartition(".")[2].encode("ascii")
            # Decoding is lenient: it skips characters that are not Base64 and ignores the last one's spare bits.
            if base64_encode(base64_decode(signature)) != signature:
                return None
            return msgspec.json.decode(base64_decode(payload), type=shape)
        except (BadData, msgspec.DecodeError, UnicodeError):
            return None


def read_keys(text: str) -> list[bytes]:
    """Signing keys from a setting, separated by blanks; ConfigurationError for one that could be guessed."""
    keys = text.split()
    if any(len(key) < MIN_KEY for key in keys):
        raise ConfigurationError(
            f"NOTIFIER_SIGNING_KEYS: each key needs {MIN_KEY} or more characters; `openssl rand -hex 32` makes one"
        )
    return [key.encode() for key in keys]
