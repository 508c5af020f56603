"""OpenTelemetry's own variables: its SDK reads them, and this says what is wrong with them before it does.

The SDK logs what it can't read and goes on with something else. What is refused is named, and never shown: a header
may hold a key.
"""

import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Final

from notifier.domain.errors import ConfigurationError
from notifier.runtime.addresses import web_address

SAMPLER: Final = "OTEL_TRACES_SAMPLER"
RATIO: Final = "OTEL_TRACES_SAMPLER_ARG"
USUAL_RATIO: Final = 0.01
"""The share of traces that nobody else has begun and that are recorded: what costs less than 3 % of a burst."""

_SAMPLERS: Final = (
    "parentbased_traceidratio", "parentbased_always_on", "parentbased_always_off", "traceidratio", "always_on",
    "always_off",
)  # fmt: skip
_HEADERS: Final = re.compile(r"\s*[^\s,=]+\s*=[^,]*(,\s*[^\s,=]+\s*=[^,]*)*,?\s*")
_EXPORTER: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")


def _one_of(*allowed: str) -> Callable[[str], bool]:
    return lambda value: value.lower() in allowed


def _share(value: str) -> bool:
    return 0 <= float(value) <= 1


def _positive(value: str) -> bool:
    return float(value) > 0


def _count(value: str) -> bool:
    return int(value) > 0


def _address(value: str) -> bool:
    return bool(web_address(value))


_VARIABLES: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    SAMPLER: (_one_of(*_SAMPLERS), f"one of {', '.join(_SAMPLERS)}"),
    RATIO: (_share, "a share from 0 to 1, such as 0.01"),
    "OTEL_SDK_DISABLED": (_one_of("true", "false"), "true or false"),
    **{
        f"OTEL_EXPORTER_OTLP_{kind}{name}": rule
        for kind in ("", "TRACES_")
        for name, rule in {
            "ENDPOINT": (_address, "a URL, such as http://collector:4318"),
            "PROTOCOL": (_one_of("http/protobuf"), "http/protobuf, the only protocol that is installed"),
            "HEADERS": (lambda value: bool(_HEADERS.fullmatch(value)), "pairs, such as name=value,other=value"),
            "TIMEOUT": (_positive, "seconds, such as 10"),
            "COMPRESSION": (_one_of("none", "gzip", "deflate"), "none, gzip or deflate"),
        }.items()
    },
    "OTEL_BSP_SCHEDULE_DELAY": (_count, "milliseconds, such as 5000"),
    "OTEL_BSP_MAX_QUEUE_SIZE": (_count, "a number of spans, such as 2048"),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": (_count, "a number of spans, such as 512"),
}  # fmt: skip


def check(environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError where OpenTelemetry isn't installed, or for a variable of its that doesn't fit."""
    if not all(map(_is_there, _EXPORTER)):
        raise ConfigurationError(
            "NOTIFIER_TRACING is true, and OpenTelemetry's packages are not installed; "
            "install notifier[tracing], or leave the setting out"
        )
    for name, (fits, expected) in _VARIABLES.items():
        value = environ.get(name, "").strip()
        if value and not _fits(fits, value):
            raise ConfigurationError(f"{name}: write {expected}")
    queue, batch = (int(environ.get(f"OTEL_BSP_MAX_{name}") or usual) for name, usual in _SIZES.items())
    if batch > queue:
        raise ConfigurationError("OTEL_BSP_MAX_EXPORT_BATCH_SIZE: write at most what OTEL_BSP_MAX_QUEUE_SIZE says")


_SIZES: Final = {"QUEUE_SIZE": 2048, "EXPORT_BATCH_SIZE": 512}
"""How many spans wait, and go out together, unless variables say otherwise."""


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that it is in
        return False


def _fits(fits: Callable[[str], bool], value: str) -> bool:
    try:
        return fits(value)
    except ValueError:
        return False
