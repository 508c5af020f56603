"""The web process: a route for every endpoint of the table, each authenticated before it does anything, and the
console."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from notifier.api import (
    alerts_when_free,
    audiences,
    changes,
    clicks,
    consents,
    dead,
    deliveries,
    devices,
    docs,
    erasure,
    events,
    experiments,
    explaining,
    ocpi,
    ocpp,
    on_call,
    operations,
    outcomes,
    preference_pages,
    preferences,
    putting_stations,
    recipients,
    stopping,
    subscriptions,
    texts,
    unsubscribe,
)
from notifier.api.auth import Authenticator
from notifier.api.cross_origin import MARK, CrossOrigin, preflight
from notifier.api.endpoints import ApiContext, Endpoint, SignatureScheme, TokenScheme, of_channels
from notifier.api.feeds import Feeds
from notifier.api.http import (
    BODY_TIMEOUT,
    limit_fields,
    on_error,
    on_http_exception,
    on_problem,
    on_store_unavailable,
    refuse_no_text,
)
from notifier.api.key_limits import KeyLimits
from notifier.api.latency import PATTERN, Latency
from notifier.api.ledger_counter import LedgerCounter
from notifier.api.map import page
from notifier.api.map.document import MapPage
from notifier.api.page import Pages
from notifier.api.request_ids import RequestIds
from notifier.api.scrapes import Scrapes
from notifier.api.signatures import read_link
from notifier.api.stations import reading
from notifier.api.stations.following import Following
from notifier.api.stations.live import Live
from notifier.api.traced import Traced
from notifier.changes.waiting import Waiting
from notifier.console.app import close_console, create_console, open_console
from notifier.console.live import Streams
from notifier.console.screens import BASE
from notifier.domain.clock import SECOND
from notifier.domain.cloudevents import EventReader
from notifier.domain.errors import Problem, StoreUnavailable
from notifier.monitoring.listener import listening
from notifier.monitoring.pages import Readiness, pages_of
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine
from notifier.pipeline.receipts import BATCH, take
from notifier.rendering import Brand
from notifier.rendering.categories import load_categories
from notifier.rendering.confined import Confined
from notifier.runtime.addresses import networks
from notifier.runtime.coalesce import Coalescer
from notifier.runtime.recent import Recent
from notifier.runtime.rotation import Rotation
from notifier.runtime.settings import Settings

ENDPOINTS = docs.endpoints(
    [
        *events.ENDPOINTS, *ocpi.ENDPOINTS, *ocpp.ENDPOINTS, *putting_stations.ENDPOINTS,
        *recipients.ENDPOINTS, *devices.ENDPOINTS, *of_channels(),
        *deliveries.ENDPOINTS, *outcomes.ENDPOINTS, *dead.ENDPOINTS, *preferences.ENDPOINTS,
        *consents.ENDPOINTS, *erasure.ENDPOINTS, *unsubscribe.ENDPOINTS, *clicks.ENDPOINTS,
        *preference_pages.ENDPOINTS, *explaining.ENDPOINTS, *audiences.ENDPOINTS, *on_call.ENDPOINTS,
        *stopping.ENDPOINTS, *texts.ENDPOINTS, *operations.ENDPOINTS, *changes.ENDPOINTS,
        *subscriptions.ENDPOINTS, *alerts_when_free.ENDPOINTS, *experiments.ENDPOINTS, *reading.ENDPOINTS,
        *page.ENDPOINTS,
    ]
)  # fmt: skip
HOT = events.ENDPOINTS[0].path
PATHS = sorted(
    {endpoint.path for endpoint in ENDPOINTS},
    key=lambda path: (path != HOT, "{" in path, -len(path.rpartition("}")[2]), -path.count("/"), path),
)
"""The routes in matching order: literal paths before those with parameters, and the endpoint that gets thousands of
requests a second first."""

READY_FOR = (
    SECOND  # milliseconds that a good answer of the database is remembered: anybody may ask whether we are ready
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def create_app(
    open_engine: Callable[[], Awaitable[Engine]],
    close: Callable[[Engine], Awaitable[None]],
    *,
    settings: Settings | None = None,
    body_timeout: float = BODY_TIMEOUT,
    streams: Streams | None = None,
    warm: bool = False,
) -> Starlette:
    """Return the ASGI application, which opens the engine when the server starts and closes it when the server stops.

    Without `settings` the defaults apply. `body_timeout` is in seconds, the server ends `streams` on shutdown, and
    `warm` is passed to `open_console`.
    """
    known, live = settings or Settings(), streams or Streams()
    console = create_console()
    traced = [Middleware(Traced)] if known.tracing else []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            engine = await open_engine()
            opened.push_async_callback(close, engine)
            staff = console.state.context = open_console(engine, known, live, warm=warm)
            opened.push_async_callback(close_console, staff)
            context = app.state.context = _open_context(engine, known, live, staff.confined, body_timeout)
            for part in (context.intake, context.feeds, context.live, context.waiting):
                opened.push_async_callback(part.close)
            if known.metrics_listen:
                ready = Readiness({"database": context.readiness.get}, engine.clock)
                pages = pages_of(ready, context.scrapes.own)
                await opened.enter_async_context(listening(known.metrics_listen, pages))
            yield

    app = Starlette(
        lifespan=lifespan,
        routes=[
            *(_route(path, {each.method: each for each in ENDPOINTS if each.path == path}) for path in PATHS),
            Route(BASE, _to_console),
            Mount(BASE, console),
        ],
        exception_handlers={
            Problem: on_problem,
            StoreUnavailable: on_store_unavailable,
            HTTPException: on_http_exception,
            Exception: on_error,
        },
        middleware=[
            Middleware(RequestIds),
            *traced,
            Middleware(Latency, BASE),
            Middleware(ocpi.Echo),
            Middleware(CrossOrigin),
        ],
    )
    app.router.redirect_slashes = False  # such a redirect would lead to whatever host the caller claims
    return app


def _open_context(
    engine: Engine, settings: Settings, streams: Streams, confined: Confined, body_timeout: float
) -> ApiContext:
    following = Following(engine.whole.database)
    books = LedgerCounter(engine.database, engine.clock)
    return ApiContext(
        engine=engine,
        reader=EventReader(engine.catalog),
        intake=Intake(engine),
        reports=Coalescer(partial(take, engine), limit=BATCH),
        authenticator=Authenticator(engine.database, engine.clock),
        limits=KeyLimits(engine.database, engine.clock),
        books=books,
        scrapes=Scrapes(engine, books),
        readiness=Recent(engine.database.ping, engine.clock, READY_FOR),
        rotation=engine.rotation or Rotation(settings),
        pages=Pages(
            load_categories(settings.templates, engine.catalog),
            Brand(name=settings.brand_name, app_url=settings.app_url),
        ),
        map=MapPage(settings),
        feeds=Feeds(streams.ending),
        stations=following,
        live=Live(following, engine.clock, streams.ending, networks(settings.trusted_proxies)),
        waiting=Waiting(engine.database, streams.ending),
        confined=confined,
        body_timeout=body_timeout,
    )


async def _to_console(_request: Request) -> Response:
    return RedirectResponse(f"{BASE}/", 303)


def _route(path: str, methods: Mapping[str, Endpoint]) -> Route:
    """Return the one route of a path: the router then knows all methods of the path and lists them in a 405.

    A path that goes on after a parameter takes every method itself, because a parameter may hold slashes: passed on by
    the router, a DELETE of `…/42/preferences` would delete the recipient `42/preferences`.
    """

    offered = [name for name, each in methods.items() if each.cross_origin]

    async def handle(request: Request) -> Response:
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        request.scope[MARK] = bool(offered) and (endpoint is None or endpoint.cross_origin)
        if request.method == "OPTIONS" and offered:
            return preflight(offered)
        if endpoint is None:
            raise HTTPException(405, headers={"Allow": ", ".join(methods)})
        context: ApiContext = request.app.state.context
        if endpoint.of_map and context.settings.map == "off":
            raise HTTPException(404)
        request.scope[PATTERN] = path
        if endpoint.scope is not None:
            key = request.state.key = await context.authenticator.admit(request, endpoint.scope)
            if endpoint.limited and key.limited:
                request.state.limits = partial(context.limits.fields, key)
                context.limits.check(key)
        if endpoint.scope is not None or endpoint.signed_by is None:
            refuse_no_text(request)
        match endpoint.signed_by:
            case SignatureScheme(read=read) | TokenScheme(read=read):
                request.state.signed = await read(request, context)
                refuse_no_text(request)
            case "unsubscribe_link" | "preference_link" | "click_link" | "map_link" as kind:
                link = read_link(kind, request, context)
                if link is None:
                    return context.pages.no_such_link(request)
                request.state.link = link
        response = await endpoint.handler(request, context)
        response.headers.update(limit_fields(request))
        return response

    return Route(path, handle, methods=METHODS if "}/" in path or offered else list(methods))
