"""Tracing is off unless it is asked for, and what it is asked for is looked at when a process starts."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from notifier.domain.clock import SECOND
from notifier.domain.errors import ConfigurationError
from notifier.domain.trace_context import TraceContext, read_context
from notifier.runtime.settings import Settings, load_settings
from notifier.runtime.tracing import open_tracer
from tests.collector import Collector, collecting

ON = {"NOTIFIER_TRACING": "true"}
AT = 1_773_078_000_000
PARENT = read_context(f"00-{'1' * 32}-{'a' * 16}-01")


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as started:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", started.url)
        yield started


def test_it_is_off_by_default_whatever_opentelemetrys_variables_say() -> None:
    settings = load_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "not a URL", "OTEL_TRACES_SAMPLER": "nonsense"})

    assert open_tracer(settings, "web") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:port"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"), ("OTEL_TRACES_SAMPLER_ARG", "1 %"), ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer s3cret"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "lzma"), ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-7"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"), ("OTEL_SDK_DISABLED", "yes"),
    ],
)  # fmt: skip
def test_a_variable_that_does_not_fit_is_refused_by_its_name_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name}: write ") as refused:
        load_settings({**ON, name: value})

    assert value not in str(refused.value)


def test_variables_that_fit_are_taken() -> None:
    fitting = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example.com:4318/", "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret=, other=1", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_BSP_SCHEDULE_DELAY": "",
        "OTEL_TRACES_SAMPLER_ARG": "0.25", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }  # fmt: skip

    assert load_settings({**ON, **fitting}).tracing


@pytest.mark.parametrize("command", ["web", "worker", "clock"])
def test_without_opentelemetry_no_process_starts_and_it_says_what_to_install(command: str) -> None:
    # Given an installation without the extra: Python finds no such package
    code = "import sys; sys.modules['opentelemetry'] = None; from notifier.cli import main; main()"

    # When a process is to trace
    done = subprocess.run(
        [sys.executable, "-c", code, command], capture_output=True, text=True, check=False, env={**os.environ, **ON}
    )

    # Then it ends as one whose settings are wrong
    assert done.returncode == 78
    assert "install notifier[tracing]" in done.stderr


def test_a_process_that_does_not_trace_imports_nothing_of_opentelemetry() -> None:
    # redis-py looks whether there is an SDK, for metrics of its own
    code = "import sys, notifier.api.app, notifier.pipeline.deliver; print('opentelemetry.sdk.trace' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


async def test_what_a_parent_leaves_out_is_left_out_and_of_the_rest_the_ratio_is_taken(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    # Given a tracer that is to record no trace that begins here
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    tracer = open_tracer(Settings(tracing=True), "web")
    assert tracer is not None

    # When spans have a parent that is recorded, one that isn't, or none
    unrecorded = TraceContext("2" * 32, "b" * 16, sampled=False)
    begun = [tracer.begin("a", "SERVER", parent, AT) for parent in (PARENT, unrecorded, None)]
    for each in begun:
        if each is not None:
            each.end(AT + SECOND)
    await tracer.close()

    # Then the first is there, with the instants that it was given
    (span,) = collector.spans
    assert (span.trace_id, span.parent_id, span.began, span.ended) == ("1" * 32, "a" * 16, AT, AT + SECOND)
    assert begun[1:] == [None, None]


async def test_a_trace_that_begins_here_is_recorded_at_the_ratio(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "1")
    tracer = open_tracer(Settings(tracing=True), "web")
    assert tracer is not None

    span = tracer.begin("a", "SERVER", None, AT)
    assert span is not None
    span.end(AT)
    await tracer.close()

    assert [each.context for each in collector.spans] == [(span.context.trace_id, span.context.span_id)]
    assert collector.spans[0].process == "web"


async def test_what_vendors_add_to_a_context_goes_on_with_it(collector: Collector) -> None:
    tracer = open_tracer(Settings(tracing=True), "web")
    assert tracer is not None

    context = tracer.tell("a", "CLIENT", TraceContext("1" * 32, "a" * 16, True, "vendor=x"), AT, AT, {})
    await tracer.close()

    assert context is not None
    assert context.state == "vendor=x"


async def test_a_queue_that_is_full_drops_spans_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    # Given a queue for four spans, and a collector that never answers
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    collector.hangs = True
    tracer = open_tracer(Settings(tracing=True), "web")
    assert tracer is not None
    assert PARENT is not None

    # When many more are told
    for _ in range(100):
        tracer.tell("a", "CLIENT", PARENT, AT, AT, {})
    await tracer.close()

    # Then nobody has waited for the collector
    assert collector.spans == []
