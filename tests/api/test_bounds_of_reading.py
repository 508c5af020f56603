"""A key is told about events within its bounds alone: every endpoint that reads of events, walked with every bounds."""

import json
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest

from notifier.domain.keys import Bounds
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.api.test_deliveries import listed, people, report
from tests.samples import EVENT

SOURCES = ("csms/berlin", "csms/berlin2", "CSMS/berlin", "billing")
TYPES = ("payment.failed", "payment.recovered")
BOUNDS = [
    Bounds(sources=sources, types=types)
    for sources, types in product(
        ((), ("csms/berlin",), ("csms/*",), ("billing", "csms/berlin2")), ((), TYPES[:1], TYPES[1:])
    )
]
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"recipient": "ada"},
    {"type": "payment-failed"},
    {"channel": "email"},
    {"state": "pending"},
    {"state": "suppressed"},
    {"since": "2026-03-09T17:40:00Z"},
    {"recipient": "ada", "state": "pending"},
    {"type": "payment-failed", "channel": "email", "state": "pending"},
)
NOT_FOUND = (40401, None)


@on_sqlite
async def test_nothing_is_told_of_an_event_beyond_a_keys_bounds(api: Caller) -> None:
    # Given an event of each source, one of which repeats another's, and a cursor that leads into the midst of them
    await people(api)
    made = {source: await report(api, source, f"id of {source}") for source in SOURCES}
    everything = await listed(api)
    midst = (await api.call("GET", "/v1/deliveries?limit=3")).body["next"]
    wholes = [(query, await listed(api, **query)) for query in FILTERS]
    assert len({each["event"]["source"] for each in everything}) == len(SOURCES)

    # When keys of all bounds ask everything that there is to ask
    for bounds in BOUNDS:
        key = await add_key(
            api.engine.database, "deliveries:read", "explain:read", sources=bounds.sources, types=bounds.types
        )

        async def get(path: str, key: str = key, **query: str) -> Any:
            return await api.call("GET", f"{path}?{urlencode(query)}", Authorization=f"Bearer {key}")

        own = [each for each in everything if bounds.cover(each["event"]["source"], each["event"]["type"])]
        for query, whole in wholes:
            # Then lists hold what everybody's list holds of its own events, and nothing else
            assert await listed(api, key, **query) == [each for each in whole if each in own], (bounds, query)
        later = (await get("/v1/deliveries", cursor=midst)).body["deliveries"]
        assert later == [each for each in everything[3:] if each in own]
        for source, event in made.items():
            fits = bounds.cover(source, "payment.failed")
            for names in ({"event": event}, {"source": source, "id": f"id of {source}"}):
                assert bool(await listed(api, key, **names)) == fits
                for path in ("/v1/events", "/v1/explain"):
                    told = await get(path, **names)
                    assert told.status == 200 if fits else told.problem == NOT_FOUND
                    if not fits:  # as what was never reported
                        never = await get(path, event="0" * 32)
                        assert _said(told.body) == _said(never.body)
        for each in everything:
            for path, named in ((f"/v1/deliveries/{each['id']}", {}), ("/v1/explain", {"delivery": each["id"]})):
                told = await get(path, **named)
                assert told.status == 200 if each in own else told.problem == NOT_FOUND


def _said(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name != "request_id"}


@pytest.mark.parametrize("sources", [("csms/*",), ("csms/berlin",), ("billing", "CSMS/berlin")])
async def test_a_list_is_bounded_on_every_database(api: Caller, sources: tuple[str, ...]) -> None:
    await people(api)
    for source in (*SOURCES, "csms/berlin "):
        await report(api, source, "1")
    key = await add_key(api.engine.database, "deliveries:read", sources=sources, types=TYPES)
    bounds = Bounds(sources=sources, types=TYPES)

    assert {each["event"]["source"] for each in await listed(api, key)} == {
        source for source in (*SOURCES, "csms/berlin ") if bounds.has_source(source)
    }


@pytest.mark.parametrize("path", ["/v1/events", "/v1/explain"])
async def test_what_an_event_only_repeats_is_not_told_where_it_is_anothers(api: Caller, path: str) -> None:
    # Given two sources that report the same thing, so that the second event repeats the first one's deliveries
    await people(api)
    data = {**EVENT["data"], "driver_id": "ada"}
    first = await report(api, "roaming", "1", data=data)
    second = await report(api, "csms/berlin", "1", data=data)
    key = await add_key(api.engine.database, "deliveries:read", "explain:read", sources=("csms/berlin",))
    theirs = {each["id"] for each in await listed(api, event=first)}

    # When the second source asks what became of its event
    told = await api.call("GET", f"{path}?event={second}", Authorization=f"Bearer {key}")

    # Then it hears of the decision, and of no delivery that isn't its own
    assert told.status == 200
    assert told.body["decisions"]
    assert told.body["gone"] == []
    assert not [id_ for id_ in (*theirs, first, "roaming") if id_ in json.dumps(told.body)]
