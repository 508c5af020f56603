"""The web process: every endpoint of the table as a route that authenticates before it does anything."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from notifier.accounts import sms_accounts
from notifier.api import dead, docs, events, ocpi, on_call, operations, receipts, recipients, stopping
from notifier.api.auth import Authenticator
from notifier.api.endpoints import Context, Endpoint
from notifier.api.http import BODY_TIMEOUT, on_error, on_http_exception, on_problem, on_store_unavailable
from notifier.api.signatures import read_signed_request
from notifier.cloudevents import Reader
from notifier.coalesce import Coalescer
from notifier.errors import Problem, StoreUnavailable
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine
from notifier.pipeline.receipts import BATCH, record
from notifier.settings import Settings

ENDPOINTS = docs.endpoints(
    [
        *events.ENDPOINTS, *ocpi.ENDPOINTS, *recipients.ENDPOINTS, *receipts.ENDPOINTS, *dead.ENDPOINTS,
        *on_call.ENDPOINTS, *stopping.ENDPOINTS, *operations.ENDPOINTS,
    ]
)  # fmt: skip
PATHS = sorted({endpoint.path for endpoint in ENDPOINTS}, key=lambda path: ("{" in path, path))
"""In the order in which they are tried: what is written out goes before what a parameter would take too."""


def create_app(
    open_engine: Callable[[], Awaitable[Engine]],
    close: Callable[[Engine], Awaitable[None]],
    *,
    settings: Settings | None = None,
    body_timeout: float = BODY_TIMEOUT,
) -> Starlette:
    """The application; the engine is opened when the server starts and closed when it stops.

    `settings` are the defaults where none are given, `body_timeout` is in seconds.
    """
    known = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine = await open_engine()
        intake = Intake(engine)
        app.state.context = Context(
            engine=engine,
            reader=Reader(engine.catalog),
            intake=intake,
            reports=Coalescer(lambda batch: record(engine.database, batch, engine.clock.now()), limit=BATCH),
            authenticator=Authenticator(engine.database, engine.clock),
            settings=known,
            sms_accounts=sms_accounts(known.sms_providers),
            body_timeout=body_timeout,
        )
        yield
        await intake.close()
        await close(engine)

    app = Starlette(
        lifespan=lifespan,
        routes=[_route(path, {each.method: each for each in ENDPOINTS if each.path == path}) for path in PATHS],
        exception_handlers={
            Problem: on_problem,
            StoreUnavailable: on_store_unavailable,
            HTTPException: on_http_exception,
            Exception: on_error,
        },
    )
    app.router.redirect_slashes = False  # it would lead to whatever host the caller claims
    return app


def _route(path: str, methods: Mapping[str, Endpoint]) -> Route:
    """One route a path: the router then knows all its methods, and tells them where another is asked for."""

    async def handle(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        context: Context = request.app.state.context
        if endpoint.scope is not None:
            request.state.key = await context.authenticator.admit(request, endpoint.scope)
        if endpoint.signed_by is not None:
            request.state.signed = await read_signed_request(request, context)
        return await endpoint.handler(request, context)

    return Route(path, handle, methods=list(methods))
