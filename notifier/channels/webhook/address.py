"""A recipient's endpoint: its URL, the form of its webhooks, and the secrets that authenticate them."""

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from notifier.channels.webhook.settings import nets
from notifier.domain.messages import Private
from notifier.domain.standard_webhooks import secret_key
from notifier.providers.destinations import UnsafeDestination, parse_destination

Format = Literal["standard", "slack", "teams", "pagerduty"]
"""The form of bodies: for the receiver's own program (Standard Webhooks), or for a service with a form of its own."""

HIDDEN: Final = frozenset({"secret", "previous_secret"})
"""The members that are never shown."""

PAGERDUTY: Final = ("events.pagerduty.com", "events.eu.pagerduty.com")
"""The hosts of the Events API v2 (developer.pagerduty.com/docs/events-api-v2-overview)."""

_ROUTING_KEY: Final = re.compile(r"[0-9A-Za-z]{32}")


class WebhookEndpoint(Private, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An endpoint, as `addresses.webhook` of a recipient.

    For the `standard` form, `secret` is what bodies are signed with: `whsec_` and 24 to 64 bytes in base64, made by who
    writes it. While it is replaced, `previous_secret` signs too. For `pagerduty`, `secret` is the integration's routing
    key. `slack` and `teams` have none: their URL itself is what proves who we are.
    """

    url: str
    format: Format = "standard"
    secret: str | None = None
    previous_secret: str | None = None

    @property
    def keys(self) -> list[bytes]:
        """Return the signing keys, newest first."""
        return [secret_key(each) for each in (self.secret, self.previous_secret) if each is not None]


def check(endpoint: WebhookEndpoint, settings: Mapping[str, str]) -> WebhookEndpoint:
    """Return the endpoint with a normalised URL, and without secrets that its form doesn't use.

    Raises a ValueError that begins with the member at fault, and never contains a value.
    """
    return msgspec.structs.replace(_with_secrets(endpoint), url=_check_url(endpoint, settings))


def _check_url(endpoint: WebhookEndpoint, settings: Mapping[str, str]) -> str:
    permitted = nets(settings)
    try:
        destination = parse_destination(endpoint.url, permitted)
    except UnsafeDestination as error:
        told = str(error)
    else:
        # A routing key stands in the body: whoever may change the URL is not to learn the key from it.
        is_ours = destination.address is not None and any(destination.address in net for net in permitted)
        if endpoint.format != "pagerduty" or destination.host in PAGERDUTY or is_ours:
            return destination.url
        told = f"must lead to PagerDuty: https://{PAGERDUTY[0]}/v2/enqueue"
    raise ValueError(f"url {told}")


def _with_secrets(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    match endpoint.format:
        case "slack" | "teams":
            return msgspec.structs.replace(endpoint, secret=None, previous_secret=None)
        case "pagerduty":
            if not _ROUTING_KEY.fullmatch(endpoint.secret or ""):
                raise ValueError("secret must be the routing key of an Events API v2 integration, 32 letters")
            return msgspec.structs.replace(endpoint, previous_secret=None)
        case "standard":
            if endpoint.secret is None:
                raise ValueError("secret is needed to sign with: whsec_ and 24 to 64 random bytes in base64")
            _check_secret("secret", endpoint.secret)
            if endpoint.previous_secret is not None:
                _check_secret("previous_secret", endpoint.previous_secret)
            return endpoint


def _check_secret(name: str, secret: str) -> None:
    try:
        secret_key(secret)
    except ValueError as error:
        told = str(error)
    else:
        return
    raise ValueError(f"{name} {told}")
