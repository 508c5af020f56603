"""Frames are read as OCPP's published schemas have them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.stations import EvseStatus
from notifier.ocpp.frames import OcppInvalid, read
from notifier.ocpp.statuses import WORDS, PortStatus, status_of
from tests.ocpp.conftest import NOW, call, event, reading, start, status, stop

SCHEMAS = {
    ("StatusNotification", "evseId"): "v201/schemas/StatusNotificationRequest.json",
    ("StatusNotification", "connectorId"): "v16/schemas/StatusNotification.json",
    ("StartTransaction", "connectorId"): "v16/schemas/StartTransaction.json",
    ("StopTransaction", "transactionId"): "v16/schemas/StopTransaction.json",
    ("MeterValues", "connectorId"): "v16/schemas/MeterValues.json",
    ("TransactionEvent", "eventType"): "v201/schemas/TransactionEventRequest.json",
}
"""The published schema of each call that we use, by its action and a member that the version has."""

EXAMPLES = [
    start(), stop(), stop(reason="PowerLoss"), reading("1000", "45"), reading("1000", transactionId=7),
    *(status(word) for word in ("Available", "Preparing", "SuspendedEVSE", "SuspendedEV", "Finishing", "Unavailable")),
    status("Faulted", error="GroundFailure"),
    call("StatusNotification", connectorId=0, errorCode="NoError", status="Available"),
    call("StatusNotification", timestamp="2026-03-09T17:00:00Z", connectorStatus="Occupied", evseId=1, connectorId=1),
    event("Started", 0, "2026-03-09T17:00:00Z", "EVConnected"),
    event("Updated", 1, "2026-03-09T17:01:00Z", "Charging", idToken={"idToken": "AA11", "type": "ISO14443"}),
    event("Ended", 2, "2026-03-09T17:02:00Z", reason="EVDisconnected", evse={"id": 1}, energy=12000.5),
]  # fmt: skip


def schema(frame: list[Any]) -> Mapping[str, Any]:
    """The published schema of a call's payload."""
    name = next(path for (action, member), path in SCHEMAS.items() if action == frame[2] and member in frame[3])
    found: Mapping[str, Any] = json.loads((files("ocpp") / name).read_text("utf-8-sig"))
    return found


def values(of: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a published schema takes, of those kinds that ours have to take."""
    if "$ref" in of:
        return values(root["definitions"][of["$ref"].rpartition("/")[2]], root)
    if "enum" in of:
        return st.sampled_from(of["enum"])
    match of.get("type"):
        case "object":
            members = {name: values(each, root) for name, each in of["properties"].items() if name != "customData"}
            needed = {name: each for name, each in members.items() if name in of.get("required", ())}
            return st.fixed_dictionaries(needed, optional={n: each for n, each in members.items() if n not in needed})
        case "array":
            return st.lists(values(of["items"], root), min_size=of.get("minItems", 0), max_size=3)
        case "integer":
            return st.integers(0, 9_999)
        case "number":
            return st.floats(-1e6, 1e6) | st.integers(-1000, 1000)
        case "boolean":
            return st.booleans()
    if of.get("format") == "date-time":
        return st.sampled_from(["2026-03-09T17:00:00Z", "2026-03-09T17:00:00.123+01:00", "2026-03-09T17:00:00.1Z"])
    letters = st.characters(min_codepoint=32, max_codepoint=126)
    return st.text(letters, min_size=1, max_size=min(of.get("maxLength", 36), 36))


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: f"{frame[2]}")
def test_what_the_schema_takes_is_taken(frame: list[Any]) -> None:
    # Given
    jsonschema.validate(frame[3], schema(frame))
    # When
    found = read(frame)
    # Then
    assert found is not None
    assert found.id == frame[1]


@pytest.mark.parametrize("name", SCHEMAS, ids=lambda name: f"{name[0]}-{name[1]}")
@given(data=st.data())
def test_whatever_the_schema_takes_is_taken(name: tuple[str, str], data: st.DataObject) -> None:
    # Given
    root = json.loads((files("ocpp") / SCHEMAS[name]).read_text("utf-8-sig"))
    payload = data.draw(values(root, root))
    jsonschema.validate(payload, root)
    # When
    found = read([2, "m", name[0], payload])
    # Then
    assert found is not None
    assert status_of(found, NOW).at > 0


def without() -> Iterator[tuple[list[Any], str]]:
    """Each example without each of the members that its schema needs."""
    for frame in EXAMPLES:
        for name in schema(frame)["required"]:
            if name not in ("evseId", "connectorStatus"):  # what tells its version apart
                rest = {key: value for key, value in frame[3].items() if key != name}
                yield [*frame[:3], rest], name


@pytest.mark.parametrize(("frame", "missing"), list(without()))
def test_what_is_needed_is_missed_by_name(frame: list[Any], missing: str) -> None:
    with pytest.raises(OcppInvalid, match=missing):
        read(frame)


@pytest.mark.parametrize(
    "frame",
    [None, {}, [], [2], [2, "1", "Heartbeat"], [2, 1, "Heartbeat", {}], [2, "", "Heartbeat", {}], [2, "1", 3, {}],
     [9, "1", {}], "[2]", [2, "1", "StatusNotification", []]],
)  # fmt: skip
def test_what_is_no_frame_is_refused(frame: object) -> None:
    with pytest.raises(OcppInvalid):
        read(frame)


@pytest.mark.parametrize(
    "frame", [[4, "1", "GenericError", "", {}], [3, "1", {}], [3, "1", {"currentTime": "2026-03-09T17:00:00Z"}]]
)
def test_errors_and_other_results_say_nothing(frame: list[Any]) -> None:
    assert read(frame) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_anything_else_is_refused_and_nothing_else_breaks(value: object) -> None:
    for frame in (value, [2, "1", "StatusNotification", value], [2, "1", "TransactionEvent", {"seqNo": value}]):
        with suppress(OcppInvalid):
            read(frame)


def test_a_refusal_names_the_member_and_not_what_it_holds() -> None:
    with pytest.raises(OcppInvalid) as refused:
        read(start(idTag="secret-" * 20))
    assert refused.value.pointer == "/3/idTag"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("word", WORDS)
def test_each_status_is_one_of_ocpis(word: str) -> None:
    # Given
    frame = read(
        call("StatusNotification", timestamp="2026-03-09T18:00:00Z", connectorStatus=word, evseId=2, connectorId=1)
        if word == "Occupied"
        else status(word, connector=2)
    )
    # When
    assert frame is not None
    found = status_of(frame, NOW)
    # Then
    assert found == PortStatus(2, WORDS[word], 1_773_079_200_000)


@pytest.mark.parametrize(("word", "means"), [("Faulted", EvseStatus.OUTOFORDER), ("Available", None)])
def test_what_is_said_of_a_whole_station_is_said_of_its_ports_where_it_is_bad_news(
    word: str, means: EvseStatus | None
) -> None:
    frame = read(status(word, connector=0))
    assert frame is not None
    found = status_of(frame, NOW)
    assert (found.port, found.status) == (None, means)
