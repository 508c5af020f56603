"""Data subject rights: the export of all data about a person, and their erasure."""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.recipients import recipient_id
from notifier.domain.problems import problem
from notifier.people.export import Export, export_recipient
from notifier.store.people import erasures


async def get_export(request: Request, context: ApiContext) -> Response:
    """Export all data held about a person: their profile, preferences and consents, and what was decided for them and
    sent to them."""
    pieces = await export_recipient(context.engine.database, recipient_id(request))
    if pieces is None:
        raise problem(40401, "there is no recipient with this id")
    return StreamingResponse(pieces, media_type="application/json")


async def delete_recipient(request: Request, context: ApiContext) -> Response:
    """Erase a person. Nothing more is sent to them from now on, and within a minute no data about them is left.

    A keyed hash takes their place in the ledger. A STOP stays: it is kept by a keyed hash of the number. Repeating the
    request, or erasing an unknown person, does no harm: their data is only searched for again.
    """
    engine = context.engine
    await erasures.begin(engine.database, [recipient_id(request)], request.state.key.name, engine.clock.now())
    return Response(status_code=202)


ENDPOINTS = [
    Endpoint(
        method="DELETE",
        path="/v1/recipients/{id}",
        scope="recipients:erase",
        handler=delete_recipient,
        summary="Forget a person",
        gives={202: None},
        problems=(42203,),
    ),
    Endpoint(
        method="GET",
        path="/v1/recipients/{id}/export",
        scope="recipients:read",
        handler=get_export,
        summary="Read all that is held about a person",
        gives={200: Export},
        problems=(40401, 42203),
    ),
]
