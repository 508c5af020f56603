"""Recipients: write one, read one, import many."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body, stream_body
from notifier.api.versions import CONDITIONAL, expected, versioned
from notifier.domain.addresses import shown
from notifier.domain.errors import Problem
from notifier.domain.preferences import RecipientId
from notifier.domain.problems import UNDECODABLE, problem
from notifier.domain.recipients import ImportLine, RecipientDetails, decode_details, patched, put_over
from notifier.people.importing import MAX_LINE, ImportAnswer, import_recipients, to_problem
from notifier.store.people import recipients

NDJSON = "application/x-ndjson"
NOBODY = "there is no recipient with this id"

T = TypeVar("T")

decode_patch = msgspec.json.Decoder(dict[str, Any]).decode


async def put_recipient(request: Request, context: ApiContext) -> Response:
    """Replace a recipient: members left out are removed. Devices, preferences and single-channel addresses stay,
    because other services write them too, and so do secrets, which are never shown.

    Of the preferences only those named change.
    """
    id_ = recipient_id(request)
    body = await read_body(request, MAX_LINE)
    given = fitting(lambda: decode_details(body))
    settings, check = context.settings.channels, expected(request)

    def step(held: dict[str, Any] | None) -> RecipientDetails:
        check(held)
        return _put_over(held, given, settings)

    engine, actor = context.engine, request.state.key.name
    if given.addresses is not None or any(header in request.headers for header in CONDITIONAL):
        await recipients.change(engine.database, id_, step, engine.clock.now(), actor)
    else:
        details = _put_over(None, given, settings)
        await recipients.put(engine.database, {id_: details}, engine.clock.now(), actor)
    return Response(status_code=204)


async def patch_recipient(request: Request, context: ApiContext) -> Response:
    """Change a recipient by a merge patch (RFC 7396): a member left out stays, a member that is null is removed.

    The response is the recipient after the change.
    """
    id_, check = recipient_id(request), expected(request)
    body = await read_body(request, MAX_LINE)
    patch = fitting(lambda: decode_patch(body))

    def step(held: dict[str, Any] | None) -> RecipientDetails:
        check(held)
        if held is None:
            raise problem(40401, NOBODY)
        details: RecipientDetails = fitting(lambda: patched(held, patch, context.settings.channels))
        return details

    engine, actor = context.engine, request.state.key.name
    return _told(await recipients.change(engine.database, id_, step, engine.clock.now(), actor))


async def get_recipient(request: Request, context: ApiContext) -> Response:
    """Return everything held about a recipient except the secrets of addresses, which are never shown."""
    found = await recipients.get(context.engine.database, recipient_id(request))
    if found is None:
        raise problem(40401, NOBODY)
    return _told(found)


async def post_import(request: Request, context: ApiContext) -> Response:
    """Import many recipients, one JSON object a line. An invalid line is reported and keeps no other line out."""
    engine, actor = context.engine, request.state.key.name
    return answer(
        await import_recipients(engine.database, engine.clock, _lines(request), actor, context.settings.channels)
    )


def _put_over(held: dict[str, Any] | None, given: RecipientDetails, settings: Mapping[str, str]) -> RecipientDetails:
    details: RecipientDetails = fitting(lambda: put_over(held, given, settings))
    return details


def _told(held: dict[str, Any]) -> Response:
    """Return a recipient with a version of everything held: a changed secret changes the version."""
    return versioned(held, shown={**held, "addresses": shown(held["addresses"])})


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """Yield the lines of a body; a line that is too long is cut where it can no longer be a recipient."""
    rest = b""
    async for part in stream_body(request):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line[: MAX_LINE + 1]
        rest = rest[: MAX_LINE + 1]
    yield rest


def fitting(make: Callable[[], T]) -> T:
    """Decode a body; raises Problem for one that isn't JSON or doesn't fit a recipient."""
    try:
        return make()
    except Problem:
        raise
    except (*UNDECODABLE, ValueError) as error:
        raise to_problem(error) from None


def recipient_id(request: Request) -> str:
    """Return the recipient's id from the path; raises Problem 42203 where it isn't a valid id."""
    try:
        return msgspec.convert(request.path_params["id"], RecipientId)
    except msgspec.ValidationError:
        raise problem(42203, "the id in the path has 1 to 100 characters, without spaces and slashes") from None


ENDPOINTS = [
    Endpoint(
        method="PUT",
        path="/v1/recipients/{id}",
        scope="recipients:write",
        handler=put_recipient,
        summary="Write a recipient, whole",
        takes={"application/json": RecipientDetails},
        gives={204: None},
        problems=(41201, 42203),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/recipients/{id}",
        scope="recipients:write",
        handler=patch_recipient,
        summary="Change a recipient",
        takes={"application/merge-patch+json": dict[str, Any]},
        gives={200: RecipientDetails},
        problems=(40401, 41201, 42203),
    ),
    Endpoint(
        method="GET",
        path="/v1/recipients/{id}",
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
