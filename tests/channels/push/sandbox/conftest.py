"""What speaks to the stand-in of FCM: pushes with a token from its own issuer."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession

from notifier.channels.push.sandbox.oauth import GRANT, PROJECT
from notifier.sandbox import Sandbox
from tests.stand_ins import service_account

Send = Callable[[dict[str, Any]], Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture
def assertion() -> Callable[..., dict[str, str]]:
    """Makes the form a service account posts to get a token, with these claims changed."""

    def make(account: dict[str, str], **changes: Any) -> dict[str, str]:
        now = int(time.time())
        claims = {
            "iss": account["client_email"],
            "aud": account["token_uri"],
            "iat": now,
            "exp": now + 3600,
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
        }
        signed = jwt.encode({**claims, **changes}, account["private_key"], algorithm="RS256")
        return {"grant_type": GRANT, "assertion": signed}

    return make


@pytest.fixture
def ask_for_token(
    sandbox: Sandbox, http: ClientSession, assertion: Callable[..., dict[str, str]]
) -> Callable[..., Awaitable[tuple[int, dict[str, Any]]]]:
    """Posts an assertion with these claims changed; the answer's status and body."""

    async def ask(**changes: Any) -> tuple[int, dict[str, Any]]:
        async with http.post("/token", data=assertion(service_account(sandbox), **changes)) as response:
            return response.status, await response.json()

    return ask


@pytest.fixture
async def push(http: ClientSession, ask_for_token: Any) -> Send:
    """Sends an FCM message with a good token; the answer's status and body."""
    _, granted = await ask_for_token()
    headers = {"Authorization": f"Bearer {granted['access_token']}"}

    async def send(message: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        url = f"/v1/projects/{PROJECT}/messages:send"
        async with http.post(url, json={"message": message}, headers=headers) as response:
            return response.status, await response.json()

    return send
