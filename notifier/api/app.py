"""The web process: every endpoint of the table as a route that authenticates before it does anything."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from notifier.api import docs, events, ocpi, operations, recipients
from notifier.api.auth import Authenticator
from notifier.api.endpoints import Context, Endpoint
from notifier.api.http import on_error, on_http_exception, on_problem, on_store_unavailable
from notifier.cloudevents import Reader
from notifier.errors import Problem, StoreUnavailable
from notifier.pipeline.accept import Intake
from notifier.pipeline.engine import Engine

ENDPOINTS = docs.endpoints([*events.ENDPOINTS, *ocpi.ENDPOINTS, *recipients.ENDPOINTS, *operations.ENDPOINTS])


def create_app(open_engine: Callable[[], Awaitable[Engine]], close: Callable[[Engine], Awaitable[None]]) -> Starlette:
    """The application; the engine is opened when the server starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine = await open_engine()
        intake = Intake(engine)
        app.state.context = Context(
            engine=engine,
            reader=Reader(engine.catalog),
            intake=intake,
            authenticator=Authenticator(engine.database, engine.clock),
        )
        yield
        await intake.close()
        await close(engine)

    return Starlette(
        lifespan=lifespan,
        routes=[_route(endpoint) for endpoint in ENDPOINTS],
        exception_handlers={
            Problem: on_problem,
            StoreUnavailable: on_store_unavailable,
            HTTPException: on_http_exception,
            Exception: on_error,
        },
    )


def _route(endpoint: Endpoint) -> Route:
    async def handle(request: Request) -> Response:
        context: Context = request.app.state.context
        if endpoint.scope is not None:
            await context.authenticator.admit(request, endpoint.scope)
        return await endpoint.handler(request, context)

    return Route(endpoint.path, handle, methods=[endpoint.method], name=endpoint.handler.__name__)
