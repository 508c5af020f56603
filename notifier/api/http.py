"""What every endpoint shares: bodies with a size limit and a time-out, JSON answers, problems."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
import msgspec.inspect
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from notifier.api.latency import PATTERN
from notifier.api.request_ids import HEADER, REQUEST_ID
from notifier.domain.errors import Problem
from notifier.domain.problems import RETRY_AFTER, UNDECODABLE, from_decoding, problem
from notifier.domain.reading import unmarked
from notifier.domain.text import address_fault
from notifier.runtime.background import cancelled, once

Q = TypeVar("Q", bound=msgspec.Struct)

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
_WEIGHT: Final = re.compile(r"[01](\.[0-9]{0,3})?", re.ASCII)

MAX_BODY = 8 * 1024 * 1024  # bytes: a thousand events of the usual size, with a margin
BODY_TIMEOUT = 15.0  # seconds for the whole body: a slow sender doesn't hold a connection open for ever

HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="notifier"'},
    415: {
        "Accept-Encoding": "identity"
    },  # Accept-Encoding of a 415 about a content coding (RFC 9110 §15.5.16); the detail names the media types
    503: {"Retry-After": str(RETRY_AFTER)},
    408: {"Connection": "close"},  # the rest of the body isn't read
}
"""Headers of responses with these statuses."""

log = structlog.get_logger(__name__)


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """Return the whole body; raises Problem where the body is compressed, too large, too slow or cut off."""
    _refuse_coding(request)
    if int(request.headers.get("content-length", 0)) > limit:
        raise problem(41301, f"the body has {request.headers['content-length']} bytes; the limit is {limit}")
    seconds = request.app.state.context.body_timeout
    parts = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise problem(41301, f"the body has more than {limit} bytes, which is the limit")
                parts.append(part)
    except TimeoutError:
        raise problem(40801, f"the body did not arrive within {seconds:g} seconds") from None
    except ClientDisconnect:
        raise problem(40001, "the connection ended before the whole body arrived") from None
    return unmarked(b"".join(parts))


async def stream_body(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in chunks, without a size limit; raises Problem where it is compressed or cut off, or a chunk is
    slow."""
    _refuse_coding(request)
    seconds = request.app.state.context.body_timeout
    parts = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(seconds):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise problem(40801, f"no more of the body arrived within {seconds:g} seconds") from None
        except ClientDisconnect:
            raise problem(40001, "the connection ended before the whole body arrived") from None
        yield part


def _refuse_coding(request: Request) -> None:
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise problem(41501, f"the body is encoded as {coding[:60]!r}; send it as it is, without Content-Encoding")


async def read_json(request: Request, model: type[Q], limit: int = MAX_BODY) -> Q:
    """Decode the body as JSON of a type; raises Problem 42205 where it doesn't fit, and the problems of `read_body`."""
    try:
        return msgspec.json.decode(await read_body(request, limit), type=model)
    except UNDECODABLE as error:
        raise from_decoding(42205, error) from None


@asynccontextmanager
async def on_leaving(request: Request, act: Callable[[], None]) -> AsyncIterator[None]:
    """Act once the caller has left, where that is before the answer. The body has been read, or there is none."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        act()

    watching = once("api.leaving", watch)
    try:
        yield
    finally:
        await cancelled(watching)


def read_query(request: Request, model: type[Q]) -> Q:
    """Decode the query parameters, of which a list's may be repeated; raises Problem 42205 for a parameter that is
    unknown or doesn't fit."""
    given: dict[str, Any] = dict(request.query_params)
    given |= {name: request.query_params.getlist(name) for name in _lists(model) if name in given}
    try:
        return msgspec.convert(given, model, strict=False)
    except msgspec.ValidationError as error:
        raise from_decoding(42205, error) from None


@cache
def _lists(model: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in msgspec.inspect.type_info(model).fields  # type: ignore[attr-defined]
        if isinstance(field.type, msgspec.inspect.ListType)
    )


def prefers(request: Request, media: str) -> bool:
    """Whether the caller names a media type, and JSON none or with a lower weight (RFC 9110 §12.5.1)."""
    weights: dict[str, float] = {}
    for each in request.headers.get("accept", "").split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        weights[name] = float(given) if _WEIGHT.fullmatch(given) else 0.0
    return weights.get(media, 0.0) > weights.get(JSON, 0.0)


def refuse_no_text(request: Request) -> None:
    """Raise Problem 42205 where the URL holds characters that no id or name may have (`text.TEXT`)."""
    fault = address_fault(request.scope["raw_path"], request.scope["query_string"])
    if fault is not None:
        raise problem(42205, "this part of the address has a control character or is not UTF-8", f"/{fault}")


def limit_fields(request: Request) -> Mapping[str, str]:
    """Return the header fields that tell the limits of the request's key, for endpoints that count."""
    told: Callable[[], Mapping[str, str]] | None = getattr(request.state, "limits", None)
    return {} if told is None else told()


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(content), status, headers, "application/json")


def refusal(request: Request, error: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as a response (problem document, RFC 9457), with the request's id."""
    body = {**error.body(), REQUEST_ID: request.scope[REQUEST_ID]}
    told = {**(headers or {}), **limit_fields(request)}
    return Response(msgspec.json.encode(body), error.status, told, "application/problem+json")


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a request whose endpoint raised a Problem."""
    if not isinstance(error, Problem):
        return await on_error(request, error)
    asked = {"Retry-After": str(error.more["retry_after"])} if "retry_after" in error.more else {}
    return refusal(request, error, {**HEADERS.get(error.status, {}), **asked})


async def on_store_unavailable(request: Request, error: Exception) -> Response:
    """Answer that the database is unavailable: nothing was written, and the caller should send the request again."""
    log.warning("api.store_unavailable", error=str(error))
    away = problem(50301, "the database does not answer; nothing was written")
    return refusal(request, away, {"Retry-After": str(RETRY_AFTER)})


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer a request for which the router has no endpoint."""
    if not isinstance(error, HTTPException):
        return await on_error(request, error)
    if error.status_code == 405:
        return refusal(request, problem(40501, f"{request.method} is not for {request.url.path}"), error.headers)
    return refusal(request, problem(40401, f"there is nothing at {request.url.path}"))


async def on_error(request: Request, error: Exception) -> Response:
    """Answer an unexpected error with a 500; its cause is in the log and not in the answer."""
    # This answers outside of whatever adds the request's id to answers and log lines.
    id_ = request.scope[REQUEST_ID]
    log.error("api.fault", path=request.scope.get(PATTERN), request_id=id_, exc_info=error)
    return refusal(request, problem(50001, "the error is logged"), {HEADER: id_})
