"""The bulk import: a line that doesn't fit is told with its number, and keeps no other out."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notifier.people.importing import MAX_LINE, TOLD_REFUSALS
from notifier.store.core.schema import recipient
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller


def line(id_: str, **details: Any) -> bytes:
    return json.dumps({"id": id_, **details}).encode()


async def post(api: Caller, body: Any) -> Answer:
    return await api.call("POST", "/v1/recipients/import", body, Content_Type="application/x-ndjson")


async def ids(api: Caller) -> list[str]:
    return sorted(row.id for row in await api.rows(recipient))


async def test_two_thousand_lines_are_one_call(api: Caller) -> None:
    # Given lines in which every hundredth is no good
    lines = [
        line(f"driver-{number:04}", name="x", email="nobody" if number % 100 == 0 else None) for number in range(2000)
    ]

    # When they are sent
    answer = await post(api, b"\n".join(lines) + b"\n")

    # Then all others are written, and those are told by their numbers, from 1
    assert (answer.status, answer.body["written"], answer.body["refused"]) == (200, 1980, 20)
    told = [(each["line"], each["problem"]["code"], each["problem"]["pointer"]) for each in answer.body["refusals"]]
    assert told == [(number, 42203, "/email") for number in range(1, 2000, 100)]
    assert await ids(api) == [f"driver-{number:04}" for number in range(2000) if number % 100]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"\n\n \n", []),
        (line("a"), ["a"]),
        (line("a") + b"\n", ["a"]),
        (line("a") + b"\r\n\r\n" + line("b"), ["a", "b"]),
        (b"\n" + line("a") + b"\n\n" + line("b") + b"\n\n", ["a", "b"]),
    ],
)
@on_sqlite
async def test_line_ends_and_empty_lines_count_for_nothing(api: Caller, body: bytes, expected: list[str]) -> None:
    answer = await post(api, body)

    assert answer.body == {"written": len(expected), "refused": 0, "refusals": []}
    assert await ids(api) == expected


@on_sqlite
async def test_lines_are_the_same_however_they_are_cut_on_the_way(api: Caller) -> None:
    # Given lines that come in parts which end anywhere, within a character too
    body = b"\n".join([line("ä-1", name="Ä"), line("ä-2"), line("bad", kind="x"), line("ä-3")])

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    # When they are sent
    answer = await post(api, parts())

    # Then they are read as one
    assert answer.body["written"] == 3
    assert [each["line"] for each in answer.body["refusals"]] == [3]
    assert await ids(api) == ["ä-1", "ä-2", "ä-3"]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"{", (40001, None)),
        (b"[]", (42203, None)),
        (b"{}", (42203, "/id")),
        (line("a b"), (42203, "/id")),
        (line("42/preferences"), (42203, "/id")),
        (line(".."), (42203, "/id")),
        (line("a\u200b"), (42203, "/id")),
        (line("x", nmae="Ada"), (42203, "/nmae")),
        (line("x", phone="110"), (42203, "/phone")),
        (line("x", devices=[{"value": ""}]), (42203, "/devices/0/value")),
    ],
)
@on_sqlite
async def test_a_line_that_does_not_fit_is_told_and_the_others_are_written(
    api: Caller, bad: bytes, problem: tuple[int, str | None]
) -> None:
    answer = await post(api, line("before") + b"\n" + bad + b"\n" + line("behind"))

    (refusal,) = answer.body["refusals"]
    assert (refusal["problem"]["code"], refusal["problem"].get("pointer")) == problem
    assert (refusal["line"], answer.body["written"], await ids(api)) == (2, 2, ["before", "behind"])


@on_sqlite
async def test_a_line_that_is_not_utf_8_is_told_as_that(api: Caller) -> None:
    answer = await post(api, line("before") + b"\n" + b'{"id": "x", "name": "\xff"}\n' + line("behind"))

    (refusal,) = answer.body["refusals"]
    assert (refusal["line"], refusal["problem"]["code"], await ids(api)) == (2, 40001, ["before", "behind"])


@pytest.mark.parametrize("length", [MAX_LINE + 1, 1_000_000])
@on_sqlite
async def test_a_line_that_is_too_long_is_told_and_the_others_are_written(api: Caller, length: int) -> None:
    long = line("long", name="x" * (length - len(line("long", name=""))))
    assert len(long) == length

    answer = await post(api, line("before") + b"\n" + long + b"\n" + line("behind"))

    assert (answer.body["written"], answer.body["refused"], await ids(api)) == (2, 1, ["before", "behind"])
    assert answer.body["refusals"][0]["line"] == 2


@on_sqlite
async def test_a_line_without_an_end_is_not_kept(api: Caller) -> None:
    # Given 128 MB without a line end: kept and copied with every part, they would take minutes
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(2048):
            yield b" " * 65_536
        yield b"\n" + line("behind")

    async with asyncio.timeout(10):
        answer = await post(api, parts())

    assert (answer.body["written"], await ids(api)) == (1, ["behind"])


async def test_of_a_recipient_that_comes_twice_the_later_line_stands(api: Caller) -> None:
    await post(api, b"\n".join([line("ada", name="first"), line("bob"), line("ada", name="second")]))

    assert (await api.call("GET", "/v1/recipients/ada")).body["name"] == "second"
    assert await ids(api) == ["ada", "bob"]


@on_sqlite
async def test_of_many_refusals_all_are_counted_and_the_first_are_told(api: Caller) -> None:
    answer = await post(api, b"{}\n" * 1000 + line("ada"))

    assert (answer.body["written"], answer.body["refused"]) == (1, 1000)
    assert [each["line"] for each in answer.body["refusals"]] == list(range(1, TOLD_REFUSALS + 1))
