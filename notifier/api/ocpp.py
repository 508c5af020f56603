"""What charging stations say by OCPP 1.6 and 2.0.1, as a CSMS forwards it: one frame, or up to a thousand."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.events import RefusedEvent
from notifier.api.http import answer, read_body
from notifier.domain.cloudevents import MAX_BATCH
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.domain.stations import OcppStation
from notifier.ocpp.frames import OcppInvalid, read
from notifier.pipeline.accept_ocpp import TYPES, StationFrame, Taken, accept_frames

AnyFrame = Annotated[
    list[Any], msgspec.Meta(extra_json_schema={"example": [2, "19223201", "Heartbeat", {}], "minItems": 3})
]


class ForwardedFrame(msgspec.Struct, frozen=True):
    """A frame as it came from a station, and the station's identity. Further members are ignored."""

    station: OcppStation
    frame: AnyFrame


class TakenFrame(Taken, frozen=True, tag_field="status", tag="taken"):
    """What became of a frame: how many ports of stations that we know it was about, and how many events it caused."""


class RefusedFrame(RefusedEvent, frozen=True, tag_field="status", tag="refused"):
    """The result for a refused frame: its index in the batch, and the problem."""


class FrameAnswer(msgspec.Struct, frozen=True):
    """One result per frame, in the order of the batch."""

    taken: int
    refused: int
    results: list[TakenFrame | RefusedFrame]


NOTHING: Final = TakenFrame(ports=0, events=0)
"""The result for a frame that says nothing to us."""


async def post_frames(request: Request, context: ApiContext) -> Response:
    """Take one frame of a station, or an array of up to a thousand, in the order in which they came.

    Calls of any action are taken, results too: the answer to a StartTransaction of 1.6 tells the number by which its
    transaction goes on. What isn't used is ignored. A repeat changes nothing. A refused frame doesn't keep the others
    out; a single one is answered with its problem.
    """
    station = _station(request.path_params["station"])
    given = _decoded(await read_body(request))
    several = bool(given) and isinstance(given[0], list)
    frames = given if several or not given else [given]
    results = await _take(context, request.state.key, [(station, frame) for frame in frames])
    if not several and results and isinstance(results[0], Problem):
        raise results[0]
    return answer(_told(results), 202)


async def post_forwarded(request: Request, context: ApiContext) -> Response:
    """Take frames of many stations, up to a thousand, those of one in the order in which they came."""
    items: list[tuple[str, object] | Problem] = []
    for item in _decoded(await read_body(request)):
        try:
            each = msgspec.convert(item, ForwardedFrame)
            items.append((each.station, each.frame))
        except msgspec.ValidationError as error:
            items.append(from_decoding(42209, error))
    return answer(_told(await _take(context, request.state.key, items)), 202)


async def _take(
    context: ApiContext, key: ApiKey, items: Sequence[tuple[str, object] | Problem]
) -> list[TakenFrame | Problem]:
    """The result of each item; None of them is lost because of another."""
    if len(items) > MAX_BATCH:
        raise problem(41301, f"the batch has {len(items)} frames; the limit is {MAX_BATCH}")
    await context.limits.admit(key, len(items))
    checked = [item if isinstance(item, Problem) else _checked(key, *item) for item in items]
    fit = [each for each in checked if isinstance(each, StationFrame)]
    taken = iter(await accept_frames(context.engine, context.reader, context.intake, fit, key.id) if fit else ())
    results: list[TakenFrame | Problem] = []
    for each in checked:
        if isinstance(each, StationFrame):
            came = next(taken)
            results.append(TakenFrame(ports=came.ports, events=came.events))
        else:
            results.append(NOTHING if each is None else each)
    return results


def _checked(key: ApiKey, station: str, frame: object) -> StationFrame | Problem | None:
    if not key.bounds.has_source(f"ocpp/{station}"):
        return problem(40303, f"the key {key.id} is not bound to the source ocpp/{station}", "/station")
    if not all(map(key.bounds.has_type, TYPES)):
        return problem(40303, f"the key {key.id} is not bound to all of {', '.join(sorted(TYPES))}")
    try:
        found = read(frame)
    except OcppInvalid as error:
        return problem(42209, error.detail, error.pointer)
    return None if found is None else StationFrame(station, found)


def _decoded(body: bytes) -> list[Any]:
    try:
        return msgspec.json.decode(body, type=list[Any])
    except UNDECODABLE as error:
        raise from_decoding(42209, error) from None


def _station(name: str) -> str:
    try:
        return msgspec.convert(name, OcppStation)
    except msgspec.ValidationError as error:
        raise from_decoding(42205, error, "/station") from None


def _told(results: Sequence[TakenFrame | Problem]) -> FrameAnswer:
    told = [
        RefusedFrame(index, result.body()) if isinstance(result, Problem) else result
        for index, result in enumerate(results)
    ]
    refused = sum(isinstance(result, RefusedFrame) for result in told)
    return FrameAnswer(len(told) - refused, refused, told)


ENDPOINTS = [
    Endpoint(
        method="POST",
        path="/v1/ocpp",
        scope="stations:write",
        handler=post_forwarded,
        summary="OCPP: take frames of many stations",
        takes={"application/json": list[ForwardedFrame]},
        gives={202: FrameAnswer},
        problems=(40001, 42209),
        limited=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/ocpp/{station}",
        scope="stations:write",
        handler=post_frames,
        summary="OCPP: take frames of a station",
        takes={"application/json": AnyFrame},
        gives={202: FrameAnswer},
        problems=(40001, 40303, 42205, 42209),
        limited=True,
    ),
]
