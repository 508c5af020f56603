"""Recipients: put one, read one, import many."""

from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import Context, Endpoint
from notifier.api.http import answer, read_body, stream_body
from notifier.pipeline.importing import MAX_LINE, ImportAnswer, import_recipients, to_problem
from notifier.preferences import Key
from notifier.problems import UNDECODABLE, from_decoding, problem
from notifier.recipients import ImportLine, RecipientDetails, decode_details
from notifier.store import recipients

NDJSON = "application/x-ndjson"


async def put_recipient(request: Request, context: Context) -> Response:
    """Write a recipient, whole: what is left out is gone."""
    id_ = recipient_id(request)
    try:
        details = decode_details(await read_body(request, MAX_LINE))
    except UNDECODABLE as error:
        raise from_decoding(42203, error) from None
    except ValueError as error:
        raise to_problem(error) from None
    await recipients.put(context.engine.database, {id_: details}, context.engine.clock.now(), request.state.key.name)
    return Response(status_code=204)


async def get_recipient(request: Request, context: Context) -> Response:
    """All that is held about a recipient."""
    found = await recipients.get(context.engine.database, recipient_id(request))
    if found is None:
        raise problem(40401, "there is no recipient with this id")
    del found["id"]  # the URL has it; without it the answer is what PUT takes
    return answer(found)


async def post_import(request: Request, context: Context) -> Response:
    """Write many recipients, a JSON object a line; a line that doesn't fit is told and keeps no other out."""
    engine, actor = context.engine, request.state.key.name
    return answer(await import_recipients(engine.database, engine.clock, _lines(request), actor))


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """The lines of a body; of one that is too long only so much that it can't be a recipient."""
    rest = b""
    async for part in stream_body(request):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line[: MAX_LINE + 1]
        rest = rest[: MAX_LINE + 1]
    yield rest


def recipient_id(request: Request) -> str:
    """The recipient's id of a path; Problem 42203 where it can be none."""
    try:
        return msgspec.convert(request.path_params["id"], Key)
    except msgspec.ValidationError:
        raise problem(42203, "the id in the path has 1 to 100 characters, without spaces") from None


ENDPOINTS = [
    Endpoint(
        method="PUT",
        path="/v1/recipients/{id:path}",
        scope="recipients:write",
        handler=put_recipient,
        summary="Write a recipient, whole",
        takes={"application/json": RecipientDetails},
        gives={204: None},
        problems=(42203,),
    ),
    Endpoint(
        method="GET",
        path="/v1/recipients/{id:path}",
        scope="recipients:read",
        handler=get_recipient,
        summary="Read all that is held about a recipient",
        gives={200: RecipientDetails},
        problems=(40401, 42203),
    ),
    Endpoint(
        method="POST",
        path="/v1/recipients/import",
        scope="recipients:write",
        handler=post_import,
        summary="Write many recipients (NDJSON, an object with its id a line)",
        takes={NDJSON: ImportLine},
        gives={200: ImportAnswer},
        problems=(42203,),
    ),
]
