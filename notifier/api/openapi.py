"""The OpenAPI 3.1 document, made from the table of endpoints and the types that decode their bodies."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from notifier.api.endpoints import Endpoint
from notifier.catalog import Catalog
from notifier.channels.sms.signature import HEADER
from notifier.problems import TITLES
from notifier.text import portable

EVERYWHERE = (50001, 50301)
AUTHENTICATED = (40101, 40102, 40301)
SIGNED = (40302,)
WITH_BODY = (40001, 40801, 41301, 41501)
CONDITIONS = {
    "If-Match": "The ETag of what was read: the write happens only over that",
    "If-None-Match": "* for a write that happens only where there is nothing yet",
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457 problem document",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "integer", "description": "The problem's number; see /problems/{number}"},
        "detail": {"type": "string"},
        "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) to the field at fault"},
    },
}


def document(endpoints: Sequence[Endpoint], catalog: Catalog, version: str) -> dict[str, Any]:
    """The whole document; every event type's data is a schema `event.<type>` of its components."""
    used = [type_ for endpoint in endpoints for type_ in (*endpoint.takes.values(), *endpoint.gives.values())]
    types = [one for type_ in used for one in _each(type_)]
    types += [asked.type for endpoint in endpoints for asked in _asked(endpoint)]
    models = list(catalog.models.values())
    schemas, components = msgspec.json.schema_components([*types, *models], ref_template="#/components/schemas/{name}")
    schemas, components = _portable(schemas), _portable(components)
    by_type = dict(zip(map(repr, types), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, path, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "notifier", "version": version, "description": "Notifications for EV charging networks"},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key: ntf_…"},
                "twilio": {
                    "type": "apiKey",
                    "in": "header",
                    "name": HEADER,
                    "description": "Twilio's signature of the public URL and the fields",
                },
            },
            "schemas": {**dict(sorted(components.items())), "Problem": PROBLEM_SCHEMA},
        },
    }


def _portable(told: Any) -> Any:
    """The same schemas with patterns that readers other than Python know."""
    if isinstance(told, dict):
        return {
            name: portable(value) if name == "pattern" and isinstance(value, str) else _portable(value)
            for name, value in told.items()
        }
    return [_portable(each) for each in told] if isinstance(told, list | tuple) else told


def _operation(endpoint: Endpoint, path: str, by_type: dict[str, Any]) -> dict[str, Any]:
    numbers = (
        *endpoint.problems,
        *(AUTHENTICATED if endpoint.scope else ()),
        *(SIGNED if endpoint.signed_by == "twilio" else ()),
        *(WITH_BODY if endpoint.takes else ()),
        *EVERYWHERE,
    )
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "description": (endpoint.handler.__doc__ or "").replace("\n    ", "\n").strip(),
        "responses": {
            **{
                str(status): {"description": "Done", **_content("application/json", type_, by_type)}
                for status, type_ in endpoint.gives.items()
            },
            **_problems(numbers),
        },
        "security": _security(endpoint),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    parameters += [
        {"name": asked.name, "in": "query", "schema": by_type[repr(asked.type)]} for asked in _asked(endpoint)
    ]
    if 41201 in endpoint.problems:
        parameters += [
            {"name": name, "in": "header", "schema": {"type": "string"}, "description": said}
            for name, said in CONDITIONS.items()
        ]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.takes:
        content: dict[str, Any] = {}
        for media, type_ in endpoint.takes.items():
            content |= _content(media, type_, by_type)["content"]
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    if endpoint.scope:
        return [{"key": [endpoint.scope]}]
    return [{"twilio": []}] if endpoint.signed_by == "twilio" else []


def _asked(endpoint: Endpoint) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(endpoint.query) if endpoint.query else ()


def _content(media: str, type_: Any, by_type: dict[str, Any]) -> dict[str, Any]:
    schemas = [by_type[repr(one)] for one in _each(type_)]
    if not schemas:
        return {}
    return {"content": {media: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}}


def _each(type_: Any) -> tuple[Any, ...]:
    return type_ if isinstance(type_, tuple) else () if type_ is None else (type_,)


def _problems(numbers: Iterable[int]) -> dict[str, Any]:
    told: dict[str, list[str]] = {}
    for number in sorted(set(numbers)):
        told.setdefault(str(number // 100), []).append(f"{number} {TITLES[number][0]}")
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": "; ".join(titles), "content": {"application/problem+json": schema}}
        for status, titles in told.items()
    }
