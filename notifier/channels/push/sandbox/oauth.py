"""Google's token endpoint as service accounts use it: the JWT bearer grant (RFC 7523), and bearer tokens (RFC 6750).

The service account's key is made at start and kept in memory; it is valid in this sandbox only.
"""

import secrets
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qs

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifier.domain.clock import SECOND, Clock
from notifier.sandbox.answers import json_answer

PROJECT: Final = "notifier-sandbox"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE: Final = "https://oauth2.googleapis.com/token"
SCOPES: Final = frozenset(
    {"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}
)
LIFETIME: Final = 3_599
"""Seconds that a token is valid, as at Google."""

_CLIENT: Final = f"sender@{PROJECT}.iam.gserviceaccount.com"


class Issuer:
    """Issues and recognises access tokens for one service account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expiry: dict[str, int] = {}

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def service_account(self, http_url: str) -> dict[str, str]:
        """Return a service-account file's content that `firebase_admin.credentials.Certificate` accepts."""
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": f"{self._key.public_key().public_numbers().n & (1 << 160) - 1:040x}",
            "private_key": self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "client_email": _CLIENT,
            "client_id": "100000000000000000001",
            "token_uri": f"{http_url}/token",
        }

    def knows(self, authorization: str) -> bool:
        """Whether an Authorization header holds a bearer token of ours that is still valid."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._expiry.get(token, 0) > self._clock.now()

    async def token(self, request: web.Request) -> web.Response:
        """Answer POST /token: exchange an assertion for an access token; 400 as in RFC 6749 §5.2."""
        form = parse_qs(await request.text())
        if form.get("grant_type") != [GRANT]:
            return _error("unsupported_grant_type", "the grant type is not the JWT bearer grant")
        try:
            # Expiry goes by our own clock, which a test may move; PyJWT would use the machine's.
            claims: dict[str, Any] = jwt.decode(
                form.get("assertion", [""])[0],
                self._key.public_key(),
                algorithms=["RS256"],
                # google-auth sets Google's own endpoint as audience, whatever token_uri it uses.
                audience=[GOOGLE, f"{request.scheme}://{request.host}{request.path}"],
                issuer=_CLIENT,
                options={"require": ["iss", "aud", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            return _error("invalid_grant", f"the assertion does not hold: {type(error).__name__}")
        now = self._clock.now()
        if int(claims["exp"]) * SECOND <= now:
            return _error("invalid_grant", "the assertion has expired")
        if not SCOPES.intersection(str(claims.get("scope", "")).split()):
            return _error("invalid_scope", "none of the scopes allows sending messages")
        token = f"ya29.{secrets.token_urlsafe(48)}"
        self._expiry = {known: expiry for known, expiry in self._expiry.items() if expiry > now}
        self._expiry[token] = now + LIFETIME * SECOND
        return json_answer({"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"})


def _error(code: str, description: str) -> web.Response:
    return json_answer({"error": code, "error_description": description}, status=400)
