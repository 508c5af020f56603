"""People ask over HTTP to be told when a port is free: by a service, or by their own link."""

from typing import Any

import pytest

from notifier.domain.availability_alerts import LASTS, MOST
from notifier.domain.clock import to_datetime
from notifier.domain.links import VISIT
from notifier.domain.recipients import RecipientDetails
from notifier.runtime.settings import Settings
from notifier.store.core.stations import availability_alert
from notifier.store.people import recipients
from notifier.store.stations import locations
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, application
from tests.places import PLACE, place
from tests.samples import LINKS, NOW

TYPE_2 = "IEC_62196_T2"


@pytest.fixture(autouse=True)
async def people(api: Caller) -> None:
    """A station, and three who may wait there."""
    await locations.update(api.engine.database, PLACE, lambda _: place())
    await recipients.put(api.engine.database, {id_: RecipientDetails() for id_ in ("ada", "bea", "cem")}, NOW)


async def ask(api: Caller, who: str, body: bytes = b"", station: str = PLACE) -> Answer:
    return await api.call("PUT", f"/v1/recipients/{who}/alerts/{station}", body)


async def of(api: Caller, who: str) -> list[dict[str, Any]]:
    answer = await api.call("GET", f"/v1/recipients/{who}/alerts")
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.body["alerts"]
    return found


def link(who: str, now: int = NOW) -> str:
    return "/map/" + LINKS.map_url(who, now).rpartition("/")[2]


async def test_who_asks_waits_and_sees_how_many_are_ahead(api: Caller) -> None:
    # When
    first, repeated = await ask(api, "ada"), await ask(api, "ada")
    await ask(api, "bea", b'{"connector":"IEC_62196_T2"}')
    third = await ask(api, "cem", b'{"connector":null}')
    # Then
    assert (first.status, repeated.status, third.status) == (201, 200, 201)
    assert first.body == repeated.body
    asked_at = api.clock.now()
    assert first.body == {
        "station": PLACE, "name": "Gent Zuid", "connector": None, "state": "waiting", "ahead": 0,
        "asked_at": to_datetime(asked_at).isoformat().replace("+00:00", "Z"),
        "until": to_datetime(asked_at + LASTS).isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    assert [(each["connector"], each["ahead"]) for each in await of(api, "bea")] == [(TYPE_2, 1)]
    assert third.body["ahead"] == 2


async def test_who_leaves_is_listed_no_more_and_the_others_move_up(api: Caller) -> None:
    # Given
    for who in ("ada", "bea"):
        await ask(api, who)
    # When
    left = [await api.call("DELETE", f"/v1/recipients/ada/alerts/{PLACE}") for _ in range(2)]
    # Then
    assert [each.status for each in left] == [204, 204]
    assert await of(api, "ada") == []
    assert (await of(api, "bea"))[0]["ahead"] == 0


async def test_what_has_timed_out_is_over_without_the_clock(api: Caller) -> None:
    # Given
    await ask(api, "ada")
    # When
    api.clock.advance(LASTS)
    # Then
    assert [each["state"] for each in await of(api, "ada")] == ["over"]
    assert (await ask(api, "ada")).status == 201


@on_sqlite
@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        (f"nobody/alerts/{PLACE}", b"", (40401, None)),
        ("ada/alerts/NL-TNM-NOWHERE", b"", (40401, None)),
        (f"ada/alerts/{PLACE}", b'{"connector":"CHADEMO"}', (42205, "/connector")),
        (f"ada/alerts/{PLACE}", b'{"plug":"CHADEMO"}', (42205, "/plug")),
        (f"ada/alerts/{PLACE}", b'{"connector":""}', (42205, "/connector")),
        (f"ada/alerts/{PLACE}", b"x" * 2000, (41301, None)),
    ],
)
async def test_what_nobody_can_wait_for_is_refused(
    api: Caller, path: str, body: bytes, problem: tuple[int, str | None]
) -> None:
    answer = await api.call("PUT", f"/v1/recipients/{path}", body)

    assert answer.problem == problem
    assert await api.rows(availability_alert) == []


@on_sqlite
async def test_a_sixth_alert_is_refused(api: Caller) -> None:
    # Given
    for number in range(MOST + 1):
        id_ = f"NL-TNM-{number}"
        await locations.update(api.engine.database, id_, lambda _, id_=id_: place(id_))  # type: ignore[misc]
    answers = [await ask(api, "ada", station=f"NL-TNM-{number}") for number in range(MOST + 1)]
    # Then
    assert [each.status for each in answers] == [201] * MOST + [422]
    assert (await api.call("GET", "/v1/recipients/ada/alerts")).body["most"] == MOST


@on_sqlite
async def test_a_person_asks_and_leaves_by_their_own_link_alone(api: Caller) -> None:
    # Given
    given = await api.call("POST", "/v1/recipients/ada/map-link")
    own = given.body["url"].removeprefix("https://notify.example.com")
    # When
    asked = await api.call("PUT", f"{own}/alerts/{PLACE}", b"", Authorization="")
    seen = await api.call("GET", f"{own}/alerts", Authorization="")
    others = await api.call("GET", f"{link('bea', api.clock.now())}/alerts", Authorization="")
    left = await api.call("DELETE", f"{own}/alerts/{PLACE}", Authorization="")
    # Then
    assert (given.status, asked.status, left.status) == (200, 201, 204)
    assert [each["station"] for each in seen.body["alerts"]] == [PLACE]
    assert others.body["alerts"] == []
    assert {each.headers["Cache-Control"] for each in (given, asked, seen, left)} == {"no-store"}
    assert (await api.call("GET", f"{own}/alerts", Authorization="")).body["alerts"] == []


@on_sqlite
async def test_a_link_ends_after_a_day_and_tells_pages_of_other_origins_nothing(api: Caller) -> None:
    # Given
    own = link("ada", api.clock.now())
    # When
    asked = await api.call("OPTIONS", f"{own}/alerts/{PLACE}", Authorization="", Origin="https://evil.example")
    told = await api.call("GET", f"{own}/alerts", Authorization="", Origin="https://evil.example")
    api.clock.advance(VISIT)
    late = await api.call("GET", f"{own}/alerts", Authorization="")
    # Then
    assert asked.status == 405
    assert "Access-Control-Allow-Origin" not in told.headers
    assert late.status == 404


@on_sqlite
async def test_without_a_map_nobody_asks_by_a_link(database: Any, valkey: str) -> None:
    async with application(database, valkey, settings=Settings(map="off")) as api:
        # When
        answer = await api.call("GET", f"{link('ada')}/alerts", Authorization="")
    # Then
    assert answer.status == 404
