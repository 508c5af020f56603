"""The AsyncAPI 3.0 document: each event type as a message that services send, and the messages that we send to
endpoints of others. Its schemas are those of the OpenAPI document.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from notifier.api.event_schemas import samples_of
from notifier.api.outbound import SIGNATURE_HEADERS, OutboundMessage
from notifier.domain import cloudevents
from notifier.domain.catalog import Catalog
from notifier.why.event_types import describe, summary

BINDING = "0.3.0"  # the version of AsyncAPI's binding of HTTP
HEADERS = {
    "type": "object",
    "required": list(SIGNATURE_HEADERS),
    "properties": {name: {"type": "string", "description": said} for name, said in SIGNATURE_HEADERS.items()},
}
"""The headers of every message to an endpoint."""


def document(
    openapi: dict[str, Any], outbound: Sequence[OutboundMessage], catalog: Catalog, url: str
) -> dict[str, Any]:
    """Return the whole document, beside the OpenAPI document of the same API and messages that is served at a URL."""
    inbound = _inbound(openapi["components"]["schemas"], catalog)
    told = {each.name: _outbound(each, openapi["webhooks"][each.name]["post"]["requestBody"]) for each in outbound}
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
            "schemas": _used([inbound, told], openapi["components"]["schemas"]),
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
    """Return who would hear of an event, what it takes back and of what it is the outcome, in sentences."""
    told = describe(catalog, event)
    heard = [f"“{each.name}”: {' '.join(each.words)}" for each in told.listeners]
    return [*heard, *told.cancels, *told.answers]


def _outbound(message: OutboundMessage, body: dict[str, Any]) -> dict[str, Any]:
    """Return a message whose body is told as OpenAPI does."""
    return {
        "name": message.name,
        "title": message.title,
        "summary": message.description,
        "contentType": "application/json",
        "headers": HEADERS,
        "payload": body["content"]["application/json"]["schema"],
        "examples": [{"name": message.name, "payload": message.example}],
    }


def _by_post() -> dict[str, Any]:
    return {"http": {"method": "POST", "bindingVersion": BINDING}}


def _used(told: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas that parts of the document refer to, and those that they refer to."""
    found: dict[str, Any] = {}
    left = [told]
    while left:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(left.pop()).decode()):
            if name not in found:
                found[name] = schemas[name]
                left.append(schemas[name])
    return dict(sorted(found.items()))
