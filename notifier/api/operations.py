"""What operators and their tools read: health, metrics, the ledger, and the numbered problems."""

from starlette.requests import Request
from starlette.responses import Response

from notifier import metrics
from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer
from notifier.domain.problems import TITLES, problem
from notifier.store.reading.ledger import Ledger


class LedgerAnswer(Ledger, frozen=True, kw_only=True):
    """The ledger, and the verdict: whether as many deliveries are there as were planned."""

    balanced: bool


async def get_health(_request: Request, _context: ApiContext) -> Response:
    """The process is up."""
    return answer({"status": "ok"})


async def get_readiness(_request: Request, context: ApiContext) -> Response:
    """The process can take events: its database answers."""
    await context.engine.database.ping()
    return answer({"status": "ok"})


async def get_metrics(_request: Request, context: ApiContext) -> Response:
    """All processes' counters and the ledger as of a moment ago, in Prometheus' text format."""
    text = metrics.render(await context.books.lately())
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def get_ledger(_request: Request, context: ApiContext) -> Response:
    """The conservation sum."""
    return answer((await context.books.now()).as_dict())


async def get_problem(request: Request, _context: ApiContext) -> Response:
    """What a problem's number means and what to do about it."""
    number = next((each for each in TITLES if str(each) == request.path_params["number"]), None)
    if number is None:
        raise problem(40401, "no problem has this number")
    title, way_out = TITLES[number]
    return answer({"code": number, "status": number // 100, "title": title, "what_to_do": way_out})


ENDPOINTS = [
    Endpoint(
        method="GET", path="/healthz", scope=None, handler=get_health, summary="Is the process up?", gives={200: dict}
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        scope=None,
        handler=get_readiness,
        summary="Can it take events?",
        gives={200: dict},
    ),
    Endpoint(
        method="GET", path="/metrics", scope=None, handler=get_metrics, summary="Prometheus metrics", gives={200: None}
    ),
    Endpoint(
        method="GET",
        path="/v1/ledger",
        scope="ledger:read",
        handler=get_ledger,
        summary="The conservation sum: accepted against where it all is",
        gives={200: LedgerAnswer},
    ),
    Endpoint(
        method="GET",
        path="/problems/{number}",
        scope=None,
        handler=get_problem,
        summary="What a problem's number means",
        gives={200: dict},
        problems=(40401,),
    ),
]
