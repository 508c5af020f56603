"""Traces: an event's whole way is in the trace that its producer began, and tracing hurts nothing."""

import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.clock import SECOND, ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import State
from notifier.domain.recipients import RecipientDetails
from notifier.domain.trace_context import parted
from notifier.pipeline import receipts
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.runtime.settings import Settings
from notifier.runtime.tracing import Tracer, open_tracer
from notifier.sandbox import FaultRule, Sandbox
from notifier.store.core.schema import event as events
from notifier.store.people import recipients
from notifier.store.reading import explaining
from notifier.store.reading.explaining import ExplanationQuery
from tests.collector import Collector, SpanSeen, collecting
from tests.named import SMS
from tests.pipeline.receipts import told
from tests.pipeline.samples import COMPLETE, NOW
from tests.pipeline.steps import deliver_due, offline, one, rows

ONE, OTHER = "1" * 32, "2" * 32
PRODUCER = "a" * 16


def parent(trace_id: str, *, sampled: bool = True) -> str:
    """What a producer sends that is within a trace."""
    return f"00-{trace_id}-{PRODUCER}-{sampled:02x}"


def cloud_event(number: int, traceparent: str | None, type_: str = "charging.complete", **data: Any) -> bytes:
    """An event as it comes, with the extension for tracing where there is one."""
    told = {"specversion": "1.0", "id": str(number), "source": "test", "type": type_, "time": "2026-03-09T17:40:00Z"}
    extension = {} if traceparent is None else {"traceparent": traceparent, "tracestate": "vendor=1"}
    given = data or COMPLETE | {"session_id": str(number)}
    return json.dumps({**told, **extension, "data": given}).encode()


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as started:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", started.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield started


@pytest.fixture
async def tracer(collector: Collector) -> AsyncIterator[Tracer]:
    tracer = open_tracer(Settings(tracing=True), "worker")
    assert tracer is not None
    yield tracer
    await tracer.close()


@pytest.fixture
def traced(engine: WorkerEngine, tracer: Tracer) -> WorkerEngine:
    """The engine, with tracing on."""
    return dataclasses.replace(engine, tracer=tracer)


async def accept(engine: WorkerEngine, *told: bytes) -> list[str]:
    """The ids of events that come in one batch."""
    reader, intake = EventReader(engine.catalog), Intake(engine)
    answers = await intake.accept([reader.structured(each, engine.clock.now()) for each in told])
    await intake.close()
    assert all(isinstance(each, Accepted) for each in answers)
    return [each.event for each in answers if isinstance(each, Accepted)]


async def documents(engine: WorkerEngine) -> list[str]:
    """What stands in the store of events' data."""
    async with engine.database.engine.connect() as connection:
        return list((await connection.execute(sa.select(events.c.data).order_by(events.c.source_id))).scalars())


def only(spans: Sequence[SpanSeen], name: str) -> SpanSeen:
    (found,) = [each for each in spans if each.name == name]
    return found


async def test_the_producers_trace_holds_the_whole_way_of_an_event_with_a_retry_and_a_receipt(
    traced: WorkerEngine, collector: Collector, sandbox: Sandbox, driver: str
) -> None:
    # Given a carrier that refuses the first text
    clock = traced.clock
    assert isinstance(clock, ManualClock)
    sandbox.faults.add(FaultRule(channel="sms", action="fail", status=503, times=1))

    # When an event that is traced is decided, delivered, tried again, and reported as delivered
    (id_,) = await accept(traced, cloud_event(1, parent(ONE)))
    await decide(traced, [id_])
    await deliver_due(traced)
    clock.advance(60 * SECOND)
    text = await one(traced, channel=SMS)
    await deliver(traced, SMS, [text.id])
    await receipts.take(traced, [told(text.id)])

    # Then the trace has all of it, and everything is a child of the acceptance, which is one of the producer's span
    send = ["send push", "send push", "send sms", "send sms"]
    delivered = ["deliver push", "deliver push", "deliver sms", "deliver sms"]
    spans = await collector.until(ONE, ["accept events", "decide events", "receipt sms", *delivered, *send])
    accepted = only(spans, "accept events")
    assert (accepted.parent_id, accepted.kind, accepted.attributes["messaging.message.id"]) == (
        PRODUCER, "PRODUCER", id_,
    )  # fmt: skip
    ways = {each.span_id for each in spans if each.name.startswith("deliver")}
    for each in spans:
        expected = {PRODUCER} if each is accepted else ways if each.name.startswith("send") else {accepted.span_id}
        assert each.parent_id in expected, each

    # And the first text is an error, and the second isn't
    first, second = (each for each in spans if each.name == "send sms")
    assert (first.is_error, first.attributes["notifier.code"], second.is_error) == (True, "20503", False)
    tries = [each.attributes for each in spans if each.name == "deliver sms"]
    assert [(each["notifier.attempt"], each["notifier.state"]) for each in tries] == [(1, "pending"), (2, "sent")]
    assert only(spans, "receipt sms").attributes["notifier.state"] == "delivered"


async def test_two_events_of_a_batch_are_each_in_the_trace_of_their_own(
    traced: WorkerEngine, collector: Collector, driver: str
) -> None:
    # When two events with traces of their own, and one that isn't recorded, come and are decided together
    ids = await accept(
        traced,
        cloud_event(1, parent(ONE)),
        cloud_event(2, parent(OTHER)),
        cloud_event(3, parent("3" * 32, sampled=False)),
    )
    await decide(traced, ids)

    # Then each trace tells of its event alone, and of how many were decided with it
    for trace_id, id_ in ((ONE, ids[0]), (OTHER, ids[1])):
        spans = await collector.until(trace_id, ["accept events", "decide events"])
        assert {each.attributes["messaging.message.id"] for each in spans} == {id_}
        decided = only(spans, "decide events")
        assert (decided.attributes["messaging.batch.message_count"], decided.attributes["notifier.deliveries"]) == (
            3,
            3,
        )
    assert {each.trace_id for each in collector.spans} == {ONE, OTHER}


async def test_a_digest_is_in_the_trace_of_each_event_that_it_tells_of_and_links_them(
    traced: WorkerEngine, collector: Collector
) -> None:
    # Given an operator, and two stations that are lost
    details = RecipientDetails(
        kind="site_operator", email="ada@example.com", sites=["gent"], time_zone="Europe/Brussels"
    )  # fmt: skip
    await recipients.put(traced.database, {"ada": details}, NOW)
    clock = traced.clock
    assert isinstance(clock, ManualClock)
    lost = [
        cloud_event(number, parent(trace), "station.offline", **offline(str(number)))
        for number, trace in ((1, ONE), (2, OTHER))
    ]
    await decide(traced, await accept(traced, *lost))

    # When their digest goes out
    clock.advance(700 * SECOND)
    (digest,) = [row for row in await rows(traced, state=State.PENDING) if row.digest_id == row.id]
    await deliver(traced, digest.channel, [digest.id])

    # Then it is in both traces, each of which leads to the other
    names = ["accept events", "decide events", "deliver email", "send email"]
    one_, other = await collector.until(ONE, names), await collector.until(OTHER, names)
    assert only(one_, "deliver email").links == {only(other, "accept events").context}
    assert only(other, "deliver email").links == {only(one_, "accept events").context}


async def test_what_is_not_sampled_leaves_nothing_behind(
    traced: WorkerEngine, collector: Collector, tracer: Tracer, driver: str
) -> None:
    # When events come whose producers don't record them, or that have no trace, or one that isn't well formed
    ids = await accept(
        traced, cloud_event(1, parent(ONE, sampled=False)), cloud_event(2, None), cloud_event(3, "00-zz"),
    )  # fmt: skip
    await decide(traced, ids)
    await deliver_due(traced)
    await tracer.close()

    # Then nothing is sent, and not a byte more is stored
    assert collector.spans == []
    assert [json.loads(each) for each in await documents(traced)] == [
        COMPLETE | {"session_id": str(number)} for number in (1, 2, 3)
    ]


async def test_while_tracing_is_off_no_context_is_kept(engine: WorkerEngine, driver: str) -> None:
    await accept(engine, cloud_event(1, parent(ONE)))

    assert "~trace" not in (await documents(engine))[0]


async def test_the_context_is_no_part_of_the_data_that_anybody_sees(traced: WorkerEngine, driver: str) -> None:
    # Given an event that is traced
    (id_,) = await accept(traced, cloud_event(1, parent(ONE)))
    (document,) = await documents(traced)
    data, context = parted(document)
    assert (json.loads(data), context is not None) == (COMPLETE | {"session_id": "1"}, True)

    # When it is decided, and its story is asked for
    await decide(traced, [id_])
    found = await explaining.read(traced.database, ExplanationQuery(event=id_))

    # Then its data are as they came
    assert found is not None
    assert found.event.data == COMPLETE | {"session_id": "1"}


async def test_spans_hold_nothing_personal(traced: WorkerEngine, collector: Collector, driver: str) -> None:
    (id_,) = await accept(traced, cloud_event(1, parent(ONE)))
    await decide(traced, [id_])
    await deliver_due(traced)
    await collector.until(
        ONE, ["accept events", "decide events", *["deliver push", "send push"] * 2, "deliver sms", "send sms"]
    )

    for private in (b"ada", b"Ada", b"+49151", b"token-1", b"Gent"):
        assert not any(private in body for body in collector.bodies), private


async def test_a_collector_that_hangs_keeps_no_delivery_back_and_no_process_up(
    traced: WorkerEngine, collector: Collector, tracer: Tracer, driver: str
) -> None:
    # Given a collector that never answers
    collector.hangs = True

    # When a traced event goes its way, and the process ends
    (id_,) = await accept(traced, cloud_event(1, parent(ONE)))
    await decide(traced, [id_])
    await deliver_due(traced)
    await tracer.close()

    # Then it is sent all the same
    assert {row.state for row in await rows(traced)} == {State.SENT}
