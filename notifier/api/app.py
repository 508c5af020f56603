"""The web process: every endpoint of the table as a route that authenticates before it does anything."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from notifier.api import docs, events, ocpi, operations, recipients
from notifier.api.auth import Authenticator
from notifier.api.endpoints import Context, Endpoint
from notifier.api.http import BODY_TIMEOUT, on_error, on_http_exception, on_problem, on_store_unavailable
from notifier.cloudevents import Reader
from notifier.errors import Problem, StoreUnavailable
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine

ENDPOINTS = docs.endpoints([*events.ENDPOINTS, *ocpi.ENDPOINTS, *recipients.ENDPOINTS, *operations.ENDPOINTS])
PATHS = dict.fromkeys(endpoint.path for endpoint in ENDPOINTS)


def create_app(
    open_engine: Callable[[], Awaitable[Engine]],
    close: Callable[[Engine], Awaitable[None]],
    *,
    body_timeout: float = BODY_TIMEOUT,
) -> Starlette:
    """The application; the engine is opened when the server starts and closed when it stops.

    `body_timeout` is in seconds.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine = await open_engine()
        intake = Intake(engine)
        app.state.context = Context(
            engine=engine,
            reader=Reader(engine.catalog),
            intake=intake,
            authenticator=Authenticator(engine.database, engine.clock),
            body_timeout=body_timeout,
        )
        yield
        await intake.close()
        await close(engine)

    return Starlette(
        lifespan=lifespan,
        routes=[_route(path, {each.method: each for each in ENDPOINTS if each.path == path}) for path in PATHS],
        exception_handlers={
            Problem: on_problem,
            StoreUnavailable: on_store_unavailable,
            HTTPException: on_http_exception,
            Exception: on_error,
        },
    )


def _route(path: str, methods: Mapping[str, Endpoint]) -> Route:
    """One route a path: the router then knows all its methods, and tells them where another is asked for."""

    async def handle(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        context: Context = request.app.state.context
        if endpoint.scope is not None:
            await context.authenticator.admit(request, endpoint.scope)
        return await endpoint.handler(request, context)

    return Route(path, handle, methods=list(methods))
