"""Endpoints as the providers of webhooks: all of them behind one account, which is always there."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from notifier.channels.webhook.settings import NETS, nets
from notifier.channels.webhook.transport import CONNECTIONS, WebhookTransport
from notifier.providers.spec import Opening, ProviderSpec
from notifier.runtime.accounts import Account
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import PREFIX, Settings

ANYWHERE: Final = "https://endpoint.example"
"""Stands for an endpoint in the internet, whose way out is asked for."""


class WebhookAccount(Account, frozen=True, kw_only=True):
    """What webhooks go out by; no setting names it."""

    parts = frozenset({"name"})


def accounts(_settings: Settings) -> Sequence[WebhookAccount]:
    """The one that there is."""
    return [WebhookAccount(name="webhook", connections=CONNECTIONS)]


def open_transport(_account: WebhookAccount, opening: Opening) -> WebhookTransport:
    """The transport to all endpoints."""
    return WebhookTransport(opening.clock, permitted=nets(opening.settings.channels), proxies=opening.proxies)


async def check(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Tell by which way webhooks leave, and which networks of one's own they may go to."""
    permitted = ", ".join(map(str, nets(settings.channels)))
    inside = f"; {permitted} is permitted too, directly" if permitted else ""
    if settings.loopback_only:
        told = f"none leaves this machine: {PREFIX}LOOPBACK_ONLY is set{inside}"
        yield DoctorFinding(
            "webhooks", "missing", told, f"unset {PREFIX}LOOPBACK_ONLY; {PREFIX}{NETS.upper()} permits nets"
        )
        return
    proxy = settings.proxies().of(ANYWHERE)
    way = "directly" if proxy is None else f"through {proxy.host}:{proxy.port}, which has to open tunnels to addresses"
    yield DoctorFinding("webhooks", "good", f"to the internet by https, {way}{inside}")


PROVIDER: Final = ProviderSpec(accounts=accounts, open=open_transport, check=check)
