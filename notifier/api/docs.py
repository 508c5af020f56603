"""`/openapi.json`, and `/docs`, the API reference as one page that needs no script and loads nothing from elsewhere."""

import json
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.event_schemas import an_event
from notifier.api.http import answer
from notifier.api.openapi import document
from notifier.domain.catalog import MAX_TEXT, Catalog, Field
from notifier.domain.problems import TITLES

_PAGE = Path(__file__).with_name("docs.html")
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
}
AUDIENCES = {
    "driver": "the driver",
    "fleet_managers": "the fleet’s managers",
    "site_operators": "the site’s operators",
    "subscribers": "the topic’s subscribers",
    "segment": "the segment's members who consented",
}
KINDS = {
    "text": f"text, up to {MAX_TEXT} characters",
    "number": "number",
    "integer": "whole number",
    "money": "money: amount and currency",
    "time": "time with a zone (RFC 3339)",
    "zone": "IANA zone, such as Europe/Berlin",
    "flag": "true or false",
}


def endpoints(others: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints of the documentation, which documents the given endpoints and itself."""
    listed: list[Endpoint] = []

    @cache
    def told(catalog: Catalog) -> dict[str, Any]:
        return document(listed, catalog, version("notifier"))

    @cache
    def page(catalog: Catalog) -> str:
        return _page(told(catalog), catalog)

    async def get_openapi(_request: Request, context: ApiContext) -> Response:
        """Return the OpenAPI 3.1 document."""
        return answer(told(context.engine.catalog))

    async def get_docs(_request: Request, context: ApiContext) -> Response:
        """Return the API reference as an HTML page."""
        return HTMLResponse(page(context.engine.catalog), headers=SECURITY)

    listed += [
        *others,
        Endpoint(
            method="GET", path="/openapi.json", scope=None, handler=get_openapi, summary="OpenAPI", gives={200: dict}
        ),
        Endpoint(
            method="GET", path="/docs", scope=None, handler=get_docs, summary="The API for people", gives={200: None}
        ),
    ]
    return listed


def _page(api: dict[str, Any], catalog: Catalog) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"pretty": _pretty, "told": _told, "linked": _linked, "kind": _kind}
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        api=api,
        catalog=catalog,
        fields=catalog.fields,
        audiences=AUDIENCES,
        problems=TITLES,
        example=_example(catalog),
    )


def _example(catalog: Catalog) -> dict[str, Any]:
    """Return the shortest example of an event, as a producer would report it."""
    return an_event(min(catalog.types.values(), key=lambda kind: len(kind.samples[0].data)))


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _told(schema: dict[str, Any]) -> Markup:
    """Return a schema in one line of HTML, with links to the named schemas."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}"><code>{0}</code></a>').format(name)
    if "allOf" in schema:
        return Markup(" and ").join(_told(each) for each in schema["allOf"])
    if "anyOf" in schema:
        return Markup(" or ").join(_told(each) for each in schema["anyOf"])
    if "items" in schema:
        return Markup("an array of {}").format(_told(schema["items"]))
    return Markup("an object")


def _linked(text: str) -> Markup:
    """Return problem numbers as links to their explanations."""
    return Markup(re.sub(r"\b(\d{5})\b", r'<a href="#problem-\1">\1</a>', str(escape(text))))  # noqa: S704 (escaped before)


def _kind(field: Field) -> str:
    return "one of " + ", ".join(field.one_of) if field.one_of else KINDS[field.type]
