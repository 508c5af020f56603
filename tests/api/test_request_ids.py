"""Every request has an id, by which its caller and we find what was logged about it."""

import asyncio
import re

import pytest
from multidict import CIMultiDict
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from notifier.runtime.coalesce import Coalescer
from notifier.store.core.schema import metadata
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.samples import encoded

MADE = re.compile(r"[0-9a-f]{32}")


@on_sqlite
async def test_a_request_id_that_is_well_formed_comes_back(api: Caller) -> None:
    answer = await api.post(encoded(), X_Request_Id="checkout-7/retry:2")

    assert (answer.status, CIMultiDict(answer.headers).getall("X-Request-Id")) == (202, ["checkout-7/retry:2"])


@pytest.mark.parametrize("given", ["", " ", "ada@example.com", "a b", "ü", "x" * 129, '{"id": 1}'])
@on_sqlite
async def test_another_one_is_replaced(api: Caller, given: str) -> None:
    answer = await api.call("GET", "/livez", X_Request_Id=given)

    assert MADE.fullmatch(answer.headers["X-Request-Id"])


@on_sqlite
async def test_a_request_without_one_is_given_one_of_its_own(api: Caller) -> None:
    ids = [(await api.call("GET", "/livez")).headers["X-Request-Id"] for _ in range(3)]

    assert all(MADE.fullmatch(each) for each in ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/v1/events", 405), ("GET", "/v1/ledger", 401), ("POST", "/v1/events", 415)],
)
@on_sqlite
async def test_a_problem_names_the_request(api: Caller, method: str, path: str, status: int) -> None:
    key = {"Authorization": "Bearer nothing"} if status == 401 else {}

    answer = await api.call(method, path, "x" if method == "POST" else None, X_Request_Id="r-1", **key)

    assert (answer.status, answer.headers["X-Request-Id"], answer.body["request_id"]) == (status, "r-1", "r-1")


@on_sqlite
async def test_the_consoles_pages_have_one_too(api: Caller) -> None:
    assert (await api.call("GET", "/console/sign-in", X_Request_Id="r-2")).headers["X-Request-Id"] == "r-2"


@on_sqlite
async def test_a_fault_of_ours_is_found_in_the_log_by_the_answers_request_id(api: Caller) -> None:
    # Given a database without a table that is needed
    async with api.engine.database.engine.begin() as connection:
        await connection.run_sync(metadata.tables["open_delivery"].drop)

    # When somebody asks for what stands there
    with capture_logs([merge_contextvars]) as logged:
        answer = await api.call("GET", "/v1/ledger")

    # Then the answer's id is in the line about it
    assert answer.problem[0] in (50001, 50301)
    assert answer.headers["X-Request-Id"] == answer.body["request_id"]
    assert [line["request_id"] for line in logged if line["event"].startswith("api.")] == [answer.body["request_id"]]


async def test_a_batch_of_several_callers_is_logged_as_nobodys() -> None:
    # Given a coalescer, and a caller whose log lines have an id
    seen: list[object] = []

    async def flush(batch: list[int]) -> list[int]:
        seen.append(get_contextvars().get("request_id"))
        return batch

    writer = Coalescer(flush, limit=10)

    # When the caller is the first of a batch
    with bound_contextvars(request_id="r-3"):
        await asyncio.gather(writer.add([1]), writer.add([2]))

    # Then what the batch logs is not told as the caller's
    assert seen == [None] * len(seen)
    assert seen
