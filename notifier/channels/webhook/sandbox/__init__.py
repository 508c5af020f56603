"""Endpoints in the sandbox: they accept webhooks in every form, verify signatures, and show them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from notifier.channels.webhook.sandbox import inbox
from notifier.channels.webhook.sandbox.endpoint import PATH, SECRET, Endpoints, Hook
from notifier.providers.destinations import NETS
from notifier.sandbox.column import Column, InboxColumn
from notifier.sandbox.service import ADDRESS, Host, Service
from notifier.sandbox.stand_in import StandIn

__all__ = ["SECRET", "SERVICE", "STAND_IN", "EndpointService", "Hook", "endpoint_url"]


def endpoint_url(sandbox_url: str, form: str, name: str) -> str:
    """Return the URL of an endpoint of the sandbox; every name is an endpoint, in every form."""
    return sandbox_url + PATH.format(form=form, name=name)


class EndpointService(Service):
    """The service of all endpoints, whatever their names."""

    page = Path(__file__).with_name("inbox.html")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._endpoints = Endpoints(host)

    def routes(self) -> Iterable[web.RouteDef]:
        yield web.post(PATH, self._endpoints.take)

    def column(self, look: InboxColumn) -> Column:
        return inbox.column(self._host.ledger, look)


def label(url: str) -> str:
    """Format an endpoint for the page: its form and name."""
    return urlsplit(url).path.removeprefix(PATH.partition("{")[0])


STAND_IN: Final = StandIn(
    title="Webhooks",
    addresses="Endpoints",
    settings={NETS: f"{ADDRESS}/32"},
    label=label,
)
SERVICE: Final = EndpointService
