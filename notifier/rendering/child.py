"""The child process that tries texts: one request a line on its input, one answer a line on its output.

The child opens no connection and writes no file, and once warm it limits its own memory, files and child processes.
"""

import re
import resource
import sys
from contextlib import suppress
from itertools import product

import msgspec

from notifier.domain.catalog_files import load_catalog
from notifier.domain.deliveries import CHANNELS
from notifier.domain.errors import ConfigurationError, RenderError
from notifier.rendering import Brand, Renderer
from notifier.rendering.confined import READY, Fault, RenderTrial, TrialAnswer, TrialRequest, TrialResult
from notifier.rendering.texts import Scripts, decode, faults
from notifier.rendering.writing import Unspoken
from notifier.runtime.guard import refuse_everything_but_loopback
from notifier.runtime.settings import Settings, load_settings

_PLACE = re.compile(rf"[\w-]+/([\w-]+)\.toml: ({'|'.join(CHANNELS)})\.(\w+):? ")
"""How the error of a part begins: `charging-complete/de.toml: email.mjml: `."""


def main() -> None:
    """Answer requests until the input ends; the first output line is `ready`, or the reason why the child can't
    start."""
    try:
        renderer = _warm(load_settings())
    except ConfigurationError as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        return
    _limit(int(sys.argv[1]))
    sys.stdout.write(READY.decode())
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(msgspec.json.encode(_answer(renderer, line)) + b"\n")
        sys.stdout.flush()


def _warm(settings: Settings) -> Renderer:
    """Return a renderer after a message of every kind, so that locales, zones and MJML, which load lazily, are
    loaded."""
    brand = Brand(settings.brand_name, settings.app_url, settings.postal_address)
    catalog = load_catalog(settings.templates)
    renderer = Renderer(catalog, settings.templates, brand, forgiving=True)
    for kind in catalog.types.values():
        for channel, locale in product(kind.channels, renderer.shipped[kind.id]):
            with suppress(RenderError):
                renderer.render(kind.id, channel, locale=locale, time_zone="Europe/Berlin", data=kind.samples[0].data)
    return renderer


def _answer(renderer: Renderer, line: bytes) -> TrialAnswer:
    request = msgspec.json.decode(line, type=TrialRequest)
    wording = decode(request.wording)
    try:
        scripts = renderer.compile(request.type, wording)
    except ConfigurationError as error:
        found = [Fault(*each) for each in faults(renderer.kind(request.type), wording)]
        return TrialAnswer(found or [_located(error)])
    return TrialAnswer(tried=[_try(renderer, request.type, scripts, trial) for trial in request.trials])


def _located(error: ConfigurationError) -> Fault:
    """Assign an error of a whole part, such as MJML that doesn't compile, to the place that its message begins with."""
    if isinstance(error, Unspoken):
        return Fault("", "", "", error.words)
    told = str(error)
    found = _PLACE.match(told)
    return Fault("", "", "", told) if found is None else Fault(found[1], found[2], found[3], told[found.end() :])


def _try(renderer: Renderer, type_: str, scripts: Scripts, trial: RenderTrial) -> TrialResult:
    try:
        rendered = renderer.preview(
            type_, scripts, trial.channel, locale=trial.locale, time_zone=trial.time_zone, data=trial.data,
            unsubscribe_url=trial.unsubscribe_url,
        )  # fmt: skip
    except RenderError as error:
        return TrialResult(trial.channel, error=error.words)
    return TrialResult(trial.channel, msgspec.Raw(msgspec.json.encode(rendered.content)), rendered.locale)


def _limit(memory: int) -> None:
    """Limit this process to a number of further bytes, no new files and no child processes."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 (a file that the kernel makes up)
        taken = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    refuse_everything_but_loopback()


if __name__ == "__main__":
    main()
