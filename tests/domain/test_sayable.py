"""What nobody can be told is refused with its field, for every event type and each field of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.channels.push.messages import PushContent
from notifier.domain.catalog import Kind
from notifier.domain.cloudevents import EventReader
from notifier.domain.errors import Problem, RenderError
from tests.named import PUSH
from tests.samples import CATALOG, NOW, RENDERER, accepted, encoded, refused

READER = EventReader(CATALOG)
FULLEST = {
    kind.event: max((sample.data for sample in kind.samples), key=len) | {"time_zone": "Europe/Lisbon"}
    for kind in CATALOG.types.values()
}


def fields(kind: Kind) -> list[Any]:
    return [
        pytest.param(event, name, id=f"{event}.{name}")
        for event in FULLEST
        for name, field in CATALOG.fields(event).items()
        if field.type == kind and not field.one_of
    ]


def read(event: str, name: str, value: Any) -> Problem:
    return refused(READER.structured(encoded(type=event, data={**FULLEST[event], name: value}), NOW))


@pytest.mark.parametrize(("event", "name"), fields("text"))
@pytest.mark.parametrize("blank", [" ", " \t\n", "\u00a0", "\u200b", "\ufeff \u2060", "\u3164", "\u2800", "\u202e"])
def test_a_text_of_blanks_is_refused_with_its_field(event: str, name: str, blank: str) -> None:
    problem = read(event, name, blank)

    assert (problem.code, problem.pointer) == (42202, f"/data/{name}")
    assert "blank" in problem.detail


@pytest.mark.parametrize(("event", "name"), fields("time"))
@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "0001-01-02T11:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_a_time_that_some_zone_cannot_show_is_refused_with_its_field(event: str, name: str, moment: str) -> None:
    problem = read(event, name, moment)

    assert (problem.code, problem.pointer) == (42202, f"/data/{name}")
    assert moment not in problem.detail


@pytest.mark.parametrize(("event", "name"), fields("zone"))
@pytest.mark.parametrize("zone", ["Europe/Lisboa", "CEST", "+01:00", "localtime", "../etc/passwd", ""])
def test_a_zone_that_does_not_exist_is_refused_with_its_field(event: str, name: str, zone: str) -> None:
    problem = read(event, name, zone)

    assert (problem.code, problem.pointer) == (42202, f"/data/{name}")
    assert zone == "" or zone not in problem.detail


@pytest.mark.parametrize("event", FULLEST)
def test_what_can_be_told_is_taken(event: str) -> None:
    assert accepted(READER.structured(encoded(type=event, data=FULLEST[event]), NOW))


@settings(deadline=None)  # the first of its kind compiles CLDR's patterns
@given(moment=st.datetimes(), zone=st.sampled_from(["Pacific/Kiritimati", "Pacific/Niue", "Asia/Manila", "UTC"]))
def test_every_time_that_is_taken_can_be_shown_everywhere(moment: Any, zone: str) -> None:
    data = {**FULLEST["idle.warning"], "idle_fee_from": f"{moment.isoformat()}Z", "time_zone": "America/Juneau"}
    if not isinstance(READER.structured(encoded(type="idle.warning", data=data), NOW), Problem):
        for locale in ("en", "de", "fr", "es"):
            rendered = RENDERER.render("idle-warning", PUSH, locale=locale, time_zone=zone, data=data)
            assert isinstance(rendered.content, PushContent)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("idle_fee_from", "0001-01-01T00:00:00+14:00"),
        ("idle_fee_from", "9999-12-31T23:59:59-12:00"),
        ("time_zone", "Europe/Lisboa"),
        ("time_zone", "../etc/passwd"),
    ],
)
def test_what_was_stored_before_this_was_asked_fails_its_own_message_alone(name: str, value: str) -> None:
    data = {**FULLEST["idle.warning"], name: value}

    with pytest.raises(RenderError):  # which ends one delivery; anything else would end its batch
        RENDERER.render("idle-warning", PUSH, locale="en", time_zone="UTC", data=data, event_id="stored")
