"""The AsyncAPI 3.0 document: each event type as a message that services send, and the messages that we send to
endpoints of others. Its schemas are those of the OpenAPI document, and the types that encode what is sent.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from notifier.api.event_schemas import REFERENCE, samples_of
from notifier.api.openapi import as_portable
from notifier.changes.views import ChangesBatch
from notifier.domain import cloudevents
from notifier.domain.catalog import Catalog
from notifier.domain.channels import channels, part
from notifier.why.event_types import describe, summary

BINDING = "0.3.0"  # the version of AsyncAPI's binding of HTTP
SIGNED = {
    "type": "object",
    "description": "Standard Webhooks: verify the signature over `{webhook-id}.{webhook-timestamp}.{body}`",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The same at every try: whoever has seen it drops the repeat"},
        "webhook-timestamp": {"type": "string", "description": "Seconds of the epoch; of this try"},
        "webhook-signature": {"type": "string", "description": "`v1,` and HMAC-SHA256 in Base64; one for each secret"},
    },
}
"""The headers of every message to an endpoint."""


@dataclass(frozen=True, kw_only=True)
class OutboundMessage:
    """A message that is POSTed to endpoints of others, signed as Standard Webhooks are; `body` is the type of its JSON,
    and `name` also that of its operation."""

    name: str
    title: str
    description: str
    body: type[msgspec.Struct]
    example: dict[str, Any]


CHANGES = OutboundMessage(
    name="changes",
    title="Changes",
    description=(
        "What became of deliveries, in order and at least once, to the URL of a subscription. A batch that is not "
        "answered 2xx is sent again with the same `webhook-id` before any other; 410 pauses the subscription."
    ),
    body=ChangesBatch,
    example={
        "type": "changes",
        "timestamp": "2026-03-09T17:40:01Z",
        "data": {
            "subscription": "csms",
            "changes": [
                {
                    "id": "0-4711",
                    "delivery": "019cd39b86c0a4d1f0c6e5b2a7938145",
                    "state": "undelivered",
                    "reason": "unavailable",
                    "code": "30003",
                    "at": "2026-03-09T17:40:01Z",
                    "attempts": 1,
                    "type": "payment-failed",
                    "channel": "sms",
                    "recipient": "driver-2041",
                    "event": {
                        "id": "019cd39b86c05d41402abc4b2a76b971",
                        "type": "payment.failed",
                        "source": "billing",
                        "source_id": "payment-failed-1",
                    },
                }
            ],
        },
    },
)
"""A batch of a subscription."""


def of_channels() -> list[OutboundMessage]:
    """Return the messages that the channels' folders declare (`outbound.py`, OUTBOUND)."""
    return [message for channel in channels() for message in part(channel, "outbound", "OUTBOUND") or ()]


def outbound() -> list[OutboundMessage]:
    """Return all messages that endpoints of others are sent: the channels' and the batches of changes."""
    return [*of_channels(), CHANGES]


def document(
    openapi: dict[str, Any], outbound: Sequence[OutboundMessage], catalog: Catalog, url: str
) -> dict[str, Any]:
    """Return the whole document, beside the OpenAPI document of the same API that is served at a URL."""
    inbound = _inbound(openapi["components"]["schemas"], catalog)
    bodies, schemas = msgspec.json.schema_components([each.body for each in outbound], ref_template=REFERENCE)
    told = {each.name: _outbound(each, as_portable(body)) for each, body in zip(outbound, bodies, strict=True)}
    served = urlsplit(url)
    return {
        "asyncapi": "3.0.0",
        "info": {**openapi["info"], "license": {"name": "Apache-2.0"}, "tags": [{"name": "notifications"}]},
        "id": "urn:notifier",
        "defaultContentType": "application/json",
        "servers": {
            "web": {
                "host": served.netloc,
                **({"pathname": served.path} if served.path.strip("/") else {}),
                "protocol": served.scheme,
                "description": "Where services report events",
            },
            "endpoint": {
                "host": "{endpoint}",
                "protocol": "https",
                "description": "Where others hear of what happens",
                "variables": {"endpoint": {"description": "The host of an endpoint, with its port"}},
            },
        },
        "channels": {
            "events": {
                "address": "/v1/events",
                "title": "Events",
                "description": (
                    "One event in a request, or up to 1,000 as `application/cloudevents-batch+json`. 202 means that "
                    "they are in the database; the same source and id again do no harm."
                ),
                "servers": [{"$ref": "#/servers/web"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in inbound},
            },
            "endpoint": {
                "address": None,
                "title": "Endpoint",
                "description": "An address that others have given us, to which we POST.",
                "servers": [{"$ref": "#/servers/endpoint"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in told},
            },
        },
        "operations": {
            "reportEvent": {
                "action": "receive",
                "channel": {"$ref": "#/channels/events"},
                "title": "Report an event",
                "summary": "Services report what has happened.",
                "security": [{"$ref": "#/components/securitySchemes/key"}],
                "bindings": _by_post(),
                "messages": [{"$ref": f"#/channels/events/messages/{name}"} for name in inbound],
            },
            **{
                each.name: {
                    "action": "send",
                    "channel": {"$ref": "#/channels/endpoint"},
                    "title": each.title,
                    "summary": each.description,
                    "bindings": _by_post(),
                    "messages": [{"$ref": f"#/channels/endpoint/messages/{each.name}"}],
                }
                for each in outbound
            },
        },
        "components": {
            "messages": {**inbound, **told},
            "schemas": {**_used(inbound, openapi["components"]["schemas"]), **as_portable(schemas)},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key: ntf_…, with `events:write`"}
            },
        },
    }


def _inbound(schemas: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    """Return a message for each event type, by a name without signs that a reference can't hold."""
    mapping = schemas["CloudEvent"]["discriminator"]["mapping"]
    return {
        reference.rpartition("/")[2].removeprefix("CloudEvent."): {
            "name": event,
            "title": event,
            "summary": summary(catalog, event),
            "description": "\n".join(_heard(catalog, event)),
            "contentType": cloudevents.STRUCTURED,
            "payload": {"$ref": reference},
            "examples": [{"name": name, "payload": payload} for name, payload in samples_of(catalog, event).items()],
        }
        for event, reference in mapping.items()
    }


def _heard(catalog: Catalog, event: str) -> list[str]:
    """Return who would hear of an event, in sentences."""
    told = describe(catalog, event)
    heard = [f"“{each.name}”: {' '.join(each.words)}" for each in told.listeners]
    return [*heard, *told.cancels]


def _outbound(message: OutboundMessage, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": message.name,
        "title": message.title,
        "summary": message.description,
        "contentType": "application/json",
        "headers": SIGNED,
        "payload": body,
        "examples": [{"name": message.name, "payload": message.example}],
    }


def _by_post() -> dict[str, Any]:
    return {"http": {"method": "POST", "bindingVersion": BINDING}}


def _used(told: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas that a part of the document refers to, and those that they refer to."""
    found: dict[str, Any] = {}
    left = [told]
    while left:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(left.pop()).decode()):
            if name not in found:
                found[name] = schemas[name]
                left.append(schemas[name])
    return dict(sorted(found.items()))
