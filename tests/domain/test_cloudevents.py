"""CloudEvents in: what the specification's schema and our limits accept is accepted, all else is a problem, at once."""

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.catalog import NotificationType
from notifier.domain.cloudevents import MAX_BATCH, MAX_EVENT, CheckedEvent, EventReader
from notifier.domain.errors import Problem
from notifier.domain.sayable import EARLIEST, LATEST
from tests.samples import CATALOG, EVENT, NOW, accepted, encoded, refused, with_data

READER = EventReader(CATALOG)


# What the specification says


@pytest.fixture(scope="module")
def conforms(shared_data: Path) -> Callable[[Any], bool]:
    """Whether an envelope is what the specification's own schema says."""
    schema = json.loads((shared_data / "cloudevents" / "cloudevents.schema.json").read_bytes())
    return jsonschema.Draft7Validator(schema).is_valid  # type: ignore[no-any-return]


def within_limits(envelope: dict[str, Any]) -> bool:
    """What we ask beside the schema, as the envelope's docstrings tell it."""
    return (
        envelope["specversion"] == "1.0"
        and all(is_line(envelope[name]) for name in ("id", "source"))
        and (envelope.get("subject") is None or is_line(envelope["subject"]))
        and (envelope.get("time") is None or is_instant(envelope["time"]))
        and envelope.get("data_base64") is None
    )


def is_line(text: str) -> bool:
    return len(text) <= 1000 and not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text)


def is_instant(text: str) -> bool:
    try:
        moment = datetime.fromisoformat(text)
        return (
            moment.tzinfo is not None
            and EARLIEST <= moment < LATEST
            and bool(re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", text))
        )
    except ValueError:
        return False


ODDITIES: list[Any] = [
    None, True, 7, 1.5, "", [], {}, "a\n", "a\x85", "\0", "\u2028", "x" * 1000, "x" * 1001, "2.0", "noon", "2026-03-09",
]  # fmt: skip
ODD = st.sampled_from(ODDITIES) | st.text(max_size=5)
INSTANTS = st.datetimes(
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
).map(datetime.isoformat)
LINES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


USUAL: dict[str, st.SearchStrategy[Any]] = {
    "specversion": st.just("1.0"),
    "id": LINES,
    "source": LINES,
    "subject": LINES,
    "time": INSTANTS,
    "datacontenttype": st.just("application/json"),
    "dataschema": st.just("https://example.com/schema"),
    "data_base64": st.none(),
    "traceparent": LINES,
}


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Any]:
    """Envelopes of a known event: some attributes left out, and up to two of the others odd."""
    odd = draw(st.sets(st.sampled_from(sorted(USUAL)), max_size=2))
    left_out = draw(st.sets(st.sampled_from(sorted(USUAL)), max_size=2))
    given = {name: draw(ODD if name in odd else values) for name, values in USUAL.items() if name not in left_out}
    return {"type": EVENT["type"], "data": EVENT["data"], **given}


def agree(conforms: Callable[[Any], bool], envelope: dict[str, Any]) -> None:
    result = READER.structured(json.dumps(envelope).encode(), NOW)

    assert isinstance(result, CheckedEvent) == (conforms(envelope) and within_limits(envelope)), (envelope, result)


@pytest.mark.parametrize("name", USUAL)
def test_of_every_attribute_exactly_what_the_schema_and_our_limits_accept_is_accepted(
    conforms: Callable[[Any], bool], name: str
) -> None:
    for odd in ODDITIES:
        agree(conforms, EVENT | {name: odd})
    agree(conforms, {each: value for each, value in EVENT.items() if each != name})


def test_and_so_it_is_of_whole_envelopes(conforms: Callable[[Any], bool]) -> None:
    given(envelopes())(lambda envelope: agree(conforms, envelope))()


def test_the_example_of_the_specification_is_an_event_whose_type_is_not_known() -> None:
    # Given the example of CloudEvents 1.0 §6, with JSON data
    example = {
        "specversion": "1.0",
        "type": "com.github.pull_request.opened",
        "source": "https://github.com/cloudevents/spec/pull",
        "subject": "123",
        "id": "A234-1234-1234",
        "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value",
        "comexampleothervalue": 5,
        "datacontenttype": "application/json",
        "data": {"much": "wow"},
    }

    # When it is read
    problem = refused(READER.structured(json.dumps(example).encode(), NOW))

    # Then nothing is wrong with its envelope, and the types that are known are told
    assert (problem.code, problem.pointer) == (42201, "/type")
    assert "payment.failed" in problem.detail


# What is kept of an event


def test_an_event_without_time_happened_now_and_is_the_same_whenever_it_is_sent() -> None:
    first, second = (accepted(READER.structured(encoded(), now)) for now in (NOW, NOW + 60_000))

    assert (first.occurred_at, second.occurred_at) == (NOW, NOW + 60_000)
    assert (first.id, first.digest) == (second.id, second.digest)


def test_a_time_counts_to_the_millisecond_whatever_its_offset() -> None:
    for text in ("2026-03-09T18:40:00.25+01:00", "2026-03-09T17:40:00.250499Z"):
        assert accepted(READER.structured(encoded(time=text), 0)).occurred_at == NOW + 250


def test_data_is_kept_as_the_type_has_it_and_nothing_besides() -> None:
    checked = accepted(READER.structured(with_data(iban="DE00", payment_method=None), NOW))

    assert json.loads(bytes(checked.data)) == EVENT["data"]


@given(st.permutations(list(EVENT["data"])), st.integers(0, 4))
def test_the_order_and_the_spaces_of_a_repeat_make_no_other_event(order: list[str], indent: int) -> None:
    data = {name: EVENT["data"][name] for name in order}
    repeat = json.dumps({"data": data, **{k: v for k, v in EVENT.items() if k != "data"}}, indent=indent).encode()

    assert accepted(READER.structured(repeat, NOW)).digest == accepted(READER.structured(encoded(), NOW)).digest


@pytest.mark.parametrize(
    "other",
    [
        with_data(attempt=8),
        with_data(payment_method="Visa"),
        encoded(subject="A-1"),
        encoded(time="2026-03-09T17:40:00Z"),
    ],
)
def test_another_body_under_the_same_source_and_id_has_another_digest(other: bytes) -> None:
    first, second = accepted(READER.structured(encoded(), NOW)), accepted(READER.structured(other, NOW))

    assert first.id == second.id
    assert first.digest != second.digest


@given(LINES.filter(is_line), LINES.filter(is_line))
def test_source_and_id_together_name_the_event(source: str, id_: str) -> None:
    def name(source: str, id_: str) -> str:
        return accepted(READER.structured(encoded(source=source, id=id_), NOW)).id

    assert name(source, id_) == name(source, id_)
    assert len({name(source, id_), name(source + id_[:1], id_), name(source, source[-1:] + id_)}) == 3


# Where it doesn't fit


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (encoded(id=None), 40002, "/id"),
        (encoded(id="a\n"), 40002, "/id"),
        (encoded(source="x" * 1001), 40002, "/source"),
        (encoded(specversion="0.3"), 40002, "/specversion"),
        (encoded(time="yesterday"), 40002, "/time"),
        (encoded(time="2026-03-09T17:40:00"), 40002, "/time"),
        (encoded(time="0001-01-01T00:00:00Z"), 40002, "/time"),
        (encoded(time="0001-01-01T00:00:00+14:00"), 40002, "/time"),
        (encoded(time="9999-12-31T23:59:59-12:00"), 40002, "/time"),
        (encoded(time=1_773_078_000), 40002, "/time"),
        (encoded(time="9999-12-31T23:59:59-14:00"), 40002, "/time"),
        (encoded(data_base64="e30="), 40002, "/data_base64"),
        (b"{}", 40002, "/specversion"),
        (b"[]", 40002, None),
        (b'"event"', 40002, None),
        (b"null", 40002, None),
        (encoded(type="payment.fialed"), 42201, "/type"),
        (encoded(data=None), 42202, "/data"),
        (encoded(data=[]), 42202, "/data"),
        (encoded(data="{}"), 42202, "/data"),
        (encoded(data={}), 42202, "/data/account_id"),
        (with_data(account_id=""), 42202, "/data/account_id"),
        (with_data(account_id="\0"), 42202, "/data/account_id"),
        (with_data(amount={"amount": "20.9", "currency": "EUR"}), 42202, "/data/amount/amount"),
        (with_data(amount={"amount": 20.9}), 42202, "/data/amount/currency"),
        (with_data(next_attempt_at="soon"), 42202, "/data/next_attempt_at"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(body: bytes, code: int, pointer: str | None) -> None:
    problem = refused(READER.structured(body, NOW))

    assert (problem.code, problem.pointer) == (code, pointer)


@pytest.mark.parametrize(
    "data",
    [{"account_id": "canary", "attempt": "canary"}, {"account_id": ["canary"]}, {"amount": {"currency": "canary"}}],
)
def test_a_problem_never_tells_the_value(data: dict[str, Any]) -> None:
    problem = refused(READER.structured(with_data(**data), NOW))

    assert "canary" not in str(problem.body())


def test_an_event_of_64_kb_is_taken_and_one_byte_more_is_not() -> None:
    # Given an event padded to the limit, and one with a byte more
    padding = MAX_EVENT - len(encoded())
    longest, longer = (encoded()[:-1] + b" " * count + b"}" for count in (padding, padding + 1))

    # When they are read, alone and in a batch, then the first is taken and the second is not
    assert accepted(READER.structured(longest, NOW))
    assert refused(READER.structured(longer, NOW)).code == 41301
    first, second = READER.batch(b"[%b,%b]" % (longest, longer), NOW)
    assert accepted(first)
    assert refused(second).code == 41301


# Batches


def test_every_event_of_a_batch_is_judged_by_itself_and_in_order() -> None:
    bodies = [encoded(id="1"), b'{"id":1}', encoded(id="3"), with_data(attempt=-1.5), b"7", encoded(id="6")]

    results = READER.batch(b"[" + b",".join(bodies) + b"]", NOW)

    assert [result.code if isinstance(result, Problem) else result.source_id for result in results] == [
        "1", 40002, "3", 42202, 40002, "6",
    ]  # fmt: skip


def test_a_thousand_events_are_taken_and_one_more_is_not() -> None:
    batch = [encoded(id=str(number)) for number in range(MAX_BATCH + 1)]

    assert len(READER.batch(b"[" + b",".join(batch[:-1]) + b"]", NOW)) == MAX_BATCH
    with pytest.raises(Problem, match="1001 events; the limit is 1000"):
        READER.batch(b"[" + b",".join(batch) + b"]", NOW)


def test_an_empty_batch_is_a_batch() -> None:
    assert READER.batch(b" [ ] ", NOW) == []


def test_data_in_base64_are_the_same_data() -> None:
    # Given an event as SDKs send bytes (JSON format §3.1.2)
    plain = {name: value for name, value in EVENT.items() if name != "data"}
    data = base64.b64encode(json.dumps(EVENT["data"]).encode()).decode()

    coded = READER.structured(json.dumps(plain | {"data_base64": data}).encode(), NOW)

    assert accepted(coded).digest == accepted(READER.structured(encoded(), NOW)).digest
    for wrong, pointer in (("e30", "/data_base64"), (7, "/data_base64"), ("AAAA", None)):
        problem = refused(READER.structured(json.dumps(plain | {"data_base64": wrong}).encode(), NOW))
        assert problem.status == 400
        assert problem.pointer == pointer


# Events that this process makes itself


def test_an_event_made_here_is_checked_as_any_other() -> None:
    made = READER.made("payment.failed", "billing", "attempt-7", "A-1", NOW, EVENT["data"])

    assert made.occurred_at == NOW
    assert made.id == accepted(READER.structured(encoded(), NOW)).id
    with pytest.raises(Problem, match="42202"):
        READER.made("payment.failed", "billing", "8", "A-1", NOW, {"account_id": "A-1"})


def test_its_time_makes_no_other_event_of_it() -> None:
    # An event inferred again from a repeated report is a repeat, at whatever time that is noticed.
    digests = {
        READER.made("payment.failed", "billing", "7", "A-1", at, EVENT["data"]).digest
        for at in (NOW, int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000))
    }

    assert len(digests) == 1


@pytest.mark.parametrize(
    "kind", [each for each in CATALOG.types.values() if each.audience == "driver"], ids=lambda k: k.id
)
def test_an_event_for_a_person_that_names_none_is_refused_and_told_how_to(kind: NotificationType) -> None:
    # Given a sample's data with the person's member misspelled
    data = {name: value for name, value in kind.samples[0].data.items() if name not in ("driver_id", "token")}

    # When it is read, then it is refused; and with either member it is taken
    error = refused(READER.structured(encoded(type=kind.event, data=data | {"drivr_id": "42"}), NOW))
    assert (error.code, error.pointer) == (42202, "/data")
    assert "driver_id or token" in error.detail
    for name in ("driver_id", "token"):
        accepted(READER.structured(encoded(type=kind.event, data=data | {name: "42"}), NOW))


def test_an_event_that_only_stops_others_needs_to_name_nobody() -> None:
    accepted(READER.structured(encoded(type="payment.succeeded", data={"account_id": "A-1"}), NOW))
