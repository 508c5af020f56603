"""`POST /v1/events`: CloudEvents in, one answer each."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.bounds import within_bounds
from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.event_schemas import EVENT_DATA, REFERENCE, examples
from notifier.api.http import answer, read_body
from notifier.domain.cloudevents import BATCH, STRUCTURED, CheckedEvent, CloudEvent, Line, TypeName
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.pipeline.accept import Accepted
from notifier.runtime.stages import Stage, metered


class Attributes(msgspec.Struct, rename=lambda name: f"ce-{name}"):
    """The CloudEvents headers of an event in binary mode."""

    specversion: Literal["1.0"] | UnsetType = UNSET
    id: Line | UnsetType = UNSET
    source: Line | UnsetType = UNSET
    type: TypeName | UnsetType = UNSET
    subject: Line | UnsetType = UNSET
    time: Line | UnsetType = UNSET
    traceparent: Line | UnsetType = UNSET
    tracestate: Line | UnsetType = UNSET


EventData = Annotated[Any, msgspec.Meta(extra_json_schema={"$ref": REFERENCE.format(name=EVENT_DATA)})]


class RefusedEvent(msgspec.Struct, frozen=True, tag_field="status", tag="refused"):
    """The result for a refused event of a batch: its index in the batch, and the problem."""

    index: int
    problem: Annotated[dict[str, Any], msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Problem"})]


class BatchAnswer(msgspec.Struct, frozen=True):
    """One result per event, in the order of the batch."""

    accepted: int
    refused: int
    results: list[Accepted | RefusedEvent]


@metered(Stage.ACCEPT)
async def post_events(request: Request, context: ApiContext) -> Response:
    """Accept one event, or a batch of up to a thousand.

    In structured mode (`application/cloudevents+json`) the body is the event, and its data may be given in Base64 as
    `data_base64`. In binary mode the body is the data, and the event's attributes are the headers `ce-specversion`,
    `ce-id`, `ce-source` and `ce-type`, percent-encoded where they aren't ASCII. `application/json` without those
    headers is read as structured, or as a batch where the body is an array.

    A single event is answered 202 or with a problem. A batch is answered 202 with a result for each event, accepted or
    refused; the whole batch is refused only where it isn't an array.

    What a test key reports is a test: it goes all the way, reaches nobody, and is another event than what another key
    reports by the same source and id.
    """
    media, _, _ = request.headers.get("content-type", "").partition(";")
    media = media.strip().lower()
    body = await read_body(request)
    now = context.engine.clock.now()
    if "ce-specversion" in request.headers and media not in (STRUCTURED, BATCH):
        if media not in ("application/json", "") and not media.endswith("+json"):
            raise problem(41501, f"the data of a binary event is JSON, not {media[:60]!r}")
        candidate = context.reader.binary(request.headers.raw, body, now)
    elif media == BATCH or (media == "application/json" and body.lstrip()[:1] == b"["):
        return await _batch(context, request.state.key, body, now)
    elif media in (STRUCTURED, "application/json"):
        candidate = context.reader.structured(body, now)
    else:
        raise problem(41501, f"{media[:60]!r} is not accepted here")
    (result,) = await _accept(context, request.state.key, [candidate])
    if isinstance(result, Problem):
        raise result
    return answer(result, 202)


async def _accept(
    context: ApiContext, key: ApiKey, candidates: Sequence[CheckedEvent | Problem]
) -> list[Accepted | Problem]:
    await context.limits.admit(key, len(candidates))
    return await context.intake.accept([within_bounds(key, candidate) for candidate in candidates], lane=key.id)


async def _batch(context: ApiContext, key: ApiKey, body: bytes, now: int) -> Response:
    results = await _accept(context, key, context.reader.batch(body, now))
    told: list[Accepted | RefusedEvent] = [
        RefusedEvent(index, result.body()) if isinstance(result, Problem) else result
        for index, result in enumerate(results)
    ]
    refused = sum(isinstance(result, RefusedEvent) for result in told)
    return answer(BatchAnswer(len(told) - refused, refused, told), 202)


async def shake_hands(request: Request, _context: ApiContext) -> Response:
    """Confirm that events may be sent to this address (Abuse protection for webhooks 1.0 §4).

    Every origin may send at any rate; the API key of the event decides whether it is accepted.
    """
    asked = {"webhook-request-origin": "WebHook-Allowed-Origin", "webhook-request-rate": "WebHook-Allowed-Rate"}
    allowed = {told: "*" for name, told in asked.items() if name in request.headers}
    return Response(None, 200, {"Allow": "POST, OPTIONS", **allowed})


ENDPOINTS = [
    Endpoint(
        method="POST",
        path="/v1/events",
        scope="events:write",
        handler=post_events,
        summary="Report events (CloudEvents 1.0: structured, binary or batch)",
        headers=Attributes,
        takes={STRUCTURED: CloudEvent, BATCH: list[CloudEvent], "application/json": EventData},
        examples=examples,
        gives={202: (Accepted, BatchAnswer)},
        problems=(40001, 40002, 40303, 40901, 41501, 42201, 42202),
        limited=True,
    ),
    Endpoint(
        method="OPTIONS",
        path="/v1/events",
        scope=None,
        handler=shake_hands,
        summary="May events be sent here? (the handshake of webhooks)",
        gives={200: None},
    ),
]
