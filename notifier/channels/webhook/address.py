"""A recipient's endpoint: its URL, the form of its webhooks, and the secrets that authenticate them."""

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from notifier.domain.messages import Private
from notifier.domain.standard_webhooks import secret_key
from notifier.providers.destinations import UnsafeDestination, nets, parse_destination

Format = Literal["standard", "slack", "teams", "pagerduty"]
"""The format of bodies: Standard Webhooks for the receiver's own program, or a service's own format."""

HIDDEN: Final = frozenset({"secret", "previous_secret"})
"""The members that are never shown, since they are secret."""

PAGERDUTY: Final = ("events.pagerduty.com", "events.eu.pagerduty.com")
"""The hosts of the Events API v2 (developer.pagerduty.com/docs/events-api-v2-overview)."""

_ROUTING_KEY: Final = re.compile(r"[0-9A-Za-z]{32}")


class WebhookEndpoint(Private, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An endpoint, as `addresses.webhook` of a recipient.

    For the `standard` form, `secret` is what bodies are signed with: `whsec_` and 24 to 64 bytes in base64, made by who
    writes it. While it is replaced, `previous_secret` signs too; null ends that. For `pagerduty`, `secret` is the
    integration's routing key. `slack` and `teams` have none: their URL itself is what proves who we are.
    """

    url: str
    format: Format = "standard"
    secret: str | UnsetType | None = UNSET
    previous_secret: str | UnsetType | None = UNSET

    @property
    def keys(self) -> list[bytes]:
        """Return the signing keys, newest first."""
        return [secret_key(each) for each in (self.secret, self.previous_secret) if each]


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
        # The body contains the routing key: whoever may change the URL must not learn the key from it.
        is_ours = destination.address is not None and any(destination.address in net for net in permitted)
        if endpoint.format != "pagerduty" or destination.host in PAGERDUTY or is_ours:
            return destination.url
        told = f"must lead to PagerDuty: https://{PAGERDUTY[0]}/v2/enqueue"
    raise ValueError(f"url {told}")


def _with_secrets(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    match endpoint.format:
        case "slack" | "teams":
            return msgspec.structs.replace(endpoint, secret=UNSET, previous_secret=UNSET)
        case "pagerduty":
            if not _ROUTING_KEY.fullmatch(endpoint.secret or ""):
                raise ValueError("secret must be the routing key of an Events API v2 integration, 32 letters")
            return msgspec.structs.replace(endpoint, previous_secret=UNSET)
        case "standard":
            if endpoint.secret is None or endpoint.secret is UNSET:
                raise ValueError("secret is required, to sign requests: whsec_ and 24 to 64 random bytes in base64")
            _check_secret("secret", endpoint.secret)
            if endpoint.previous_secret is None or endpoint.previous_secret is UNSET:
                return msgspec.structs.replace(endpoint, previous_secret=UNSET)
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
