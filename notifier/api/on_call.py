"""On-call order: who of an audience is notified first, second and so on where a type escalates."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import read_body
from notifier.api.versions import expected, versioned
from notifier.domain.preferences import Key
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.store.people import on_call

MOST = 1000  # people on call for one site or fleet: more is a mistake, and the last would never be notified
MAX_BODY = 128 * 1024  # bytes: a thousand ids and their punctuation


class OnCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recipient ids: the first is notified at once, each next one a step later. Members of the audience who aren't
    listed come last, ordered by id."""

    order: Annotated[list[Key], msgspec.Meta(max_length=MOST)]


async def put_on_call(request: Request, context: ApiContext) -> Response:
    """Set the order for an audience such as `site:gent-zuid` or `fleet:acme`; it stays until the next call.

    Every recipient named must already belong to the audience (`sites` or `fleets` of the recipient).
    """
    audience = _audience(request)
    try:
        order = msgspec.json.decode(await read_body(request, MAX_BODY), type=OnCall).order
    except UNDECODABLE as error:
        raise from_decoding(42205, error) from None
    if len(set(order)) != len(order):
        raise problem(42205, "a recipient is listed twice", "/order")
    strangers = await on_call.put(context.engine.database, audience, order, expected(request, OnCall))
    if strangers:
        place = order.index(strangers[0])
        raise problem(42205, f"this recipient is not in the audience {audience}", f"/order/{place}")
    return Response(status_code=204)


async def get_on_call(request: Request, context: ApiContext) -> Response:
    """Return the on-call order of an audience as it was set."""
    order = await on_call.get(context.engine.database, _audience(request))
    if order is None:
        raise problem(40401, "no recipient has this audience")
    return versioned(OnCall(order))


def _audience(request: Request) -> str:
    try:
        return msgspec.convert(request.path_params["audience"], Key)
    except msgspec.ValidationError:
        raise problem(42205, "the audience in the path has 1 to 100 characters, such as site:gent-zuid") from None


ENDPOINTS = [
    Endpoint(
        method="PUT",
        path="/v1/on-call/{audience:path}",
        scope="recipients:write",
        handler=put_on_call,
        summary="Set who is on call, in order",
        takes={"application/json": OnCall},
        gives={204: None},
        problems=(41201, 42205),
    ),
    Endpoint(
        method="GET",
        path="/v1/on-call/{audience:path}",
        scope="recipients:read",
        handler=get_on_call,
        summary="Read who is on call, in order",
        gives={200: OnCall},
        problems=(40401, 42205),
    ),
]
