"""The console as a Starlette application of its own, mounted at `BASE` in the web process."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from notifier.console import (
    account,
    activity,
    audit,
    carried,
    contacts,
    dead,
    editor,
    experiment_setup,
    experiments,
    health,
    keys,
    lookup,
    outcomes,
    publish,
    sign_in,
    subscriptions,
    types,
    users,
    visits,
    why,
)
from notifier.console.forms import read_form, text
from notifier.console.live import Streams
from notifier.console.pages import Secured, get_asset, page, problem_page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.console.tester import Tester
from notifier.console.watch import Watch
from notifier.domain.catalog import Money
from notifier.domain.channels import channels
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import Channel
from notifier.domain.errors import StoreUnavailable
from notifier.domain.text import address_fault
from notifier.domain.users import PERMISSIONS
from notifier.pipeline.engine import Engine
from notifier.rendering.confined import Confined
from notifier.runtime.settings import Settings, read_price


async def get_home(_request: Request, _context: ConsoleContext) -> Response:
    """Redirect to the first screen."""
    return RedirectResponse(f"{BASE}/health", 303)


SCREENS: Sequence[Screen] = [
    Screen(path="/", handler=get_home, permission="read"),
    *sign_in.SCREENS, *health.SCREENS, *activity.SCREENS, *outcomes.SCREENS, *lookup.SCREENS, *why.SCREENS,
    *types.SCREENS, *editor.SCREENS, *publish.SCREENS, *experiments.SCREENS, *experiment_setup.SCREENS,
    *contacts.SCREENS, *dead.SCREENS, *subscriptions.SCREENS,
    *audit.SCREENS, *users.SCREENS, *keys.SCREENS, *account.SCREENS,
]  # fmt: skip
"""Every screen. The navigation has them in this order."""

TOLD = {
    400: ("Bad request", "The console can't read what the browser sent."),
    403: ("This page has expired", "Go back, reload the page and try again: its form is no longer valid."),
    404: ("Page not found", "The address is mistyped, or the page no longer exists."),
    405: ("Method not allowed", "This address exists but can't be opened like this."),
    408: ("Request timed out", "The form did not arrive in time. Go back and send it again."),
    413: ("Form too large", "The form is larger than this page accepts. Select less at once."),
    415: ("Not a form", "This page only accepts forms."),
}

log = structlog.get_logger(__name__)


def create_console() -> Starlette:
    """Return the console's application; the caller puts the result of `open_console` into its `state.context`."""
    paths = sorted({screen.path for screen in SCREENS}, key=lambda path: ("{" in path, path))
    app = Starlette(
        routes=[
            Route("/static/{name}", get_asset),
            *(_route(path, {each.method: each for each in SCREENS if each.path == path}) for path in paths),
        ],
        middleware=[Middleware(Secured)],
        exception_handlers={
            HTTPException: on_http_exception,
            StoreUnavailable: on_store_unavailable,
            Exception: on_error,
        },
    )
    app.router.redirect_slashes = False
    return app


def open_console(engine: Engine, settings: Settings, streams: Streams, *, warm: bool = False) -> ConsoleContext:
    """Open what the screens work with, until `close_console`; `warm` starts the child process that tries texts ahead of
    its first use."""
    watch, confined = Watch(engine), Confined(settings)
    watch.start()
    if warm:
        confined.warm_soon()
    return ConsoleContext(
        engine=engine, watch=watch, streams=streams, screens=SCREENS, secure=settings.public_url.startswith("https:"),
        confined=confined, reader=EventReader(engine.catalog),
        tester=Tester(settings, engine.namespace, engine.database, engine.clock),
        prices=_prices(settings), settings=settings.channels, brand=settings.brand_name,
    )  # fmt: skip


def _prices(settings: Settings) -> dict[Channel, Money]:
    """Return the price of each channel from the settings (`sms_price`)."""
    named = {channel: f"{channel}_price" for channel in channels()}
    said = {channel: read_price(name, settings.channels.get(name, "")) for channel, name in named.items()}
    return {channel: each for channel, each in said.items() if each is not None}


async def close_console(context: ConsoleContext) -> None:
    """Stop watching, end the child process that tries texts, and close the transports that tests were sent with."""
    await context.watch.close()
    await context.confined.close()
    await context.tester.close()


def _route(path: str, methods: Mapping[str, Screen]) -> Route:
    async def handle(request: Request) -> Response:
        screen = methods["GET" if request.method == "HEAD" else request.method]
        return await _show(request, request.app.state.context, screen)

    return Route(path, handle, methods=list(methods))


async def _show(request: Request, context: ConsoleContext, screen: Screen) -> Response:
    """Answer with the screen once the user is known and permitted, and a form is known to come from one of our
    pages."""
    if address_fault(request.scope["raw_path"], request.scope["query_string"]) is not None:
        raise HTTPException(400)
    visit = request.state.visit = await visits.recognise(request, context, touch=not screen.path.endswith("/live"))
    if screen.method == "POST":
        request.state.form = await read_form(request)
    if screen.permission is not None:
        if visit.session is None:
            return await _to_sign_in(request, context, screen)
        if screen.permission not in PERMISSIONS[visit.session.role]:
            return page(request, context, "forbidden.html", status=403, permission=screen.permission)
    if screen.method == "POST" and not visits.is_ours(visit, text(request.state.form, visits.FIELD)):
        late = carried.of(request) if screen.permission is not None else None
        if late is None:
            raise HTTPException(403)
        return carried.ask(request, context, late, status=403)
    return await screen.handler(request, context)


async def _to_sign_in(request: Request, context: ConsoleContext, screen: Screen) -> Response:
    """Redirect to the sign-in page, which leads back to the page wanted and carries a posted form of ours."""
    if screen.method == "POST" and (late := carried.of(request)):
        return await sign_in.again(request, context, late)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?next={quote(wanted, safe='/')}" if request.method in ("GET", "HEAD") else ""
    return RedirectResponse(f"{BASE}/sign-in{back}", 303)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer a request for which there is no screen, or that a screen refuses."""
    if not isinstance(error, HTTPException):
        return await on_error(request, error)
    answer = problem_page(error.status_code, *TOLD.get(error.status_code, TOLD[400]))
    answer.headers.update(error.headers or {})
    return answer


async def on_store_unavailable(_request: Request, error: Exception) -> Response:
    """Answer that the database is unavailable: nothing was read or written."""
    log.warning("console.store_unavailable", error=str(error))
    return problem_page(503, "The database is not responding", "Nothing was changed. Try again in a moment.")


async def on_error(request: Request, error: Exception) -> Response:
    """Answer an unexpected error with a 500; its cause is in the log and not on the page."""
    log.error("console.fault", route=getattr(request.scope.get("route"), "path", None), exc_info=error)
    return problem_page(500, "Something went wrong", "This is our error. Details are in the log.")
