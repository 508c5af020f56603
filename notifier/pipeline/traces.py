"""The spans of an event's way: accepted, decided, each of its deliveries, its provider's answer, and receipts.

The context under which an event is accepted is kept with its data, and what is done for the event later, by whichever
process, is a child of that span: whoever searches for the producer's trace finds all of it. What serves several events
has a span for each of them that is traced, with links to the others' contexts. Names and attributes are
OpenTelemetry's conventions for messaging. Of ours they hold ids, states and codes; a recipient's id is the operator's,
and stays out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from notifier.broker import LANES
from notifier.domain.cloudevents import CheckedEvent
from notifier.domain.deliveries import State
from notifier.domain.events import Event
from notifier.domain.messages import Report
from notifier.domain.trace_context import TraceContext
from notifier.pipeline.claim_batcher import Settlement
from notifier.runtime.tracing import Attributes, Span, Tracer, current
from notifier.store.delivery.deliveries import NewDelivery, Ready
from notifier.store.delivery.events import Stored

EVENTS = "events"
"""The name of what accepted events are put into, as OpenTelemetry has destinations."""


def begin_accepting(tracer: Tracer, fit: Iterable[CheckedEvent], now: int) -> list[tuple[CheckedEvent, Span | None]]:
    """Begin a span for each event that is traced; such an event goes on under the span's context, and others under
    none.

    An event's own context wins over that of the request, which is then linked.
    """
    request = current.get()
    around = None if request is None else request.context
    begun: list[tuple[CheckedEvent, Span | None]] = []
    for each in fit:
        parent, span = each.trace or around, None
        if parent is not None:
            links = [around] if around is not None and parent is not around else []
            attributes = _attributes("accept", "create", EVENTS, {"cloudevents.event_type": each.type})
            span = tracer.begin(f"accept {EVENTS}", "PRODUCER", parent, now, attributes, links)
        trace = None if span is None else span.context
        begun.append((each if trace is each.trace else msgspec.structs.replace(each, trace=trace), span))
    return begun


def end_accepting(begun: Iterable[tuple[CheckedEvent, Span | None]], stored: Iterable[Stored], now: int) -> None:
    """End the spans of events that are written."""
    for (_, span), each in zip(begun, stored, strict=True):
        if span is not None:
            span.end(now, {"messaging.message.id": each.id})


def fail_accepting(begun: Iterable[tuple[CheckedEvent, Span | None]], error: BaseException, now: int) -> None:
    """End the spans of events that could not be written."""
    for _, span in begun:
        if span is not None:
            span.end(now, error=type(error).__name__)


def tell_decided(tracer: Tracer, decided: Sequence[Event], new: Iterable[NewDelivery], began: int, ended: int) -> None:
    """Tell how events were decided together, and how many deliveries each came to."""
    traced = [(event, event.trace) for event in decided if event.trace is not None]
    made = Counter(each.event_id for each in new) if traced else {}
    for event, trace in traced:
        attributes = _attributes("decide", "process", EVENTS, {
            "messaging.message.id": event.id, "messaging.batch.message_count": len(decided),
            "cloudevents.event_type": event.type, "notifier.deliveries": made.get(event.id, 0),
        })  # fmt: skip
        tracer.tell(f"decide {EVENTS}", "CONSUMER", trace, began, ended, attributes)


def tell_delivered(tracer: Tracer, ready: Ready, settlement: Settlement, began: int, ended: int) -> None:
    """Tell what became of a delivery, and within it of what its provider answered; in the trace of each event that it
    tells of, a digest of several."""
    if not ready.traces:
        return
    settled, attempt = settlement.settled, settlement.attempt
    queue = LANES[ready.channel, ready.lane]
    attributes = _attributes("deliver", "process", queue, {
        "messaging.message.id": ready.id, "notifier.notification.type": ready.type,
        "notifier.state": settled.state.value, "notifier.reason": settled.reason,
        "notifier.attempt": None if attempt is None else attempt.number,
    })  # fmt: skip
    failed = settled.reason if settled.state in (State.FAILED, State.UNKNOWN) else None
    for trace in ready.traces:
        links = [each for each in ready.traces if each is not trace]
        own = tracer.tell(f"deliver {ready.channel}", "CONSUMER", trace, began, ended, attributes, links, error=failed)
        if own is not None and attempt is not None:
            answered = _attributes("send", "send", attempt.provider, {
                "messaging.message.id": ready.id, "notifier.code": attempt.code, "notifier.outcome": attempt.outcome,
            })  # fmt: skip
            error = None if attempt.outcome == State.SENT else attempt.outcome
            tracer.tell(
                f"send {ready.channel}", "CLIENT", own, attempt.started_at, attempt.ended_at, answered, error=error
            )


def tell_reported(
    tracer: Tracer, reports: Iterable[Report], traces: Mapping[str, TraceContext], began: int, ended: int
) -> None:
    """Tell of receipts that moved their deliveries, in the traces of the deliveries' events."""
    for report in reports:
        if report.delivery in traces:
            attributes = _attributes("receipt", "settle", str(report.channel), {
                "messaging.message.id": report.delivery, "notifier.state": str(report.state),
                "notifier.reason": report.reason, "notifier.code": report.code,
            })  # fmt: skip
            tracer.tell(f"receipt {report.channel}", "CONSUMER", traces[report.delivery], began, ended, attributes)


def _attributes(operation: str, kind: str, destination: str, more: Mapping[str, str | int | None]) -> Attributes:
    return {
        "messaging.system": "notifier", "messaging.operation.name": operation, "messaging.operation.type": kind,
        "messaging.destination.name": destination,
    } | {name: value for name, value in more.items() if value is not None}  # fmt: skip
