"""Firebase Cloud Messaging as the provider of pushes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from notifier.channels.push.settings import ACCOUNTS, FcmAccount
from notifier.channels.push.transport import FcmTransport
from notifier.domain.clock import SystemClock
from notifier.domain.errors import ConfigurationError, Misconfigured, SendError
from notifier.providers.spec import Opening, ProviderSpec, no_account, pace, route
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import Settings

NEW_KEY: Final = "generate a new key: Firebase console, Project settings, Service accounts"
"""What the doctor advises where a service account can't be used."""


def open_transport(account: FcmAccount, opening: Opening) -> FcmTransport:
    """Open the transport of a Firebase project; raises ConfigurationError where its service account is unusable."""
    return FcmTransport(
        Path(account.service_account), clock=opening.clock, project=account.project, base_url=account.url,
        connections=account.connections, proxies=opening.proxies,
    )  # fmt: skip


async def check(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Check for the doctor that each project's service account is given an access token."""
    accounts = ACCOUNTS.of(settings)
    if not accounts:
        yield no_account("push", "pushes", ACCOUNTS.name, "fcm:///path/of/service-account.json")
    for account in accounts:
        yield await _check(account, settings)


async def _check(account: FcmAccount, settings: Settings) -> DoctorFinding:
    try:
        transport = open_transport(account, Opening(settings=settings, proxies=settings.proxies(), clock=SystemClock()))
    except ConfigurationError as error:
        return DoctorFinding("push", "wrong", f"{account.name}: {error}", NEW_KEY)
    told = f"{account.name}: project {transport.project}"
    try:
        await transport.authorize()
    except Misconfigured as error:
        return DoctorFinding("push", "wrong", f"{told}: {error.detail}", NEW_KEY)
    except SendError as error:
        way_out = "let this host reach the service account's token_uri, or set NOTIFIER_HTTPS_PROXY"
        return DoctorFinding("push", "wrong", f"{told}: {error.detail}", way_out)
    finally:
        await transport.close()
    by = f"by {route(account.url, settings)}{pace(account)}"
    return DoctorFinding("push", "good", f"{told} {by}, its key is given access tokens")


PROVIDER: Final = ProviderSpec(
    accounts=ACCOUNTS.of,
    open=open_transport,
    check=check,
    files=lambda account: [Path(account.service_account)],
    ramps=True,  # as Google recommends (firebase.google.com/docs/cloud-messaging/scale-fcm)
)
