"""A span for each sampled request of the API, within the trace that its caller began (W3C Trace Context 1)."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from notifier.api.latency import PATTERN
from notifier.api.request_ids import REQUEST_ID
from notifier.domain.clock import Clock
from notifier.domain.trace_context import TraceContext, read_context
from notifier.pipeline.engine import Engine
from notifier.runtime.tracing import Span, current

TRACED: Final = ("/v1/", "/ocpi/")
"""Where paths begin whose requests are traced: not probes, scrapes, pages and their parts."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that spans name; others are `_OTHER`, as OpenTelemetry has it: a caller may send any word."""


class Traced:
    """Tells of each sampled request from its head to the beginning of its answer; the answer has the span's context
    (`traceresponse`), and log lines about the request its trace's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        span = _begin(scope)
        if span is None:
            return await self._app(scope, receive, send)
        clock, answered = _engine(scope).clock, False

        async def answer(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                _end(span, scope, message["status"], clock)
                message["headers"] = [*message["headers"], (b"traceresponse", span.context.parent.encode())]
            await send(message)

        token = current.set(span)
        try:
            with bound_contextvars(trace_id=span.context.trace_id):
                return await self._app(scope, receive, answer)
        finally:
            current.reset(token)
            if not answered:  # whoever catches what was raised answers 500
                _end(span, scope, 500, clock)


def _engine(scope: Scope) -> Engine:
    engine: Engine = scope["app"].state.context.engine
    return engine


def _begin(scope: Scope) -> Span | None:
    if scope["type"] != "http" or not scope["path"].startswith(TRACED):
        return None
    engine = _engine(scope)
    if engine.tracer is None:
        return None
    method = scope["method"] if scope["method"] in METHODS else "_OTHER"
    attributes = {"http.request.method": method, "notifier.request.id": scope[REQUEST_ID]}
    return engine.tracer.begin(method, "SERVER", _parent(scope), engine.clock.now(), attributes)


def _end(span: Span, scope: Scope, status: int, clock: Clock) -> None:
    attributes: dict[str, str | int] = {"http.response.status_code": status}
    if PATTERN in scope:
        attributes["http.route"] = scope[PATTERN]
        span.rename(f"{scope['method']} {scope[PATTERN]}")
    span.end(clock.now(), attributes, error=str(status) if status >= 500 else None)


def _parent(scope: Scope) -> TraceContext | None:
    """The caller's context; None where there is none, or where it came twice."""
    parents, states = (
        [value.decode("latin-1").strip() for name, value in scope["headers"] if name == wanted]
        for wanted in (b"traceparent", b"tracestate")
    )
    return read_context(parents[0], ",".join(states)) if len(parents) == 1 else None
