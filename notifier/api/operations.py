"""Endpoints for operators and their tools: health, metrics, the ledger, and the numbered problems."""

from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer
from notifier.domain.problems import TITLES, problem
from notifier.metrics import MEDIA_TYPE
from notifier.store.reading.ledger import Ledger


class LedgerAnswer(Ledger, frozen=True, kw_only=True):
    """The ledger, and whether it balances: as many deliveries exist as were planned."""

    balanced: bool


async def get_health(_request: Request, _context: ApiContext) -> Response:
    """Answer 200 while the process is up."""
    return answer({"status": "ok"})


async def get_liveness(_request: Request, _context: ApiContext) -> Response:
    """Answer 200 while the process is up, by the name that Kubernetes has for it."""
    return answer({"status": "ok"})


async def get_readiness(_request: Request, context: ApiContext) -> Response:
    """Answer 200 while the process can accept events, which needs its database to answer."""
    await context.readiness.get()
    return answer({"status": "ok"})


async def get_metrics(_request: Request, context: ApiContext) -> Response:
    """Return the counters of all processes and recent counts of the ledger and the queues, in Prometheus' format."""
    return Response(await context.scrapes.of_all(), media_type=MEDIA_TYPE)


async def get_ledger(_request: Request, context: ApiContext) -> Response:
    """Count the ledger and check that as many deliveries exist as were planned."""
    return answer((await context.books.now()).as_dict())


async def get_problem(request: Request, _context: ApiContext) -> Response:
    """Return what a problem's number means and what to do about it."""
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
        method="GET", path="/livez", scope=None, handler=get_liveness, summary="Is the process up?", gives={200: dict}
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        scope=None,
        handler=get_readiness,
        summary="Can it accept events?",
        gives={200: dict},
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        scope="metrics:read",
        handler=get_metrics,
        summary="Prometheus metrics",
        gives={200: None},
    ),
    Endpoint(
        method="GET",
        path="/v1/ledger",
        scope="ledger:read",
        handler=get_ledger,
        summary="The ledger: accepted events against deliveries by state",
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
