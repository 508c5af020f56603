"""The provider of webhooks: all endpoints behind one account, which always exists."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from notifier.channels.webhook.transport import CONNECTIONS, WebhookTransport
from notifier.providers.destinations import NETS, nets
from notifier.providers.spec import Opening, ProviderSpec
from notifier.runtime.accounts import Account
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import PREFIX, Settings

ANYWHERE: Final = "https://endpoint.example"
"""An example endpoint on the internet, for which the doctor looks up the proxy."""


class WebhookAccount(Account, frozen=True, kw_only=True):
    """The account of all webhooks; no setting names it."""

    parts = frozenset({"name"})


def accounts(_settings: Settings) -> Sequence[WebhookAccount]:
    """Return the only account."""
    return [WebhookAccount(name="webhook", connections=CONNECTIONS)]


def open_transport(_account: WebhookAccount, opening: Opening) -> WebhookTransport:
    """Open the transport to all endpoints."""
    return WebhookTransport(opening.clock, permitted=nets(opening.settings.channels), proxies=opening.proxies)


async def check(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Report the proxy that webhooks go through, and the private networks that they may go to."""
    permitted = ", ".join(map(str, nets(settings.channels)))
    inside = f"; {permitted} is permitted too, without a proxy" if permitted else ""
    if settings.loopback_only:
        told = f"no webhook leaves this machine: {PREFIX}LOOPBACK_ONLY is set{inside}"
        yield DoctorFinding(
            "webhooks", "missing", told, f"unset {PREFIX}LOOPBACK_ONLY; {PREFIX}{NETS.upper()} permits private networks"
        )
        return
    proxy = settings.proxies().of(ANYWHERE)
    way = (
        "directly" if proxy is None else f"through {proxy.host}:{proxy.port}, which must permit CONNECT to IP addresses"
    )
    yield DoctorFinding("webhooks", "good", f"to the internet over https, {way}{inside}")


PROVIDER: Final = ProviderSpec(accounts=accounts, open=open_transport, check=check, confirms=True)
