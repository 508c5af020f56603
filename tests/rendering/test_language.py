import time

import pytest

from notifier.domain.catalog import Field, Money
from notifier.domain.errors import ConfigurationError, RenderError
from notifier.rendering.language import compile_text, make_context

FIELDS = {
    "station": Field(type="text", about=""),
    "kind": Field(type="text", about="", one_of=("full", "limit_reached")),
    "energy": Field(type="number", about=""),
    "connectors": Field(type="integer", about=""),
    "from": Field(type="time", about=""),
    "blocked": Field(type="flag", about=""),
    "cost": Field(type="money", about="", optional=True),
    "depot": Field(type="text", about="", optional=True),
}
VALUES = {
    "station": "Gent Zuid",
    "kind": "full",
    "energy": 41.12,
    "connectors": 2,
    "blocked": False,
    "cost": None,
    "depot": None,
    "locale": "en",
    "zone": "UTC",
}


def say(source: str, **values: object) -> str:
    return compile_text("x/en.toml: push.body", source, FIELDS).render(make_context({**VALUES, **values}))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ station }}", "Gent Zuid"),
        ("{{ energy | energy }}", "41.1\u00a0kWh"),
        ("{{ energy | energy(2) }}", "41.12\u00a0kWh"),
        ("{{ connectors | plural(one='# plug', other='# plugs') }}", "2 plugs"),
        ("{% if cost %}{{ cost | money }}{% else %}free{% endif %}", "free"),
        ("{% if kind == 'full' and not blocked %}yes{% endif %}", "yes"),
        ("{% if depot %}{{ depot }}{% elif blocked %}b{% else %}c{% endif %}", "c"),
        ("{% if depot == 'x' or kind != 'full' %}a{% else %}b{% endif %}", "b"),
        ("{% if cost and depot %}{{ cost | money }}{{ depot }}{% endif %}", ""),
        ("{# a note #}ok", "ok"),
    ],
)
def test_the_language_says_what_texts_need(source: str, text: str) -> None:
    assert say(source) == text


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{{ statoin }}", "there is no field statoin; there are station, kind"),
        ("{% if statoin %}a{% endif %}", "there is no field statoin"),
        ("{{ cost | money }}", "cost is optional: put this inside {% if cost %}"),
        ("{% if cost or depot %}{{ depot }}{% endif %}", "depot is optional"),
        ("{% if not depot %}{{ depot }}{% endif %}", "depot is optional"),
        ("{% if depot != 'x' %}{{ depot }}{% endif %}", "depot is optional"),
        ("{% if cost %}a{% endif %}{{ cost | money }}", "cost is optional"),
        ("{{ energy }}", "energy is number: write it with a filter (number, energy, power"),
        ("{{ blocked }}", "blocked is flag: write it with a filter (it takes none)"),
        ("{{ kind }}", "kind is a code, not words"),
        ("{{ energy | mony }}", "there is no filter mony"),
        ("{{ energy | money }}", "money doesn't take number"),
        ("{{ station | time }}", "time doesn't take text (it takes none)"),
        (
            "{{ energy | energy('a lot') }}",
            "energy: what stands in its brackets doesn't fit; there may be digits",
        ),
        ("{{ energy | energy(99) }}", "energy: takes 0 to 6 decimals"),
        ("{{ energy | energy(1, 2) }}", "energy: "),
        ("{{ connectors | plural(one='a') }}", "plural: "),
        ("{% if kind == 'ful' %}a{% endif %}", "kind is never 'ful'; it is one of full, limit_reached"),
        ("{% if energy == 'x' %}a{% endif %}", "energy is number: only text fields can be compared"),
        ("{{ energy | energy | upper }}", "a filter of anything but a field can't be used"),
        ("{{ station.name }}", "a dot behind a field can't be used"),
        ("{{ 'a' }}", "a value by itself can't be used"),
        ("one\ntwo {{ statoin }}", "line 2: there is no field"),
        ("{% if cost %}", "line 1: a condition has no end: write {% endif %} behind it"),
        ("{{ station", "line 1: what stands in {{ … }} or {% … %} can't be read"),
    ],
)
def test_a_mistake_is_named_with_its_place_when_the_process_starts(source: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        compile_text("x/en.toml: push.body", source, FIELDS)

    assert str(caught.value).startswith("x/en.toml: push.body, line ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ station | center(10**9) }}",
        "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ station | attr('__class__') }}",
        "{{ station.format(1) }}",
        "{{ lipsum() }}",
        "{{ cycler('a').next() }}",
        "{{ namespace() }}",
        "{{ self }}",
        "{{ [1, 2] }}",
        "{{ station[0] }}",
        "{{ station ~ station }}",
        "{% set x = 1 %}",
        "{% macro x() %}{% endmacro %}",
        "{% include 'type.toml' %}",
        "{% extends 'x' %}",
        "{% raw %}{{ x }}{% endraw %}{% filter upper %}{% endfilter %}",
        "{{ energy | energy(*station) }}",
        "{{ energy | energy(energy) }}",
        "{% if energy > 10**9 %}{% endif %}",
    ],
)
def test_what_could_run_away_or_reach_out_is_refused_before_it_runs(source: str) -> None:
    began = time.process_time()

    with pytest.raises(ConfigurationError):
        compile_text("x/en.toml: push.body", source, FIELDS)

    assert time.process_time() - began < 0.5


def test_a_value_of_another_kind_than_declared_is_refused_without_being_shown() -> None:
    # Given data that didn't come through its schema
    part = compile_text("x/en.toml: push.body", "{% if cost %}{{ cost | money }}{% endif %}", FIELDS)

    # When it is rendered, then the refusal names the place and the field, and nothing else
    with pytest.raises(RenderError) as caught:
        part.render(make_context({**VALUES, "cost": "canary-5e1f"}))
    assert str(caught.value) == "x/en.toml: push.body: AttributeError from one of: cost"

    # And whoever writes texts is told it without file and code, as the place is before them
    assert caught.value.words == "no text can be made of what this event says of: cost"


def test_a_variable_that_is_not_there_is_refused_with_its_name() -> None:
    part = compile_text("x/en.toml: push.body", "{{ station }}", FIELDS)

    with pytest.raises(RenderError, match=r"^x/en\.toml: push\.body: UndefinedError from one of: station$"):
        part.render(make_context({"locale": "en", "zone": "UTC"}))


def test_the_context_of_one_message_is_not_seen_by_the_next() -> None:
    part = compile_text("x/en.toml: push.body", "{% if cost %}{{ cost | money }}{% endif %}", FIELDS)

    assert part.render(make_context({**VALUES, "cost": Money(1, "EUR")})) == "€1.00"
    assert part.render(make_context(VALUES)) == ""
