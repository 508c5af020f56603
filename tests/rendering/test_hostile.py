"""Texts that mean harm are refused wherever they come in: when they are saved, previewed, and loaded to be sent.

Each takes a moment at most, the process that asks goes on as the same one, and the next text is served.
"""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from notifier.channels.email.writing import EmailTexts
from notifier.channels.sms.messages import SmsContent
from notifier.channels.sms.writing import SmsTexts
from notifier.domain.errors import ConfigurationError
from notifier.rendering import Renderer
from notifier.rendering.confined import Confined, RenderTrial, TrialAnswer, TrialRequest
from notifier.rendering.texts import Texts, encode
from notifier.runtime.settings import Settings
from tests.named import EMAIL, SMS
from tests.samples import CATALOG, RENDERER

TYPE = "charging-complete"
MAIL = "session-receipt"
WITHIN = 0.5  # seconds of CPU for one refusal, in the process that asks and in its child together
SAMPLES = {kind.id: kind.samples[0].data for kind in CATALOG.types.values()}

REACHING = [  # for what a text must not see
    "{{ station.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ station['__class__'] }}",
    "{{ station|attr('__class__') }}",
    "{{ station|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ ''|attr(['__','class','__']|join) }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ lipsum.__globals__.os.popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ request.application.__globals__ }}",
    "{{ config.items() }}",
    "{{ range.__init__ }}",
    "{{ dict.__base__ }}",
    "{{ ().__class__.__bases__[0].__subclasses__() }}",
    "{{ [].__class__ }}",
    "{{ {}.__class__ }}",
    "{{ (1).__class__ }}",
    "{{ station.format }}",
    "{{ '{0.__class__}'.format(station) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format_map({}) }}",
    "{{ '%s'|format(station.__class__) }}",
    "{{ station|format('x') }}",
    "{{ station|map('attr', '__class__')|list }}",
    "{{ [station]|map(attribute='__class__')|list }}",
    "{{ [station]|selectattr('__class__')|list }}",
    "{{ [station]|groupby('__class__') }}",
    "{{ [station]|sort(attribute='__class__') }}",
    "{{ [station]|sum(attribute='__class__') }}",
    "{{ {'a': station}|xmlattr }}",
    "{{ {'a': 1}|tojson }}",
    "{{ station|safe }}",
    "{{ station|e }}",
    "{{ station|urlize }}",
    "{{ station|pprint }}",
    "{{ brand|replace('a', 'b') }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ kwargs }}",
    "{{ loop }}",
    "{{ super() }}",
    "{{ debug() }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends '/etc/passwd' %}",
    "{% macro m() %}{{ caller }}{% endmacro %}{{ m() }}",
    "{% call m() %}x{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% set x = station.__class__ %}{{ x }}",
    "{% set ns = namespace(a=1) %}",
    "{% with x = 1 %}{{ x }}{% endwith %}",
    "{% block a %}{% endblock %}",
    "{% autoescape false %}{{ station }}{% endautoescape %}",
    "{% raw %}{{ station }}{% endraw %}{{ nobody }}",
    "{% do station.append(1) %}",
    "{% debug %}",
    "{% trans %}x{% endtrans %}",
    "{% if station.__class__ %}x{% endif %}",
    "{% if station is callable %}x{% endif %}",
    "{% if station is defined %}x{% endif %}",
    "{% if station == brand.__class__ %}x{% endif %}",
    "{{ station if station.__class__ else brand }}",
    "{{ station ~ brand.__class__ }}",
    "{{ not station }}",
    "{{ station[0] }}",
    "{{ station[:5] }}",
    "{{ nobody }}",
    "{{ energy_kwh | energy(digits=station.__class__) }}",
    "{{ energy_kwh | energy(*[1]) }}",
    "{{ energy_kwh | energy(**{'digits': 1}) }}",
    "{{ energy_kwh | energy(10**9) }}",
    "{{ ｓｔａｔｉｏｎ.__class__ }}",
]
GREEDY = [  # for what a text must not use up
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 10**10**10 }}",
    "{{ 2**99999999 }}",
    "{{ 1 << 99999999 }}",
    "{{ [0] * 10**9 }}",
    "{{ 'a%s' % ('a' * 10**8) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ station | center(10**9) }}",
    "{{ station | indent(10**9) }}",
    "{{ station | wordwrap(1) }}",
    "{{ range(10**9) | list }}",
    "{{ range(10**9) | join }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for a in 'aaaaaaaaaa' %}{% for b in 'aaaaaaaaaa' %}x{% endfor %}{% endfor %}",
    "{% for i in i recursive %}{{ loop(i) }}{% endfor %}",
    "{% set a = 'x' %}" * 20 + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{{ lipsum(n=100000) }}",
    "{% if station %}" * 3000 + "x" + "{% endif %}" * 3000,
    "{% if station %}" * 9 + "x" + "{% endif %}" * 9,
    "{{" + "(" * 10_000 + "1" + ")" * 10_000 + "}}",
    "{{" + "not " * 5_000 + "station }}",
    "{% if " + "not " * 5_000 + "station %}x{% endif %}",
    "{% if station" + " and station" * 3_000 + ".__class__ %}x{% endif %}",
    "{{ " + "-" * 5_000 + "1 }}",
    "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
    "{{ station" + "|upper" * 5_000 + " }}",
    "{{ station" + ".a" * 5_000 + " }}",
    "{{ 'a' " + "~ 'a' " * 5_000 + "}}",
    "{{ " + "9" * 30_000 + " }}",
    "{{ 1e999 }}",
    "{{ '" + "\\u0041" * 5_000 + "'.x }}",
    "x" * 50_000,
    "{#" + "-" * 30_000 + "{{ nobody }}",
    "{{ '" + "\\" * 30_000,
    "{%" * 10_000,
    "{{" * 10_000,
    "{%- if station -%}" * 500 + "x",
    "\x00{{ nobody }}",
]
HOSTILE = [*REACHING, *GREEDY]

DESIGNS = [
    '<mj-section><mj-column><mj-include path="/etc/passwd" /></mj-column></mj-section>',
    '<mj-include path="file:///etc/passwd" type="html" />',
    "<mj-section><mj-column><mj-text>{{ station.__class__ }}</mj-text></mj-column></mj-section>",
    '<mj-section><mj-column><mj-button href="{{ link.__class__ }}">x</mj-button></mj-column></mj-section>',
    "<mj-section><mj-column><mj-text>{% for i in range(10**9) %}x{% endfor %}</mj-text></mj-column></mj-section>",
    "<mj-section>" * 2_000,
    "<mj-section><mj-column><mj-text>",
    "<mj-section a='" + "x" * 39_000,
    "<mj-section><mj-column>" + "<mj-text>x</mj-text>" * 1_900 + "</mj-column></mj-section>",
    "</mj-wrapper></mj-body><mj-body>",
]


def wording_of(source: str) -> dict[str, Texts]:
    """What ships, with this as the English SMS."""
    shipped = dict(RENDERER.shipped[TYPE])
    return {**shipped, "en": msgspec.structs.replace(shipped["en"], sms=SmsTexts(source))}


def designed(sections: str) -> dict[str, Texts]:
    """What ships, with this as the English mail."""
    shipped = dict(RENDERER.shipped[MAIL])
    return {
        **shipped, "en": msgspec.structs.replace(shipped["en"], email=EmailTexts("s", "p", mjml=sections))
    }  # fmt: skip


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """Without the collector, whose round through all that other tests have left behind would count to a refusal."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings()


@pytest.fixture
async def confined(settings: Settings) -> AsyncIterator[Confined]:
    child = Confined(settings)
    yield child
    await child.close()


async def serves(confined: Confined) -> bool:
    """Whether a good text is served as ever."""
    trial = RenderTrial(SMS, "en", "UTC", SAMPLES[TYPE])
    answer = await confined.ask(TrialRequest(TYPE, encode(RENDERER.shipped[TYPE]), [trial]))
    return [tried.error for tried in answer.tried] == [None]


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(HOSTILE) + len(DESIGNS) >= 80
    assert len(set(HOSTILE)) == len(HOSTILE)


async def test_each_is_refused_when_it_is_saved_or_previewed_and_the_child_that_tried_it_serves_on(
    confined: Confined,
) -> None:
    # Given one child, and the process that asks it
    pid = os.getpid()

    # When each is brought to it, then each is refused in time
    for type_, wordings in ((TYPE, map(wording_of, HOSTILE)), (MAIL, map(designed, DESIGNS))):
        for number, wording in enumerate(wordings):
            began = time.process_time()
            answer = await confined.ask(
                TrialRequest(type_, encode(wording), [RenderTrial(EMAIL, "en", "UTC", SAMPLES[type_])])
            )
            assert time.process_time() - began < WITHIN
            assert refused(answer), (type_, number)

    # And the next good one is served, by the same process
    assert await serves(confined)
    assert os.getpid() == pid


def refused(answer: TrialAnswer) -> bool:
    return bool(answer.faults) or answer.end != "done"


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_each_is_refused_when_it_is_loaded_to_be_sent(source: str) -> None:
    renderer = RENDERER
    before, began = renderer.live(TYPE), time.process_time()

    with pytest.raises(ConfigurationError):
        renderer.add(TYPE, 99, wording_of(source))

    assert time.process_time() - began < WITHIN
    assert not renderer.has(TYPE, 99)
    assert renderer.live(TYPE) == before


@pytest.mark.parametrize("sections", DESIGNS, ids=range(len(DESIGNS)))
def test_so_is_each_design(sections: str) -> None:
    began = time.process_time()

    with pytest.raises(ConfigurationError):
        RENDERER.add(MAIL, 99, designed(sections))

    assert time.process_time() - began < WITHIN


@pytest.mark.parametrize("said", ["{{7*7}}", "{% if 1 %}x{% endif %}", "{{ brand }}", "{{ ''.__class__ }}", "{#"])
def test_what_data_says_is_sent_as_it_is(said: str) -> None:
    data = {**SAMPLES[TYPE], "station": said}

    content = RENDERER.render(TYPE, SMS, locale="en", time_zone="UTC", data=data).content

    assert isinstance(content, SmsContent)
    assert said in content.text


async def test_a_child_that_is_killed_from_outside_is_told_as_ended_and_the_next_request_has_another(
    confined: Confined,
) -> None:
    # Given a child that has served
    assert await serves(confined)

    # When something ends it between two requests, or in the middle of one
    child = confined._child
    assert child is not None
    child.kill()

    # Then whoever asks next is served, or told, and nobody is left without
    answer = await confined.ask(TrialRequest(TYPE, encode(RENDERER.shipped[TYPE])))
    assert answer.end in ("done", "ended")
    assert await serves(confined)


async def test_one_that_takes_too_much_is_ended_and_the_next_request_has_another(confined: Confined) -> None:
    # Given a text that is allowed, and payloads that together make more work than a request may
    source = "{{ station }}{{ energy_kwh | energy }}" * 900
    trials = [RenderTrial(SMS, "en", "UTC", {**SAMPLES[TYPE], "station": "x" * 500})] * 3_000

    answer = await confined.ask(TrialRequest(TYPE, encode(wording_of(source)), trials))

    assert answer.end in ("too slow", "ended")
    assert await serves(confined)


async def test_a_child_that_is_still_coming_up_ends_with_whoever_wanted_it(settings: Settings) -> None:
    # Given one that was asked for, but not yet needed
    confined = Confined(settings)
    confined.warm_soon()
    while confined._child is None:  # noqa: ASYNC110 (the kernel starts it when it likes)
        await asyncio.sleep(0)
    child = confined._child

    await confined.close()

    assert child.returncode is not None


async def test_the_child_can_neither_write_a_file_nor_reach_anybody(confined: Confined) -> None:
    await confined.warm()
    assert confined._child is not None

    process = Path(f"/proc/{confined._child.pid}")
    limits = (process / "limits").read_text()
    told = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert told["Max file size"] == ["0", "0"]
    assert told["Max address space"] != ["unlimited", "unlimited"]
    assert not [file for file in (process / "fd").iterdir() if _is_socket(file)]


def _is_socket(file: Path) -> bool:
    try:
        return str(file.readlink()).startswith("socket:") and file.name not in ("0", "1", "2")
    except FileNotFoundError:
        return False


def test_rendering_stays_with_the_version_that_was_live(settings: Settings) -> None:
    renderer = Renderer(CATALOG, settings.templates, RENDERER._brand)
    with pytest.raises(ConfigurationError):
        renderer.add(TYPE, 7, wording_of("{{ station.__class__ }}"))

    assert renderer.render(TYPE, SMS, locale="en", time_zone="UTC", data=SAMPLES[TYPE]).version == 0
