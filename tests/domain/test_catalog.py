"""What a type.toml may say, what it may not, and what that makes of an event's data."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import DAY, HOUR, MINUTE, SECOND, parse_duration
from notifier.domain.deliveries import Lane
from notifier.domain.errors import ConfigurationError
from notifier.domain.regulation import Cap, Regulation
from tests.named import PUSH, SMS

TEMPLATES = Path(__file__).parents[2] / "templates"

TYPE = """
name = "Cable stuck"
event = "cable.stuck"
class = "service"
category = "charging"
audience = "driver"
channels = ["push", "sms"]
urgency = "high"
time_to_live = "30 min"
about = "session_id"
same = ["session_id"]
cancelled_by = ["cable.freed"]
link = "{{ app_url }}"

[data.driver_id]
type = "text"
optional = true
about = "The driver"

[data.token]
type = "text"
optional = true
about = "The charging token"

[data.session_id]
type = "text"
about = "The charging session"

[data.station]
type = "text"
optional = true
about = "The station's name"

[data.side]
type = "text"
one_of = ["car", "station"]
about = "Which end holds it"

[data.force]
type = "number"
optional = true
about = "How hard the motor pulled, in newtons"

[data.tries]
type = "integer"
optional = true
about = "How often it pulled"

[data.fee]
type = "money"
optional = true
about = "What a technician costs"

[data.since]
type = "time"
optional = true
about = "Since when"

[data.called]
type = "flag"
optional = true
about = "Whether a technician is called"

[[samples]]
name = "At the car"
[samples.data]
driver_id = "42"
session_id = "101"
side = "car"
"""

FITTING: dict[str, Any] = {"driver_id": "42", "session_id": "101", "side": "car"}


def load(folder: Path, **types: str | bytes) -> Catalog:
    """The catalog of these type.toml texts, by name; `_` in a name becomes `-`."""
    for name, text in types.items():
        file = folder / name.replace("_", "-") / "type.toml"
        file.parent.mkdir()
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_catalog(folder)


@pytest.fixture
def model(tmp_path: Path) -> type[msgspec.Struct]:
    """What data of the event above must convert to."""
    return load(tmp_path, cable_stuck=TYPE).models["cable.stuck"]


def test_the_types_that_come_along_load() -> None:
    catalog = load_catalog(TEMPLATES)

    assert "charging-complete" in catalog.types
    assert catalog.event_types == sorted(set(catalog.event_types))
    assert all(catalog.model(event) for event in catalog.event_types)
    assert catalog.model("no.such.event") is None


def test_a_type_is_found_by_its_folder_its_event_and_the_events_that_cancel_it(tmp_path: Path) -> None:
    catalog = load(tmp_path, cable_stuck=TYPE)

    kind = catalog.types["cable-stuck"]
    assert catalog.listeners == {"cable.stuck": [kind], "test:cable.stuck": [kind.twin]}
    assert catalog.cancels == {"cable.freed": [kind], "test:cable.freed": [kind.twin]}
    assert (kind.ttl, kind.lane, kind.channels) == (30 * MINUTE, Lane.URGENT, (PUSH, SMS))


def test_an_event_that_only_cancels_needs_only_what_it_cancels(tmp_path: Path) -> None:
    model = load(tmp_path, cable_stuck=TYPE).models["cable.freed"]

    assert [field.name for field in msgspec.structs.fields(model)] == ["session_id"]


def test_types_that_hear_the_same_event_get_the_fields_of_both(tmp_path: Path) -> None:
    # Given another type for the same event, with a field of its own
    other = TYPE.replace("[data.station]", "[data.operator]")

    # When both are loaded
    model = load(tmp_path, cable_stuck=TYPE, cable_watch=other).models["cable.stuck"]

    # Then the event's data may have both fields
    assert {"station", "operator"} <= {field.name for field in msgspec.structs.fields(model)}


def test_marketing_is_always_bulk_however_urgent_it_says_it_is(tmp_path: Path) -> None:
    catalog = load(tmp_path, cable_stuck=TYPE.replace('class = "service"', 'class = "marketing"'))

    assert catalog.types["cable-stuck"].lane == Lane.BULK


FOR_NOBODY = '{ name = "Charged", events = ["session.ended"], within = "1 h", by = "person" }'
"""An outcome that is awaited of people by an event that is for nobody."""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "Cable stuck"', 'name = "Cable stuck', "type.toml"),
        ('name = "Cable stuck"', "", "name"),
        ('name = "Cable stuck"', 'name = "Cable stuck"\nnmae = "typo"', "nmae"),
        ('class = "service"', 'class = "urgent"', "class"),
        ('channels = ["push", "sms"]', "channels = []", "channels"),
        ('channels = ["push", "sms"]', 'channels = ["none"]', "channels"),
        ('channels = ["push", "sms"]', 'channels = ["fax"]', "channels"),
        ('"30 min"', '"half an hour"', "duration"),
        ('"30 min"', '"0 min"', "duration"),
        ('about = "session_id"', 'about = "session"', "about names 'session'"),
        ('about = "session_id"', 'about = "station"', "about names 'station'"),
        ('same = ["session_id"]', 'same = ["session_id", "station"]', "same names 'station'"),
        ("cancelled_by", 'supersedes = ["cable-gone"]\ncancelled_by', "'cable-gone'"),
        ("cancelled_by", 'closes = ["cable-gone"]\ncancelled_by', "'cable-gone'"),
        ("cancelled_by", 'until = "side"\ncancelled_by', "until names 'side'"),
        ("cancelled_by", f"outcome = {FOR_NOBODY}\ncancelled_by", "nobody knows whose it is"),
        ("cancelled_by", 'when_unknown = { push = "ask" }\ncancelled_by', "when_unknown"),
        ("cancelled_by", 'fallback = "soon"\ncancelled_by', "duration"),
        ("cancelled_by", 'escalation = "soon"\ncancelled_by', "duration"),
        ("cancelled_by", 'digest = { key = ["side"], window = "1 h", link = "" }\ncancelled_by', "needs that channel"),
        ("cancelled_by", 'digest = { key = ["station"], window = "1 h", link = "" }\ncancelled_by', "digest.key"),
        ("cancelled_by", 'digest = { key = ["side"], window = "1", link = "" }\ncancelled_by', "duration"),
        ('type = "money"', 'type = "euro"', "data"),
        ("[data.station]", '[data."station name"]', "'station name'"),
        ("[data.station]", "[data.class]", "'class'"),
        ("[data.token]", "[data.tag]", "'token'"),
        ('type = "number"', 'type = "number"\none_of = ["1"]', "one_of"),
        ("[[samples]]", "[[examples]]", "examples"),
        ('side = "car"', 'side = "roof"', "sample 'At the car'"),
        ('side = "car"', "", "sample 'At the car'"),
    ],
)
def test_a_mistake_in_a_type_is_told_with_its_file_and_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    # Given a type.toml with one mistake
    assert old in TYPE

    # When it is loaded, then the error names the file and the place
    with pytest.raises(ConfigurationError, match=r"cable-stuck/type\.toml") as raised:
        load(tmp_path, cable_stuck=TYPE.replace(old, new))
    assert told in str(raised.value)


def test_a_file_that_is_not_utf_8_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cable-stuck/type\.toml"):
        load(tmp_path, cable_stuck=TYPE.replace("Cable", "C\u00e2ble").encode("latin-1"))


def test_a_folder_without_types_is_refused_with_the_setting_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="NOTIFIER_TEMPLATES"):
        load_catalog(tmp_path)


@pytest.mark.parametrize(("old", "new"), [('type = "number"', 'type = "integer"'), ("optional = true\n", "")])
def test_types_that_disagree_about_a_field_of_their_event_are_refused(tmp_path: Path, old: str, new: str) -> None:
    # One of the two would be rendered from data that it doesn't expect.
    with pytest.raises(ConfigurationError, match=r"another shape"):
        load(tmp_path, cable_stuck=TYPE, cable_watch=TYPE.replace(old, new))


def test_an_event_that_cancels_must_name_the_thing_as_the_type_does(tmp_path: Path) -> None:
    # Given a type for the cancelling event, in which the session is optional
    freed = (
        TYPE.replace('event = "cable.stuck"', 'event = "cable.freed"')
        .replace('cancelled_by = ["cable.freed"]', "")
        .replace('= "session_id"', '= "side"').replace('["session_id"]', '["side"]')
        .replace("[data.session_id]", "[data.session_id]\noptional = true")
    )  # fmt: skip

    # When both are loaded, then an event without a session would cancel nothing
    with pytest.raises(ConfigurationError, match="session_id"):
        load(tmp_path, cable_stuck=TYPE, cable_freed=freed)


def test_a_type_that_supersedes_another_must_name_the_same_thing(tmp_path: Path) -> None:
    # Given a type about the side of the cable, and one that supersedes it but may lack the side
    stuck = TYPE.replace('about = "session_id"', 'about = "side"')
    cut = (
        TYPE.replace('event = "cable.stuck"', 'event = "cable.cut"')
        .replace("cancelled_by", 'supersedes = ["cable-stuck"]\ncancelled_by')
        .replace("[data.side]", "[data.side]\noptional = true")
    )

    # When both are loaded, then it is told
    with pytest.raises(ConfigurationError, match="supersedes names 'cable-stuck'"):
        load(tmp_path, cable_stuck=stuck, cable_cut=cut)


@pytest.mark.parametrize(
    "more",
    [
        {"station": "x"},
        {"station": "x" * 500},
        {"station": "Kai 3\nHamburg\t🚗 \u202bמפרץ"},
        {"force": -1e12, "tries": 2**53 - 1},
        {"fee": {"amount": -3, "currency": "EUR"}},
        {"since": "2026-03-09T17:40:00+01:00"},
        {"station": None, "force": None},
        {"unknown": {"to": "us"}},
    ],
)
def test_data_that_fits(model: type[msgspec.Struct], more: dict[str, Any]) -> None:
    assert msgspec.json.decode(msgspec.json.encode({**FITTING, **more}), type=model)


@pytest.mark.parametrize(
    "more",
    [
        {"session_id": ""},
        {"session_id": None},
        {"session_id": 101},
        {"side": "roof"},
        {"station": "x" * 501},
        {"station": "NUL\0"},
        {"station": "bell\x07"},
        {"force": 1.1e12},
        {"force": "3"},
        {"tries": 2**53},
        {"tries": 10**30},
        {"tries": 1.5},
        {"tries": True},
        {"fee": 3},
        {"fee": {"amount": 3}},
        {"fee": {"amount": 1e300, "currency": "EUR"}},
        {"fee": {"amount": 3, "currency": "EUR\n"}},
        {"fee": {"amount": 3, "currency": "euro"}},
        {"since": "2026-03-09T17:40:00"},
        {"since": "2026-02-30T17:40:00Z"},
        {"since": 1773078000},
        {"called": "yes"},
    ],
)
def test_data_that_does_not_fit(model: type[msgspec.Struct], more: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**FITTING, **more}, model)


@given(st.integers(1, 999_999), st.sampled_from([("s", SECOND), ("min", MINUTE), ("h", HOUR), ("d", DAY)]))
def test_a_duration_is_a_number_and_a_unit(count: int, unit: tuple[str, int]) -> None:
    assert parse_duration(f"{count} {unit[0]}") == count * unit[1]


@pytest.mark.parametrize(
    "text", ["", "30", "min", "30min", "-1 s", "1.5 h", "30 min ", "30 minutes", "٣ h", "1 s\n", "1e3 s", "0 s"]
)
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="30 min"):
        parse_duration(text)


def test_a_type_is_of_one_place_and_only_a_number_has_a_least(tmp_path: Path) -> None:
    for extra, fault in (
        (
            '[data.a]\ntype = "zone"\nabout = "One"\n\n[data.b]\ntype = "zone"\nabout = "Two"\n',
            "at most one field of type zone",
        ),
        ('[data.a]\ntype = "text"\nmin = 0\nabout = "One"\n', "min is for numbers"),
    ):
        (tmp_path / "stuck").mkdir(exist_ok=True)
        (tmp_path / "stuck" / "type.toml").write_text(TYPE.replace("[[samples]]", f"{extra}\n[[samples]]", 1), "utf-8")

        with pytest.raises(ConfigurationError, match=fault):
            load_catalog(tmp_path)


def test_clicks_need_a_channel_whose_links_go_through_a_browser(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"clicks are counted by sms or email alone"):
        load(tmp_path, cable_stuck=TYPE.replace("channels = ", 'clicks = true\nchannels = ["push"]\n# '))


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ("[types.cable-stuk]", r"_policy\.toml: types\.cable-stuk: there is no such notification type"),
        ("[types.cable-stuck]", r"_policy\.toml: types\.cable-stuck: a security notification type can't have a limit"),
    ],
)
def test_a_limit_is_for_a_type_that_is_there_and_may_be_held_back(tmp_path: Path, policy: str, fault: str) -> None:
    windows = '[windows.default]\nevery = "09:00-20:00"\n'
    (tmp_path / "_policy.toml").write_text(f'{policy}\nmost = 3\nwindow = "1 h"\n\n{windows}', "utf-8")

    with pytest.raises(ConfigurationError, match=fault):
        load(tmp_path, cable_stuck=TYPE.replace('class = "service"', 'class = "security"'))


@pytest.mark.parametrize(
    ("limit", "cap", "counts"),
    [(3, None, True), (3, Cap(2, "7 d"), False), (3, Cap(4, "7 d"), True), (3, Cap(2, "5 min"), True)],
)
def test_a_limit_that_a_stricter_cap_of_the_category_makes_needless_is_not_counted(
    limit: int, cap: Cap | None, counts: bool
) -> None:
    regulation = Regulation(per_type=Cap(limit, "1 h"), caps={"offers": cap} if cap else {})

    assert (regulation.limit_of("offer", "offers") is not None) is counts
