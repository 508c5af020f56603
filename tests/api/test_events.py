"""Events over HTTP: taken in every mode, once each, and each judged by itself."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from notifier.store.core.schema import event
from tests.api.conftest import in_one_piece
from tests.api.server import Answer, Caller
from tests.samples import EVENT, NOW, encoded, with_data

BATCH = "application/cloudevents-batch+json"
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "attempt-7",
    "ce_source": "billing",
    "ce_type": "payment.failed",
}


def batch(*events: bytes) -> bytes:
    return b"[" + b",".join(events) + b"]"


async def stored(api: Caller) -> list[str]:
    """The ids, as their sources gave them, of the events in the store."""
    return sorted(row.source_id for row in await api.rows(event))


async def test_a_structured_event_is_taken_and_stands_in_the_store_as_it_came(api: Caller) -> None:
    answer = await api.post(encoded(subject="A-1", time="2026-03-09T17:39:00Z"))

    (row,) = await api.rows(event)
    assert (answer.status, answer.body) == (
        202,
        {"status": "accepted", "source": "billing", "id": "attempt-7", "event": row.id},
    )
    assert (row.source, row.source_id, row.type, row.subject) == ("billing", "attempt-7", "payment.failed", "A-1")
    assert (row.occurred_at, row.accepted_at) == (NOW - 60_000, NOW)
    assert json.loads(row.data) == EVENT["data"]


@pytest.mark.parametrize("content_type", ["application/json", "Application/CloudEvents+JSON; charset=utf-8"])
async def test_a_structured_event_may_say_that_it_is_json(api: Caller, content_type: str) -> None:
    assert (await api.post(encoded(), content_type)).status == 202


async def test_a_binary_event_is_the_same_event(api: Caller) -> None:
    binary = await api.post(json.dumps(EVENT["data"]), "application/json", **HEADERS)
    structured = await api.post(encoded())

    assert (binary.status, binary.body) == (structured.status, structured.body) == (202, structured.body)
    assert await stored(api) == ["attempt-7"]


async def test_a_binary_event_whose_data_is_an_array_is_no_batch(api: Caller) -> None:
    answer = await api.post(b"[]", "application/json", **HEADERS)

    assert answer.problem == (42202, "/data")


@pytest.mark.parametrize("content_type", [BATCH, "application/json"])
async def test_a_batch_is_answered_event_by_event_in_its_order(api: Caller, content_type: str) -> None:
    # Given a batch in which three are no good, each in another way
    body = batch(encoded(id="1"), encoded(id=""), with_data(attempt="x"), encoded(id="4"), encoded(type="no.such"))

    # When it is sent
    answer = await api.post(body, content_type)

    # Then each has its answer, and the good ones are in the store
    assert answer.status == 202
    assert (answer.body["accepted"], answer.body["refused"]) == (2, 3)
    told = [
        each.get("id") or (each["index"], each["problem"]["code"], each["problem"]["pointer"])
        for each in answer.body["results"]
    ]
    assert told == ["1", (1, 40002, "/id"), (2, 42202, "/data/attempt"), "4", (4, 42201, "/type")]
    assert await stored(api) == ["1", "4"]


async def test_a_thousand_events_are_one_call(api: Caller) -> None:
    events = [encoded(id=str(number)) for number in range(1000)]

    answer = await api.post(batch(*events), BATCH)

    assert answer.body["accepted"] == 1000
    assert [each["id"] for each in answer.body["results"]] == [str(number) for number in range(1000)]
    assert len(await stored(api)) == 1000


async def test_an_empty_batch_is_taken_and_is_nothing(api: Caller) -> None:
    answer = await api.post(b"[]", BATCH)

    assert (answer.status, answer.body) == (202, {"accepted": 0, "refused": 0, "results": []})


async def test_a_repeat_is_answered_as_the_first_time_whenever_and_however_it_comes(api: Caller) -> None:
    # Given an event that was taken
    first = await api.post(encoded())

    # When it comes again: later, spaced otherwise, and in a batch, twice
    api.clock.advance(3_600_000)
    again = await api.post(json.dumps(EVENT, indent=2, sort_keys=True))
    together = await api.post(batch(encoded(), encoded()), BATCH)

    # Then the answers are the first's, and there is one row, of the first time
    assert (again.status, again.body) == (202, first.body)
    assert together.body["results"] == [first.body, first.body]
    (row,) = await api.rows(event)
    assert row.accepted_at == NOW


@pytest.mark.parametrize("other", [with_data(attempt=8), encoded(subject="B")])
async def test_another_body_under_the_same_source_and_id_is_a_conflict(api: Caller, other: bytes) -> None:
    first = await api.post(encoded())

    answer = await api.post(other)

    assert answer.problem == (40901, "/id")
    assert (await api.post(encoded())).body == first.body
    (row,) = await api.rows(event)
    assert json.loads(row.data) == EVENT["data"]


@in_one_piece
async def test_another_type_under_the_same_source_and_id_is_a_conflict(api: Caller) -> None:
    await api.post(encoded())
    assert (await api.post(encoded(type="payment.succeeded"))).problem == (40901, "/id")


async def test_of_two_bodies_in_one_batch_the_first_stands(api: Caller) -> None:
    answer = await api.post(batch(*(with_data(attempt=attempt) for attempt in (1, 2, 1, 3))), BATCH)

    assert [each["status"] for each in answer.body["results"]] == ["accepted", "refused", "accepted", "refused"]
    (row,) = await api.rows(event)
    assert json.loads(row.data)["attempt"] == 1


async def test_the_same_id_of_another_source_is_another_event(api: Caller) -> None:
    first, second = await api.post(encoded()), await api.post(encoded(source="fleet"))

    assert first.body["event"] != second.body["event"]
    assert len(await stored(api)) == 2


async def test_a_hundred_posts_of_one_event_at_once_are_one_row_and_one_answer(api: Caller) -> None:
    answers = await asyncio.gather(*(api.post(encoded()) for _ in range(100)))

    assert {answer.status for answer in answers} == {202}
    assert len({json.dumps(answer.body) for answer in answers}) == 1
    assert await stored(api) == ["attempt-7"]


async def test_of_two_bodies_at_once_one_wins_and_everybody_hears_the_same(api: Caller) -> None:
    # Given fifty posts of each of two bodies under one id
    posts = [api.post(with_data(attempt=1 + number % 2)) for number in range(100)]

    # When they come at once
    answers = await asyncio.gather(*posts)

    # Then the body that is in the store was accepted every time, and the other never
    (row,) = await api.rows(event)
    winner = json.loads(row.data)["attempt"]
    for number, answer in enumerate(answers):
        assert answer.status == (202 if 1 + number % 2 == winner else 409)


async def test_many_callers_at_once_each_get_their_own_answers(api: Caller) -> None:
    # Given batches of several callers, each with one event that is no good
    async def post(caller: int) -> Answer:
        good = [encoded(id=f"{caller}-{number}") for number in range(5)]
        return await api.post(batch(*good[:2], encoded(id=""), *good[2:]), BATCH)

    # When they come at once
    answers = await asyncio.gather(*(post(caller) for caller in range(20)))

    # Then each is told of its own events, in order
    for caller, answer in enumerate(answers):
        ids = [each.get("id") for each in answer.body["results"]]
        assert ids == [f"{caller}-0", f"{caller}-1", None, f"{caller}-2", f"{caller}-3", f"{caller}-4"]
    assert len(await stored(api)) == 100


@pytest.mark.parametrize("content_type", ["application/vnd.station+json", "Application/JSON; charset=utf-8"])
async def test_whatever_says_that_it_is_json_is_the_data_of_a_binary_event(api: Caller, content_type: str) -> None:
    assert (await api.post(json.dumps(EVENT["data"]), content_type, **HEADERS)).status == 202


@pytest.mark.parametrize("path", ["/v1/events", "/v1/recipients/import", "/ocpi/2.2.1/cdrs"])
async def test_a_compressed_body_is_refused_for_what_it_is(api: Caller, path: str) -> None:
    body = gzip.compress(encoded())

    answer = await api.call("POST", path, body, Content_Type="application/json", Content_Encoding="gzip")

    assert (answer.status, answer.body.get("code", 41501)) == (415, 41501)
    assert answer.headers["Accept-Encoding"] == "identity"


async def test_a_webhook_shakes_hands(api: Caller) -> None:
    asked = {"WebHook_Request_Origin": "events.example.com", "WebHook_Request_Rate": "120"}

    answer = await api.call("OPTIONS", "/v1/events", Authorization="", **asked)

    assert answer.status == 200
    assert answer.headers["Allow"] == "POST, OPTIONS"
    assert (answer.headers["WebHook-Allowed-Origin"], answer.headers["WebHook-Allowed-Rate"]) == ("*", "*")


REFUSED: dict[str, tuple[bytes, str, dict[str, str], tuple[int, str | None]]] = {
    "malformed": (b"{", "application/cloudevents+json", {}, (40001, None)),
    "malformed batch": (b"[{", BATCH, {}, (40001, None)),
    "empty": (b"", "application/cloudevents+json", {}, (40001, None)),
    "a batch that is none": (encoded(), BATCH, {}, (40002, None)),
    "a batch of 1,001": (batch(*[encoded()] * 1001), BATCH, {}, (41301, None)),
    "an event of more than 64 kB": (with_data(payment_method="x" * 65_536), "application/json", {}, (41301, None)),
    "no JSON in a binary event": (b"<xml/>", "application/json", HEADERS, (40001, None)),
    "no id": (
        json.dumps({k: v for k, v in EVENT.items() if k != "id"}).encode(),
        "application/json",
        {},
        (40002, "/id"),
    ),
    "unknown type": (encoded(type="no.such"), "application/json", {}, (42201, "/type")),
    "a variable missing": (encoded(data={"account_id": "A"}), "application/json", {}, (42202, "/data/attempt")),
    "NUL": (with_data(account_id="A\0"), "application/json", {}, (42202, "/data/account_id")),
    "not UTF-8": (encoded().replace(b"A-1", b"\xff"), "application/json", {}, (40001, None)),
    "XML": (b"<xml/>", "application/xml", {}, (41501, None)),
    "no media type": (encoded(), "", {}, (41501, None)),
    "another binary": (b"x", "text/plain", HEADERS, (41501, None)),
}


@pytest.mark.parametrize(("body", "content_type", "headers", "problem"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_is_told_why_and_leaves_no_trace(
    api: Caller, body: bytes, content_type: str, headers: dict[str, str], problem: tuple[int, str | None]
) -> None:
    answer = await api.post(body, content_type, **headers)

    assert answer.problem == problem
    assert await stored(api) == []


async def test_the_answer_to_an_unknown_type_lists_those_that_are_known(api: Caller) -> None:
    answer = await api.post(encoded(type="payment.fialed"))

    assert "payment.failed" in answer.body["detail"]


async def test_text_survives_every_engine_as_it_came(api: Caller) -> None:
    # Given data with all that SQL, JSON and encodings might trip over
    text = "'; DROP TABLE event; -- \\ \" % :rows $1 ? \n\t 😀 \u202e \ufeff ß İ 中文"
    data: dict[str, Any] = {**EVENT["data"], "payment_method": text}

    assert (
        await api.post(encoded(data=data, id="😀'\\\"", subject=text.replace("\n", "").replace("\t", "")))
    ).status == 202

    (row,) = await api.rows(event)
    assert json.loads(row.data)["payment_method"] == text
    assert row.source_id == "😀'\\\""
