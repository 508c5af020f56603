"""What messages achieved, over HTTP: of the types within a key's bounds, as JSON and as a table."""

import csv
import io
from typing import Any
from urllib.parse import urlencode

import pytest

from notifier.domain.effects import Effect, hour_of
from notifier.domain.twins import twin
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, add_key
from tests.pipeline.test_figures import of, put
from tests.samples import NOW

HERE = hour_of(NOW)
WARN, PAYMENT = "idle-warning", "payment-failed"
EFFECTS: list[Effect] = [
    of("sent", 5), of("opened", 2), of("exposed", 4, channel=""), of("answered", 3, channel="", after=5),
    of("sent", 1, channel="sms", hour=HERE - 26), of("sent", 7, type=PAYMENT), of("sent", 9, type=twin(WARN)),
    of("stopped", 2, type="", channel="sms"), of("sent", 11, hour=HERE - 24 * 40),
]  # fmt: skip


async def ask(api: Caller, key: str | None = None, accept: str = "*/*", **query: str) -> Answer:
    return await api.call(
        "GET", f"/v1/outcomes?{urlencode(query)}", Authorization=f"Bearer {key or api.key}", Accept=accept
    )


async def lines(api: Caller, key: str | None = None, **query: str) -> dict[tuple[str, str | None], int]:
    """How many were sent of each type and group."""
    answer = await ask(api, key, **query)
    assert answer.status == 200, answer.body
    return {(each["type"], each["group"]): each["sent"] for each in answer.body["outcomes"]}


async def test_a_month_is_told_by_type_with_its_outcome_in_words(api: Caller) -> None:
    await put(api.engine.database, *EFFECTS)

    told = (await ask(api)).body

    assert (told["since"], told["until"], told["by"]) == ("2026-02-07T00:00:00Z", "2026-03-10T00:00:00Z", None)
    by_type = {each["type"]: each for each in told["outcomes"]}
    assert by_type.keys() == {"", WARN, PAYMENT}
    warned = by_type[WARN]
    assert (warned["outcome"], warned["sent"], warned["opened"]) == ("The car left", 6, 2)
    assert (warned["exposed"], warned["share"], warned["median_minutes"]) == (4, 0.75, 6.0)
    assert by_type[""]["stopped"] == 2


@on_sqlite
async def test_figures_are_told_apart_and_narrowed(api: Caller) -> None:
    await put(api.engine.database, *EFFECTS)

    days = {(WARN, "2026-03-08"): 1, (WARN, "2026-03-09"): 5}
    assert await lines(api, type=WARN, by="day") == days
    assert await lines(api, type=WARN, by="hour", since="2026-03-09T00:00:00Z") == {(WARN, "2026-03-09T15:00:00Z"): 5}
    assert await lines(api, type=WARN, by="channel") == {(WARN, "push"): 5, (WARN, "sms"): 1}
    assert await lines(api, type=WARN, until="2026-03-09T00:00:00Z") == {(WARN, None): 1}
    assert await lines(api, type=WARN, since="2026-01-20T12:00:00Z", until="2026-02-01T00:00:00Z") == {(WARN, None): 11}


@on_sqlite
async def test_a_table_is_given_to_who_prefers_one(api: Caller) -> None:
    await put(api.engine.database, *EFFECTS)

    answer = await ask(api, accept="text/csv", type=WARN)

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    (line,) = csv.DictReader(io.StringIO(answer.body))
    assert (line["type"], line["outcome"], line["sent"], line["share"]) == (WARN, "The car left", "6", "0.75")
    assert line["group"] == ""
    for accept, kind in {
        "text/csv;q=0.5, application/json": "application/json", "text/csv, */*;q=0.1": "text/csv; charset=utf-8",
        "application/json, text/csv": "application/json", "text/csv;q=odd": "application/json", "": "application/json",
    }.items():  # fmt: skip
        assert (await ask(api, accept=accept)).headers["Content-Type"] == kind, accept


@on_sqlite
async def test_a_key_is_told_of_its_own_types_alone(api: Caller) -> None:
    await put(api.engine.database, *EFFECTS)
    bound = await add_key(api.engine.database, "deliveries:read", types=("idle.warning",))
    of_source = await add_key(api.engine.database, "deliveries:read", sources=("csms/*",))
    for_tests = await add_key(api.engine.database, "deliveries:read", test=True)

    assert await lines(api, bound) == {(WARN, None): 6}
    assert (await ask(api, bound, type=PAYMENT)).problem == (40303, "/type")
    assert (await ask(api, of_source)).problem == (40303, None)
    assert await lines(api, for_tests) == {(WARN, None): 9}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"type": "no-such"}, "/type"), ({"by": "moon"}, "/by"), ({"since": "2026-03-09T00:00:00"}, "/since"),
        ({"since": "2026-03-10T00:00:00Z"}, "/since"), ({"since": "2020-03-10T00:00:00Z"}, "/since"),
        ({"since": "2026-03-01T00:00:00Z", "by": "hour"}, "/since"), ({"days": "3"}, "/days"),
    ],
)  # fmt: skip
@on_sqlite
async def test_what_can_not_be_told_is_refused_with_what_is_wrong(
    api: Caller, query: dict[str, Any], pointer: str
) -> None:
    assert (await ask(api, **query)).problem == (42205, pointer)
