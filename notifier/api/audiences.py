"""Audiences kept apart from recipients: the subscribers of a topic, and segments for campaigns."""

from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body, read_query
from notifier.api.versions import expected, versioned
from notifier.domain.preferences import Key
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.domain.segments import Segment, SegmentId
from notifier.domain.topics import Topic
from notifier.store.people import segments, topics

MOST = 1000  # ids on a page
MAX_SEGMENT = 256 * 1024  # bytes of a segment's JSON: the most conditions with the most values

T = TypeVar("T")


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a page begins: `cursor` is the `next` of the page before."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100
    cursor: Key | None = None


class Subscribers(msgspec.Struct, frozen=True):
    """A page of recipients' ids, ascending; `next` is the cursor of the next page, null on the last."""

    subscribers: list[str]
    next: str | None


class SegmentView(Segment, frozen=True, kw_only=True):
    """A segment with its id."""

    id: str


class Segments(msgspec.Struct, frozen=True):
    """A page of segments, ordered by id; `next` is the cursor of the next page, null on the last."""

    segments: list[SegmentView]
    next: str | None


class SegmentSize(msgspec.Struct, frozen=True):
    """The number of recipients who belong to a segment at this moment."""

    recipients: int


async def put_subscriber(request: Request, context: ApiContext) -> Response:
    """Subscribe a recipient to a topic. Repeating the request changes nothing."""
    topic, recipient = _step(request, "topic", Topic), _step(request, "recipient", Key)
    if not await topics.subscribe(context.engine.database, topic, recipient):
        raise problem(40401, "there is no recipient with this id")
    return Response(status_code=204)


async def delete_subscriber(request: Request, context: ApiContext) -> Response:
    """Unsubscribe a recipient from a topic. Repeating the request changes nothing."""
    topic, recipient = _step(request, "topic", Topic), _step(request, "recipient", Key)
    await topics.unsubscribe(context.engine.database, topic, recipient)
    return Response(status_code=204)


async def get_subscribers(request: Request, context: ApiContext) -> Response:
    """List the ids of a topic's subscribers, a page at a time; a topic without subscribers has an empty page."""
    page = read_query(request, PageQuery)
    topic = _step(request, "topic", Topic)
    found = await topics.subscribers(context.engine.database, topic, page.cursor or "", page.limit + 1)
    return answer(Subscribers(*_cut(found, page.limit)))


async def put_segment(request: Request, context: ApiContext) -> Response:
    """Replace a segment. A running campaign applies the new conditions to recipients whom it hasn't reached yet."""
    id_ = _step(request, "id", SegmentId)
    try:
        given = msgspec.json.decode(await read_body(request, MAX_SEGMENT), type=Segment)
    except UNDECODABLE as error:
        raise from_decoding(42206, error) from None
    await segments.put(context.engine.database, id_, given, context.engine.clock.now(), expected(request))
    return Response(status_code=204)


async def get_segment(request: Request, context: ApiContext) -> Response:
    """Return a segment as it was last written."""
    return versioned(await _segment(request, context))


async def delete_segment(request: Request, context: ApiContext) -> Response:
    """Delete a segment. A running campaign reaches nobody else. Repeating the request changes nothing."""
    await segments.delete(context.engine.database, _step(request, "id", SegmentId), expected(request))
    return Response(status_code=204)


async def get_segments(request: Request, context: ApiContext) -> Response:
    """List segments, a page at a time."""
    page = read_query(request, PageQuery)
    found = await segments.find(context.engine.database, page.cursor or "", page.limit + 1)
    ids, following = _cut(list(found), page.limit)
    return answer(Segments([_told(id_, found[id_]) for id_ in ids], following))


async def post_count(request: Request, context: ApiContext) -> Response:
    """Count the recipients who belong to a segment now. Who of them is notified depends on consent, caps and
    addresses."""
    wanted = await _segment(request, context)
    return answer(SegmentSize(await segments.count(context.engine.database, wanted)))


async def _segment(request: Request, context: ApiContext) -> Segment:
    found = await segments.get(context.engine.database, _step(request, "id", SegmentId))
    if found is None:
        raise problem(40401, "there is no segment with this id")
    return found


def _told(id_: str, found: Segment) -> SegmentView:
    return SegmentView(id=id_, **msgspec.structs.asdict(found))


def _cut(found: list[str], limit: int) -> tuple[list[str], str | None]:
    """Cut the rows found, one more than a page where there is a next page, to the page and its cursor."""
    return found[:limit], found[limit - 1] if len(found) > limit else None


def _step(request: Request, name: str, shape: type[T]) -> T:
    try:
        return msgspec.convert(request.path_params[name], shape)
    except msgspec.ValidationError:
        raise problem(42205, f"the {name} in the path has 1 to 100 characters, without spaces", f"/{name}") from None


ENDPOINTS = [
    Endpoint(
        method="PUT",
        path="/v1/topics/{topic}/subscribers/{recipient:path}",
        scope="recipients:write",
        handler=put_subscriber,
        summary="Subscribe a recipient to a topic",
        gives={204: None},
        problems=(40401, 42205),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/topics/{topic}/subscribers/{recipient:path}",
        scope="recipients:write",
        handler=delete_subscriber,
        summary="End a subscription",
        gives={204: None},
        problems=(42205,),
    ),
    Endpoint(
        method="GET",
        path="/v1/topics/{topic}/subscribers",
        scope="recipients:read",
        handler=get_subscribers,
        summary="List a topic's subscribers",
        query=PageQuery,
        gives={200: Subscribers},
        problems=(42205,),
    ),
    Endpoint(
        method="GET",
        path="/v1/segments",
        scope="recipients:read",
        handler=get_segments,
        summary="List segments",
        query=PageQuery,
        gives={200: Segments},
        problems=(42205,),
    ),
    Endpoint(
        method="PUT",
        path="/v1/segments/{id}",
        scope="recipients:write",
        handler=put_segment,
        summary="Write a segment, whole",
        takes={"application/json": Segment},
        gives={204: None},
        problems=(41201, 42205, 42206),
    ),
    Endpoint(
        method="GET",
        path="/v1/segments/{id}",
        scope="recipients:read",
        handler=get_segment,
        summary="Read a segment",
        gives={200: Segment},
        problems=(40401, 42205),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/segments/{id}",
        scope="recipients:write",
        handler=delete_segment,
        summary="Remove a segment",
        gives={204: None},
        problems=(41201, 42205),
    ),
    Endpoint(
        method="POST",
        path="/v1/segments/{id}/count",
        scope="recipients:read",
        handler=post_count,
        summary="How many recipients belong to a segment now",
        gives={200: SegmentSize},
        problems=(40401, 42205),
    ),
]
