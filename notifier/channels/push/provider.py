"""Firebase Cloud Messaging as the provider of pushes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from notifier.channels.push.settings import ACCOUNTS, FcmAccount
from notifier.channels.push.tokens import read_certificate
from notifier.channels.push.transport import FcmTransport
from notifier.domain.errors import ConfigurationError
from notifier.providers.spec import Opening, ProviderSpec, no_account, pace, route
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import Settings


def open_transport(account: FcmAccount, opening: Opening) -> FcmTransport:
    """Open the transport of a Firebase project; raises ConfigurationError where its service account is unusable."""
    return FcmTransport(
        Path(account.service_account), clock=opening.clock, project=account.project, base_url=account.url,
        connections=account.connections, proxies=opening.proxies,
    )  # fmt: skip


async def check(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Check for the doctor that each project's service account can be read."""
    accounts = ACCOUNTS.of(settings)
    if not accounts:
        yield no_account("push", "pushes", ACCOUNTS.name, "fcm:///path/of/service-account.json")
    for account in accounts:
        try:
            project = account.project or read_certificate(Path(account.service_account)).project_id
        except ConfigurationError as error:
            yield DoctorFinding("push", "wrong", f"{account.name}: {error}", "Firebase console, Service accounts")
        else:
            told = f"{account.name}: project {project} by {route(account.url, settings)}{pace(account)}"
            yield DoctorFinding("push", "good", told)


PROVIDER: Final = ProviderSpec(
    accounts=ACCOUNTS.of,
    open=open_transport,
    check=check,
    files=lambda account: [Path(account.service_account)],
    ramps=True,  # as Google recommends (firebase.google.com/docs/cloud-messaging/scale-fcm)
)
