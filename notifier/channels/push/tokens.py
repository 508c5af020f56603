"""Access tokens of a Google service account, fetched in a thread before they are needed."""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import requests
from firebase_admin import credentials
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request

from notifier.domain.clock import HOUR, MINUTE, SECOND, Clock, SystemClock, to_instant
from notifier.domain.errors import ConfigurationError
from notifier.domain.reading import read_text
from notifier.providers.codes import Codes
from notifier.runtime.background import once
from notifier.runtime.proxies import DIRECT, Proxies

AHEAD: Final = 10 * MINUTE
"""How long before its expiry a token is replaced in the background: enough for many failures of the token endpoint."""
PAUSE: Final = 5 * SECOND
"""How long the endpoint is not called after a failure."""
TIMEOUT: Final = 10.0
"""Seconds for a request to the token endpoint."""
WAIT: Final = 4.0
"""Seconds that a sender waits for a token: together with a push that stays within a delivery's lease."""
LIFETIME: Final = HOUR
"""The lifetime of a token whose response names none: Google's own."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1


def read_certificate(service_account: Mapping[str, Any] | Path) -> credentials.Certificate:
    """Read a service account from a file or its content; raises ConfigurationError, which never quotes the content."""
    try:
        content = json.loads(read_text(service_account)) if isinstance(service_account, Path) else service_account
        return credentials.Certificate(dict(content))
    except OSError as error:
        told = f"the service account can't be read from {service_account} ({type(error).__name__})"
        raise ConfigurationError(told) from None
    except (ValueError, AttributeError, TypeError):
        problem = (
            "the service account file must have type, project_id, private_key and client_email, as "
            "Firebase generates it"
        )
    raise ConfigurationError(problem)


class AccessTokens:
    """The access tokens of a service account; one request at a time fetches the next token.

    The credentials' own `before_request` isn't used: it also asks iamcredentials.googleapis.com, in a thread of its
    own, where the account may be used from. `refresh` talks to the `token_uri` of the service account and to nothing
    else, through the proxy that is for it.
    """

    def __init__(
        self, certificate: credentials.Certificate, codes: Codes, clock: Clock, proxies: Proxies = DIRECT
    ) -> None:
        self._credential = certificate.get_credential()
        self._codes = codes
        self._clock = clock
        self._proxies = proxies
        self._session = requests.Session()
        self._session.trust_env = (
            False  # proxies outside our settings and ~/.netrc must not affect where the signed assertion goes
        )
        self._bearer = ""
        self._expires_at = 0
        self._refresh_at = 0
        self._refreshing: asyncio.Task[None] | None = None
        self._failure = "token_unavailable"

    async def bearer(self) -> str:
        """Return the value of the Authorization header; waits only where there is no valid token yet.

        Raises Misconfigured where the token endpoint refuses the account, and Unavailable where it can't be reached.
        """
        now = self._clock.now()
        if now >= self._refresh_at and self._refreshing is None:
            self._refreshing = once("push.token", self._refresh)
        if now >= self._expires_at:
            if self._refreshing is not None:
                await asyncio.wait(
                    [self._refreshing], timeout=WAIT
                )  # one cancelled caller doesn't cancel it for others
            if self._clock.now() >= self._expires_at:
                raise self._codes.classify(self._failure)
        return self._bearer

    def refused(self, bearer: str) -> None:
        """Drop a token that FCM rejected, unless it has already been replaced."""
        if bearer == self._bearer:
            self._expires_at = self._refresh_at = 0

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._session.close()

    async def _refresh(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._credential.refresh, self._request)
            self._take()
        except (GoogleAuthError, OSError, ValueError, TypeError, OverflowError) as error:
            refused = isinstance(error, RefreshError) and not error.retryable
            self._failure = "token_refused" if refused else "token_unavailable"
            self._refresh_at = self._clock.now() + PAUSE
        finally:
            self._refreshing = None

    def _request(self, url: str, **how: Any) -> Any:
        """Return the HTTP request adapter for google-auth."""
        through = {"https": self._proxies.for_url(url)}
        return Request(self._session)(url, timeout=TIMEOUT, proxies=through, **how)

    def _take(self) -> None:
        """Return the credentials' new token and its lifetime; raises ValueError for an invalid token."""
        if not _TOKEN.fullmatch(self._credential.token or ""):
            raise ValueError("not a token")
        now, expiry = self._clock.now(), self._credential.expiry
        # The library gives the expiry by the machine's clock; only the lifetime is used here.
        left = to_instant(expiry.replace(tzinfo=UTC)) - SystemClock().now() if expiry else LIFETIME
        self._expires_at = now + left
        self._refresh_at = now + max(left - AHEAD, left // 2)
        self._bearer = f"Bearer {self._credential.token}"
