"""A stand-in for an OpenTelemetry collector: OTLP over HTTP, decoded by OpenTelemetry's own protocol buffers."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATIENCE = 60  # seconds for what takes one, and for what is tried again after some


@dataclass(frozen=True)
class SpanSeen:
    """A span that came in: ids in hex digits, instants in epoch milliseconds, and the process that made it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    began: int
    ended: int
    attributes: dict[str, Any]
    links: frozenset[tuple[str, str]]
    is_error: bool
    process: str

    @property
    def context(self) -> tuple[str, str]:
        return self.trace_id, self.span_id


@dataclass
class Collector:
    """What came in so far. `url` is what OTEL_EXPORTER_OTLP_ENDPOINT is set to; with `hangs` it never answers."""

    url: str
    spans: list[SpanSeen] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hangs: bool = False
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, trace_id: str) -> list[SpanSeen]:
        """The spans of a trace, by when they began and their names."""
        return sorted((each for each in self.spans if each.trace_id == trace_id), key=lambda s: (s.began, s.name))

    async def until(self, trace_id: str, names: Iterable[str]) -> list[SpanSeen]:
        """The spans of a trace once they have these names, and no others."""
        wanted = sorted(names)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while sorted(each.name for each in self.of(trace_id)) != wanted:
                    self.came.clear()
                    await self.came.wait()
        came = sorted(each.name for each in self.of(trace_id))
        assert came == wanted, [(s.name, s.attributes) for s in self.of(trace_id)]
        return self.of(trace_id)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port."""
    collector = Collector("")

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if collector.hangs:
            await asyncio.Event().wait()
        collector.headers.append(dict(request.headers))
        collector.bodies.append(body)
        collector.spans += _read(ExportTraceServiceRequest.FromString(body))
        collector.came.set()
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()


def _read(request: Any) -> list[SpanSeen]:
    return [
        SpanSeen(
            name=span.name, kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            trace_id=span.trace_id.hex(), span_id=span.span_id.hex(), parent_id=span.parent_span_id.hex(),
            began=span.start_time_unix_nano // 1_000_000, ended=span.end_time_unix_nano // 1_000_000,
            attributes=_values(span.attributes),
            links=frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
            is_error=span.status.code == span.status.STATUS_CODE_ERROR,
            process=_values(of_process.resource.attributes)["notifier.process"],
        )
        for of_process in request.resource_spans
        for scope in of_process.scope_spans
        for span in scope.spans
    ]  # fmt: skip


def _values(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
