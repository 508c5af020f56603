"""`/openapi.json`, and `/docs`: the same for people, one page that needs no script and nothing from elsewhere."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from notifier.api.endpoints import Context, Endpoint
from notifier.api.http import answer
from notifier.api.openapi import document

_PAGE = Path(__file__).with_name("docs.html")
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
}


def endpoints(others: list[Endpoint]) -> list[Endpoint]:
    """The endpoints of the documentation, which tells of the others and of itself."""
    listed: list[Endpoint] = []

    async def get_openapi(_request: Request, context: Context) -> Response:
        """The OpenAPI 3.1 document."""
        return answer(document(listed, context.engine.catalog, version("notifier")))

    async def get_docs(_request: Request, context: Context) -> Response:
        """This page."""
        told = document(listed, context.engine.catalog, version("notifier"))
        return HTMLResponse(_page(told), headers=SECURITY)

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


def _page(told: dict[str, Any]) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return environment.from_string(_PAGE.read_text("utf-8")).render(api=told)
