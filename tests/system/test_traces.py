"""A trace through real processes: the web process accepts, a worker decides and delivers, the clock tries again."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.demo.local import LocalSystem
from tests.collector import Collector, SpanSeen, collecting

TRACE, PRODUCER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
UNSAMPLED = "5" * 32
DATA = {
    "driver_id": "ada", "session_id": "1", "station": "Mitte", "kind": "full", "energy_kwh": 20.5,
    "completed_at": "2026-03-09T17:40:00Z",
}  # fmt: skip

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as started:
        yield started


@pytest.fixture
async def system(collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalSystem]:
    """A whole system that traces what its producers trace."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with LocalSystem(tmp_path, {"worker_processes": 1, "tracing": "true"}) as started:
        yield started


async def test_one_trace_leads_from_the_producers_request_to_the_receipt(
    system: LocalSystem, collector: Collector
) -> None:
    # Given a driver with a phone, and a carrier that refuses the first text
    url = f"{system.settings.public_url}/v1"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as session:
        details = {"phone": "+4915123456789", "locale": "de", "time_zone": "Europe/Berlin"}
        async with session.put(f"{url}/recipients/ada", json=details) as response:
            assert response.status == 204
        rule = {"channel": "sms", "action": "fail", "status": 503, "times": 1}
        async with session.post(f"{system.sandbox_url}/sandbox/faults", json=rule) as response:
            assert response.status < 300

        # When an event comes in a request of a trace, and one before it in a request that isn't recorded
        for number, traceparent in ((1, f"00-{UNSAMPLED}-{PRODUCER}-00"), (2, f"00-{TRACE}-{PRODUCER}-01")):
            event = {"specversion": "1.0", "id": str(number), "source": "csms", "type": "charging.complete"}
            body = event | {"data": DATA | {"session_id": str(number), "driver_id": "ada" if number == 2 else "bob"}}
            async with session.post(f"{url}/events", json=body, headers={"traceparent": traceparent}) as response:
                assert response.status == 202

        # And its text, tried again, is reported as delivered
        told = ["POST /v1/events", "accept events", "decide events", "deliver inbox", "send inbox"]
        spans = await collector.until(TRACE, [*told, *["deliver sms", "send sms"] * 2])
        text = next(each.attributes["messaging.message.id"] for each in spans if each.name == "deliver sms")
        path = f"/v1/receipts/twilio?reference={text}"
        fields = {"MessageSid": f"SM{'0' * 32}", "MessageStatus": "delivered", "AccountSid": ACCOUNT_SID}
        signed = RequestValidator(AUTH_TOKEN).compute_signature(system.settings.public_url + path, fields)
        async with session.post(
            system.settings.public_url + path, data=fields, headers={"X-Twilio-Signature": signed}
        ) as response:
            assert response.status < 300

    # Then the trace is whole
    spans = await collector.until(
        TRACE,
        [*told, *["deliver sms", "send sms"] * 2, "receipt sms"],
    )  # fmt: skip
    by_id = {each.span_id: each for each in spans}
    assert {_parent(each, by_id) for each in spans} == {
        ("POST /v1/events", "web", PRODUCER), ("accept events", "web", "POST /v1/events"),
        ("decide events", "worker", "accept events"), ("deliver sms", "worker", "accept events"),
        ("deliver inbox", "worker", "accept events"), ("send inbox", "worker", "deliver inbox"),
        ("send sms", "worker", "deliver sms"), ("receipt sms", "web", "accept events"),
    }  # fmt: skip

    # And of the other one there is nothing, while the exporter says who it is
    assert {each.trace_id for each in collector.spans} == {TRACE}
    assert {each["api-key"] for each in collector.headers} == {"s3cret"}


def _parent(span: SpanSeen, by_id: dict[str, SpanSeen]) -> tuple[str, str, str]:
    above = by_id.get(span.parent_id)
    return span.name, span.process, span.parent_id if above is None else above.name
