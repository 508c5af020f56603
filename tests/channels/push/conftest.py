"""A Firebase service account whose key opens nothing, and FCM's and the token endpoint's stand-ins."""

from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifier.channels.push.transport import FcmTransport
from notifier.domain.clock import ManualClock
from notifier.providers.http import HttpTimeouts
from tests.channels.provider import Provider, reply
from tests.channels.push.samples import SEND, TOKEN_ENDPOINT, grant


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def service_account(private_key: str, provider: Provider) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "notifier@p.iam.gserviceaccount.com",
        "token_uri": f"{provider.url}{TOKEN_ENDPOINT}",
    }


@pytest.fixture
async def fcm(
    provider: Provider, service_account: dict[str, str], clock: ManualClock, timeouts: HttpTimeouts
) -> AsyncIterator[FcmTransport]:
    """A transport whose provider grants tokens and takes every push; tests say otherwise."""
    provider.answers(TOKEN_ENDPOINT, reply(200, grant(1)))
    provider.answers(SEND, reply(200, {"name": "projects/p/messages/1"}))
    transport = FcmTransport(
        service_account,
        clock=clock,
        base_url=provider.url,
        connections=20,
        timeouts=timeouts,
    )
    yield transport
    await transport.close()
