"""`/openapi.json`, `/asyncapi.json`, and `/docs`, the API reference as one page that needs no script and loads nothing
from elsewhere."""

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

from notifier.api.asyncapi import document as messages
from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.event_schemas import event_of
from notifier.api.http import answer
from notifier.api.openapi import document
from notifier.api.outbound import outbound
from notifier.api.snippets import snippets
from notifier.domain.catalog import Catalog
from notifier.domain.problems import TITLES
from notifier.why.event_types import describe, summary

_PAGE = Path(__file__).with_name("docs.html")
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
}


def endpoints(others: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints of the documentation, which documents the given endpoints and itself."""
    listed: list[Endpoint] = []

    @cache
    def told(catalog: Catalog) -> dict[str, Any]:
        return document(listed, outbound(), catalog, version("notifier"))

    @cache
    def asyncapi(catalog: Catalog, url: str) -> dict[str, Any]:
        return messages(told(catalog), outbound(), catalog, url)

    @cache
    def page(catalog: Catalog, url: str) -> str:
        return _page(told(catalog), catalog, url)

    async def get_openapi(_request: Request, context: ApiContext) -> Response:
        """Return the OpenAPI 3.1 document."""
        return answer(told(context.engine.catalog))

    async def get_asyncapi(_request: Request, context: ApiContext) -> Response:
        """Return the AsyncAPI 3.0 document: the messages that services send, and those that are sent to endpoints."""
        return answer(asyncapi(context.engine.catalog, context.settings.public_url))

    async def get_docs(_request: Request, context: ApiContext) -> Response:
        """Return the API reference as an HTML page."""
        return HTMLResponse(page(context.engine.catalog, context.settings.public_url), headers=SECURITY)

    listed += [
        *others,
        Endpoint(
            method="GET", path="/openapi.json", scope=None, handler=get_openapi, summary="OpenAPI", gives={200: dict}
        ),
        Endpoint(
            method="GET", path="/asyncapi.json", scope=None, handler=get_asyncapi, summary="AsyncAPI", gives={200: dict}
        ),
        Endpoint(
            method="GET", path="/docs", scope=None, handler=get_docs, summary="The API for people", gives={200: None}
        ),
    ]
    return listed


def _page(api: dict[str, Any], catalog: Catalog, url: str) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"pretty": _pretty, "told": _told, "linked": _linked}
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        api=api,
        catalog=catalog,
        described=[(describe(catalog, event), summary(catalog, event)) for event in catalog.event_types],
        snippets={event: snippets(event_of(catalog, event), url) for event in catalog.event_types},
        problems=TITLES,
        example=event_of(catalog, min(catalog.types.values(), key=lambda kind: len(kind.samples[0].data)).event),
    )


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
