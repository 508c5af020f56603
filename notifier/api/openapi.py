"""The OpenAPI 3.1 document, made from the table of endpoints and the types that decode their bodies, and from the table
of messages to endpoints of others, which are its webhooks."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from notifier.api.endpoints import Endpoint, SignatureScheme, TokenScheme
from notifier.api.event_schemas import REFERENCE, with_event_types
from notifier.api.outbound import SIGNATURE_HEADERS, OutboundMessage
from notifier.domain.catalog import Catalog
from notifier.domain.problems import TITLES
from notifier.domain.text import portable

EVERYWHERE = (50001, 50301)
AUTHENTICATED = (40101, 40102, 40301, 42205)
SIGNED = (40302, 42205)
BY_TOKEN = (40103, 42205)
IN_PATH = (40401,)  # a path with characters that no parameter may have, such as a line break, is not found
LIMITED = (42901, 42902)
WITH_BODY = (40001, 40801, 41301, 41501)
NO_SUCH_LINK = {
    "description": "A page: the link is not ours, or no longer valid",
    "content": {"text/html": {"schema": {"type": "string"}}},
}
_LIMITS = {
    "RateLimit-Policy": (
        "The key's limits, each with its quota of events (q) and its window in seconds (w): "
        '`"second";q=50;w=1, "day";q=100000;w=86400` (draft-ietf-httpapi-ratelimit-headers)'
    ),
    "RateLimit": (
        "What is left of each limit (r), and the seconds until all of it is there again (t): "
        '`"second";r=12;t=1, "day";r=93512;t=14021`'
    ),
}
LIMIT_HEADERS = {name: {"description": said, "schema": {"type": "string"}} for name, said in _LIMITS.items()}
"""Headers of every answer to a key with limits."""
CONDITIONS = {
    "If-Match": "The ETag that was read: the write happens only if the document still has it",
    "If-None-Match": "** for a write that happens only if there is no document yet",
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
        "retry_after": {"type": "integer", "description": "Seconds after which to send the request again"},
        "violated-policies": {
            "type": "array",
            "items": {"type": "string", "enum": ["second", "day"]},
            "description": "The limits of the key that the request exceeds",
        },
        "request_id": {"type": "string", "description": "The request's id, as in X-Request-Id and in our logs"},
    },
}


def document(
    endpoints: Sequence[Endpoint], outbound: Sequence[OutboundMessage], catalog: Catalog, version: str
) -> dict[str, Any]:
    """Return the whole document; every event type's data is a schema `event.<type>` of its components."""
    used = [type_ for endpoint in endpoints for type_ in (*endpoint.takes.values(), *endpoint.gives.values())]
    types = [one for type_ in used for one in _each(type_)]
    types += [asked.type for endpoint in endpoints for asked in (*_asked(endpoint), *_headers(endpoint))]
    types += [message.body for message in outbound]
    models = list(catalog.models.values())
    schemas, components = msgspec.json.schema_components([*types, *models], ref_template=REFERENCE)
    schemas = as_portable(schemas)
    data = {
        event: told["$ref"].rpartition("/")[2]
        for event, told in zip(catalog.models, schemas[len(types) :], strict=True)
    }
    components = with_event_types(as_portable(components), catalog, data)
    by_type = dict(zip(map(repr, types), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, path, by_type, catalog)
    return {
        "openapi": "3.1.0",
        "info": {"title": "notifier", "version": version, "description": "Notifications for EV charging networks"},
        "security": [{"key": []}],
        "paths": paths,
        "webhooks": {each.name: {"post": _webhook(each, by_type[repr(each.body)])} for each in outbound},
        "components": {
            "securitySchemes": _schemes(endpoints),
            "schemas": {**dict(sorted(components.items())), "Problem": PROBLEM_SCHEMA},
        },
    }


def _schemes(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return every security scheme by which a request may authenticate."""
    schemes: dict[str, Any] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: ntf_…, or ntf_test_… for tests"},
    }
    for endpoint in endpoints:
        match endpoint.signed_by:
            case SignatureScheme(name=name, header=header, description=said):
                schemes[name] = {"type": "apiKey", "in": "header", "name": header, "description": said}
            case TokenScheme(name=name, description=said):
                schemes[name] = {"type": "http", "scheme": "bearer", "description": said}
    return schemes


def as_portable(told: Any) -> Any:
    """Return schemas that tools outside Python can read: patterns in portable syntax, constants with a type, objects
    that declare that they take any member. A default is written into the description: client generators treat a member
    that has a default as always present, and so as required.
    """
    if not isinstance(told, dict):
        return [as_portable(each) for each in told] if isinstance(told, list | tuple) else told
    made = {
        name: portable(value) if name == "pattern" and isinstance(value, str) else as_portable(value)
        for name, value in told.items()
    }
    match told:
        case {"enum": list(values)} if "type" not in told and all(isinstance(value, str) for value in values):
            made["type"] = "string"
        case {"type": "object"} if told.keys().isdisjoint(("properties", "additionalProperties")):
            made["additionalProperties"] = True
    if isinstance(told.get("default", {}), dict):  # none, an empty one, or a property of this name
        return {name: value for name, value in made.items() if name != "default" or value}
    default = made.pop("default")
    if default not in (None, []):
        made["description"] = f"{json.dumps(default)} where it is left out"
    return made


def _operation(endpoint: Endpoint, path: str, by_type: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    by_link = isinstance(endpoint.signed_by, str)
    numbers = (
        *endpoint.problems,
        *(AUTHENTICATED if endpoint.scope else ()),
        *(SIGNED if isinstance(endpoint.signed_by, SignatureScheme) else ()),
        *(BY_TOKEN if isinstance(endpoint.signed_by, TokenScheme) else ()),
        *(IN_PATH if "{" in path and not by_link else ()),
        *(LIMITED if endpoint.limited else ()),
        *(WITH_BODY if endpoint.takes else ()),
        *EVERYWHERE,
    )
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "description": (endpoint.handler.__doc__ or "").replace("\n    ", "\n").strip(),
        "responses": {
            **{
                str(status): {"description": "Done", **_given_content(endpoint, type_, by_type)}
                for status, type_ in endpoint.gives.items()
            },
            **({"404": NO_SUCH_LINK} if by_link else {}),
            **_problems(numbers),
        },
        "security": _security(endpoint),
    }
    if endpoint.limited:
        for response in operation["responses"].values():
            response["headers"] = LIMIT_HEADERS
    parameters = _parameters(endpoint, path, by_type)
    if parameters:
        operation["parameters"] = parameters
    if endpoint.takes:
        operation["requestBody"] = {"required": True, "content": _bodies(endpoint, by_type, catalog)}
    return operation


def _webhook(message: OutboundMessage, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a request of ours to an endpoint of others."""
    return {
        "operationId": message.name,
        "summary": message.title,
        "description": message.description,
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": said}
            for name, said in SIGNATURE_HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": {message.name: {"value": message.example}}}},
        },
        "responses": {"2XX": {"description": "Taken"}, "410": {"description": message.gone}},
        "security": [],
    }


def _parameters(endpoint: Endpoint, path: str, by_type: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters of an operation: steps of its path, what may be asked behind the `?`, and headers."""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    parameters += [
        {
            "name": asked.name,
            "in": "query",
            **({"required": True} if asked.required else {}),
            "schema": _given(by_type[repr(asked.type)]),
        }
        for asked in _asked(endpoint)
    ]
    parameters += [
        {
            "name": sent.encode_name,
            "in": "header",
            "schema": by_type[repr(sent.type)],
            "description": f"In binary mode: {sent.encode_name.removeprefix('ce-')} of the event",
        }
        for sent in _headers(endpoint)
    ]
    if 41201 in endpoint.problems:
        parameters += [
            {"name": name, "in": "header", "schema": {"type": "string"}, "description": said}
            for name, said in CONDITIONS.items()
        ]
    return parameters


def _bodies(endpoint: Endpoint, by_type: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for media, type_ in endpoint.takes.items():
        content |= _content(media, type_, by_type)["content"]
        told = content[media]
        if len(endpoint.takes) > 1 and told["schema"].get("type") == "array":
            # openapi-python-client tells bodies apart by isinstance, which takes no generic list: from a plain array
            # schema it makes an operation that fails for every body.
            told["schema"] = {"allOf": [told["schema"]]}
        if endpoint.examples:
            told["examples"] = endpoint.examples(catalog, media)
    return content


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    if endpoint.scope:
        return [{"key": [endpoint.scope]}]
    scheme = endpoint.signed_by
    return [{scheme.name: []}] if isinstance(scheme, SignatureScheme | TokenScheme) else []


def _asked(endpoint: Endpoint) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(endpoint.query) if endpoint.query else ()


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that is given, which is never null."""
    left = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    rest = {name: told for name, told in schema.items() if name != "anyOf"}
    return schema if not left else {**left[0], **rest} if len(left) == 1 else {**rest, "anyOf": left}


def _headers(endpoint: Endpoint) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(endpoint.headers) if endpoint.headers else ()


def _given_content(endpoint: Endpoint, type_: Any, by_type: dict[str, Any]) -> dict[str, Any]:
    told = _content("application/json", type_, by_type)
    tables = {media: {"schema": {"type": "string"}} for media in endpoint.tables}
    return {"content": {**told["content"], **tables}} if tables else told


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
