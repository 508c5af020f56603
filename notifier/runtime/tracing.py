"""Traces: spans of the sampled events' way, sent to an OpenTelemetry collector in the background.

Nothing of OpenTelemetry is imported unless tracing is on. Spans are told once they are over, with instants of the
engine's clock, so that those of several machines fit together; a context is what of them travels on. No span holds an
address, a name or a text.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING, Final, Literal

import structlog

from notifier.domain.trace_context import TraceContext
from notifier.runtime.settings import Settings
from notifier.runtime.trace_settings import RATIO, SAMPLER, USUAL_RATIO

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

CLOSE_WITHIN: Final = 2.0
"""Seconds for the last spans to go out when a process ends: a collector that hangs holds up nobody's stop."""

Kind = Literal["SERVER", "PRODUCER", "CONSUMER", "CLIENT"]
Attributes = Mapping[str, str | int]

_NANOSECONDS: Final = 1_000_000  # in a millisecond

log = structlog.get_logger(__name__)


class Span:
    """A span that is being recorded; `context` is what its children belong to."""

    __slots__ = ("_span", "context")

    def __init__(self, span: "trace.Span", context: TraceContext) -> None:
        self._span = span
        self.context = context

    def rename(self, name: str) -> None:
        """Give the span a name that is known only now."""
        self._span.update_name(name)

    def end(self, at: int, attributes: Attributes | None = None, error: str | None = None) -> None:
        """End the span at an instant (epoch milliseconds). `error` is the kind of what went wrong, if anything did."""
        from opentelemetry.trace import StatusCode

        if attributes:
            self._span.set_attributes(attributes)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end(at * _NANOSECONDS)


current: Final[ContextVar[Span | None]] = ContextVar("current_span", default=None)
"""The span of the request that is being answered, where it is recorded."""


class Tracer:
    """Makes spans and hands them to the exporter's queue, which drops what it has no room for.

    `parents_decide` says that what isn't recorded of a parent's trace isn't here either.
    """

    def __init__(self, provider: "TracerProvider", exporter: "SpanExporter", *, parents_decide: bool) -> None:
        self._provider = provider
        self._exporter = exporter
        self._parents_decide = parents_decide
        self._tracer = provider.get_tracer("notifier", version("notifier"))

    def begin(
        self, name: str, kind: Kind, parent: TraceContext | None, at: int, attributes: Attributes | None = None,
        links: Iterable[TraceContext] = (),
    ) -> Span | None:  # fmt: skip
        """Begin a span at an instant (epoch milliseconds), in a trace of its own where it has no parent; None where
        the sampler leaves it out."""
        if parent is not None and self._parents_decide and not parent.sampled:
            return None  # as the sampler would say, at a tenth of the cost
        from opentelemetry.trace import INVALID_SPAN, Link, NonRecordingSpan, SpanKind, set_span_in_context

        above = INVALID_SPAN if parent is None else NonRecordingSpan(_span_context(parent))
        span = self._tracer.start_span(
            name, set_span_in_context(above), SpanKind[kind], attributes, [Link(_span_context(each)) for each in links],
            at * _NANOSECONDS,
        )  # fmt: skip
        if not span.is_recording():
            return None
        own = span.get_span_context()
        state = own.trace_state.to_header()
        return Span(span, TraceContext(f"{own.trace_id:032x}", f"{own.span_id:016x}", own.trace_flags.sampled, state))

    def tell(
        self, name: str, kind: Kind, parent: TraceContext, began: int, ended: int, attributes: Attributes,
        links: Iterable[TraceContext] = (), error: str | None = None,
    ) -> TraceContext | None:  # fmt: skip
        """Record a span that is over; returns its context, None where the sampler leaves it out."""
        span = self.begin(name, kind, parent, began, attributes, links)
        if span is None:
            return None
        span.end(max(began, ended), error=error)
        return span.context

    async def close(self) -> None:
        """Send what waits, within `CLOSE_WITHIN` seconds."""
        # A thread of its own: the loop's executor would be waited for, and the process too.
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(sent.set)

        Thread(target=shut_down, name="tracing.close", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await sent.wait()
        except TimeoutError:
            log.warning("tracing.not_sent", seconds=CLOSE_WITHIN)
            self._exporter.shutdown()  # it tries nothing again


def open_tracer(settings: Settings, process: str) -> Tracer | None:
    """Return the tracer of a process that calls itself so; None where the settings don't ask for one."""
    if not settings.tracing:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    own = Resource({"service.name": "notifier", "service.version": version("notifier"), "notifier.process": process})
    share = os.environ.get(RATIO, "").strip()
    usual = ParentBasedTraceIdRatio(float(share) if share else USUAL_RATIO)
    provider = TracerProvider(
        sampler=None if os.environ.get(SAMPLER, "").strip() else usual,
        resource=Resource.create().merge(own).merge(OTELResourceDetector().detect()),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    sampler = os.environ.get(SAMPLER, "").strip().lower() or "parentbased"
    return Tracer(provider, exporter, parents_decide=sampler.startswith("parentbased"))


def _span_context(context: TraceContext) -> "trace.SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState

    return SpanContext(
        int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=TraceFlags(context.sampled),
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )  # fmt: skip
