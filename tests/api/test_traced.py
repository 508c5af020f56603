"""Requests in traces: within their caller's, and an event's own trace wins over that of its request."""

import json
from collections.abc import AsyncIterator

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from notifier.runtime.settings import Settings
from notifier.store.core.database import Database
from notifier.store.core.schema import metadata
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application
from tests.collector import Collector, collecting
from tests.samples import EVENT, encoded

pytestmark = on_sqlite

ONE, OTHER, PRODUCER = "1" * 32, "2" * 32, "a" * 16
BATCH = "application/cloudevents-batch+json"


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as started:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", started.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
        yield started


@pytest.fixture
async def traced(database: Database, valkey: str, collector: Collector) -> AsyncIterator[Caller]:
    """The served application with tracing on."""
    settings = Settings(tracing=True, ocpi_driver_prices="any")
    async with application(database, valkey, settings=settings) as caller:
        yield caller


def parent(trace_id: str, flags: str = "01") -> str:
    return f"00-{trace_id}-{PRODUCER}-{flags}"


async def test_an_event_without_a_trace_of_its_own_is_in_its_requests(traced: Caller, collector: Collector) -> None:
    answer = await traced.post(encoded(), traceparent=parent(ONE), X_Request_Id="r-1")

    accepted, request = await collector.until(ONE, ["POST /v1/events", "accept events"])
    if accepted.name != "accept events":
        accepted, request = request, accepted
    assert (request.parent_id, accepted.parent_id) == (PRODUCER, request.span_id)
    assert (request.kind, request.process) == ("SERVER", "web")
    assert request.attributes == {
        "http.request.method": "POST", "http.route": "/v1/events", "http.response.status_code": 202,
        "notifier.request.id": "r-1",
    }  # fmt: skip
    assert answer.headers["traceresponse"] == f"00-{ONE}-{request.span_id}-01"


async def test_an_events_own_trace_wins_and_leads_to_its_request(traced: Caller, collector: Collector) -> None:
    # When a batch of two comes, of which one has a trace of its own
    batch = b"[" + encoded() + b"," + encoded(id="2", traceparent=parent(OTHER)) + b"]"
    await traced.post(batch, BATCH, traceparent=parent(ONE))

    # Then each is where it belongs
    spans = await collector.until(ONE, ["POST /v1/events", "accept events"])
    request = next(each for each in spans if each.kind == "SERVER")
    (own,) = await collector.until(OTHER, ["accept events"])
    assert (own.parent_id, own.links) == (PRODUCER, frozenset({request.context}))


async def test_a_binary_events_trace_is_in_its_own_header(traced: Caller, collector: Collector) -> None:
    sent = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "billing", "ce_type": "payment.failed"}
    await traced.post(json.dumps(EVENT["data"]), "application/json", ce_traceparent=parent(OTHER), **sent)

    assert len(await collector.until(OTHER, ["accept events"])) == 1


@pytest.mark.parametrize("given", [None, parent(ONE, "00"), "00-zz", parent("0" * 32)])
async def test_a_request_that_is_not_recorded_leaves_nothing(
    traced: Caller, collector: Collector, given: str | None
) -> None:
    # Given a request in no trace that is recorded
    answer = await traced.post(encoded(), **({} if given is None else {"traceparent": given}))
    assert "traceresponse" not in answer.headers

    # When a later one is in one
    await traced.call("GET", "/v1/ledger", traceparent=parent(OTHER))

    # Then the later one is all that there is
    await collector.until(OTHER, ["GET /v1/ledger"])
    assert {each.trace_id for each in collector.spans} == {OTHER}


async def test_probes_and_pages_are_not_traced(traced: Caller, collector: Collector) -> None:
    await traced.call("GET", "/readyz", traceparent=parent(ONE))
    await traced.call("GET", "/console/", traceparent=parent(ONE))
    await traced.call("GET", "/v1/ledger", traceparent=parent(OTHER))

    await collector.until(OTHER, ["GET /v1/ledger"])
    assert {each.trace_id for each in collector.spans} == {OTHER}


async def test_a_fault_of_ours_is_an_error_and_its_log_line_has_the_traces_id(
    traced: Caller, collector: Collector
) -> None:
    # Given a database without a table that is needed
    async with traced.engine.database.engine.begin() as connection:
        await connection.run_sync(metadata.tables["open_event"].drop)

    # When an event comes
    with capture_logs([merge_contextvars]) as logged:
        answer = await traced.post(encoded(), traceparent=parent(ONE))

    # Then its spans say so, and the log leads to them
    assert answer.status in (500, 503)
    spans = await collector.until(ONE, ["POST /v1/events", "accept events"])
    assert all(each.is_error for each in spans)
    assert {line.get("trace_id") for line in logged if line["event"] == "api.store_unavailable"} <= {ONE}
