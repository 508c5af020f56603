"""Every route of the table, walked: each asks for its key, and each problem has its number and its page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import notifier
from notifier.api.app import ENDPOINTS
from notifier.api.endpoints import Endpoint, SignatureScheme, TokenScheme
from notifier.domain.keys import SCOPES
from notifier.domain.problems import TITLES
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.schema import metadata
from notifier.store.people import recipients
from notifier.store.stations import locations
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.named import EMAIL
from tests.places import place
from tests.samples import LINKS, NOW

CLOSED = [endpoint for endpoint in ENDPOINTS if endpoint.scope]
SIGNED = [endpoint for endpoint in ENDPOINTS if isinstance(endpoint.signed_by, SignatureScheme)]
LINKED = [endpoint for endpoint in ENDPOINTS if isinstance(endpoint.signed_by, str)]
BY_TOKEN = [endpoint for endpoint in ENDPOINTS if isinstance(endpoint.signed_by, TokenScheme)]
CROSS_ORIGIN = [endpoint for endpoint in ENDPOINTS if endpoint.cross_origin]
OPEN = [endpoint for endpoint in ENDPOINTS if not endpoint.scope and not endpoint.signed_by]
WRONG = f"Bearer ntf_{'0' * 16}_{'0' * 64}"


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def path(endpoint: Endpoint) -> str:
    """A path of the endpoint, its parameters filled in."""
    known = {"number": "40401", "name": "leaflet.js"}
    return re.sub(r"{(\w+)(:\w+)?}", lambda match: known.get(match[1], "NL"), endpoint.path)


async def everything(api: Caller) -> dict[str, int]:
    """How many rows each table has, keys aside."""
    return {table.name: len(await api.rows(table)) for table in metadata.sorted_tables if table.name != "api_key"}


@pytest.mark.parametrize("endpoint", CLOSED, ids=name)
@on_sqlite
async def test_a_route_asks_for_its_key_before_anything_else(api: Caller, endpoint: Endpoint) -> None:
    # Given a body that doesn't fit anywhere, and callers without a key, with a wrong one, and with all other scopes
    others = await add_key(api.engine.database, *(scope for scope in SCOPES if scope != endpoint.scope))
    before = await everything(api)

    # When they call, then each is told what is wrong with its key, and nothing else
    for authorization, number in (("", 40101), (WRONG, 40102), (f"Bearer {others}", 40301)):
        answer = await api.call(endpoint.method, path(endpoint), b"{", Authorization=authorization)
        assert answer.problem == (number, None)
    assert await everything(api) == before


@pytest.mark.parametrize("endpoint", CLOSED, ids=name)
@on_sqlite
async def test_a_route_opens_to_a_key_with_its_scope_alone(api: Caller, endpoint: Endpoint) -> None:
    assert endpoint.scope
    key = await add_key(api.engine.database, endpoint.scope)

    answer = await api.call(endpoint.method, path(endpoint), b"{", Authorization=f"Bearer {key}")

    assert answer.status not in (401, 403, 500)


@pytest.mark.parametrize("endpoint", SIGNED, ids=name)
@on_sqlite
async def test_a_route_that_a_provider_signs_refuses_what_nobody_signed(api: Caller, endpoint: Endpoint) -> None:
    before = await everything(api)

    for body in (b"", b"MessageSid=SM1&MessageStatus=delivered", b"{}"):
        answer = await api.call(endpoint.method, path(endpoint), body)
        assert answer.problem == (40302, None)
    assert await everything(api) == before


@pytest.mark.parametrize("endpoint", LINKED, ids=name)
@on_sqlite
async def test_a_page_opens_to_a_link_of_its_own_kind_alone(api: Caller, endpoint: Endpoint) -> None:
    # Given tokens that are good for something else, and somebody with an API key that may do everything
    await recipients.put(api.engine.database, {"ada": RecipientDetails()}, NOW)
    page, unsubscribe = LINKS.preference_url("ada", NOW), LINKS.unsubscribe_url("ada", "billing", EMAIL)
    links = {"u": page, "p": unsubscribe, "c": unsubscribe, "map": page}
    other = links[endpoint.path.split("/")[1]].rpartition("/")[2]
    before = await everything(api)

    # When they are tried, then each gets the same page, which tells nothing, and nothing happens
    pages = set()
    for token in ("NL", other, f"{other}x"):
        answer = await api.call(endpoint.method, endpoint.path.replace("{token}", token), b"undo=1")
        assert answer.status == 404
        pages.add(answer.body)
    assert len(pages) == 1
    assert await everything(api) == before


@pytest.mark.parametrize("endpoint", BY_TOKEN, ids=name)
@on_sqlite
async def test_a_route_for_apps_opens_to_a_token_of_its_channel_alone(api: Caller, endpoint: Endpoint) -> None:
    # Given somebody with an API key that may do everything, a link's token, and one for another channel
    other = LINKS.preference_url("ada", NOW).rpartition("/")[2]
    before = await everything(api)

    # When they are tried, then none opens it
    for token in (api.key, other, LINKS.app_token(EMAIL, "ada", NOW), ""):
        answer = await api.call(endpoint.method, path(endpoint), b"{", Authorization=f"Bearer {token}")
        assert answer.problem == (40103, None)
    assert await everything(api) == before


@pytest.mark.parametrize("endpoint", CROSS_ORIGIN, ids=name)
@on_sqlite
async def test_a_route_for_pages_of_other_origins_says_so_in_every_answer(api: Caller, endpoint: Endpoint) -> None:
    # When a browser asks what a page may send
    asked = await api.call("OPTIONS", path(endpoint), Authorization="", Origin="https://app.example.com")

    # Then it is told the methods and headers; and refusals can be read too
    assert asked.status == 204
    assert endpoint.method in asked.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    answer = await api.call(endpoint.method, path(endpoint), b"{", Authorization="", Origin="https://app.example.com")
    assert {asked.headers["Access-Control-Allow-Origin"], answer.headers["Access-Control-Allow-Origin"]} == {"*"}
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("endpoint", CLOSED, ids=name)
@on_sqlite
async def test_no_page_of_another_origin_reads_what_a_key_opens(api: Caller, endpoint: Endpoint) -> None:
    answer = await api.call(endpoint.method, path(endpoint), b"{", Authorization="", Origin="https://app.example.com")

    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("endpoint", OPEN, ids=name)
@on_sqlite
async def test_what_is_open_only_reads(api: Caller, endpoint: Endpoint) -> None:
    # Given a station of the name that paths are filled with
    await locations.update(api.engine.database, "NL", lambda _: place("NL"))

    # When
    answer = await api.call(endpoint.method, path(endpoint), Authorization="")

    # Then
    assert endpoint.method in ("GET", "OPTIONS")  # safe methods (RFC 9110 §9.2.1)
    assert answer.status == 200


@pytest.mark.parametrize("endpoint", [endpoint for endpoint in ENDPOINTS if "{" in endpoint.path], ids=name)
async def test_no_path_breaks_a_route_or_its_database(api: Caller, endpoint: Endpoint) -> None:
    for odd in ("%00", "%FF", "%C3%28", "x" * 10_000, "%F0%9F%98%80", "'%22%5C", "a%0A", "%2e%2e%2f"):
        answer = await api.call(endpoint.method, re.sub(r"{[\w:]+}", odd, endpoint.path), b"{")

        erased = endpoint.method == "DELETE" and answer.status == 202  # somebody may well be called a smile
        assert (400 if endpoint.takes else 200) <= answer.status < 500 or erased, odd


def test_every_scope_opens_something() -> None:
    assert {endpoint.scope for endpoint in CLOSED} == set(SCOPES)


@on_sqlite
async def test_what_is_not_there_is_a_problem_too(api: Caller) -> None:
    for missing in (
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/events/1",
        "/v1/events/",
        "/ocpi/2.2.1/sessions/NL",
        "/%00",
        "/%ff",
        "/..%2f..",
    ):
        assert (await api.call("GET", missing)).problem == (40401, None)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name)
@on_sqlite
async def test_another_method_is_told_all_those_that_there_are(api: Caller, endpoint: Endpoint) -> None:
    methods = {each.method for each in ENDPOINTS if each.path == endpoint.path}
    other = next(method for method in ("DELETE", "PATCH", "POST") if method not in methods)
    if path(endpoint) == "/v1/recipients/import":
        other = "OPTIONS"  # a recipient may have that id too, be changed and erased

    answer = await api.call(other, path(endpoint))

    assert answer.problem == (40501, None)
    assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == methods


@pytest.mark.parametrize("number", TITLES)
@on_sqlite
async def test_every_problem_has_a_page(api: Caller, number: int) -> None:
    answer = await api.call("GET", f"/problems/{number}", Authorization="")

    title, way_out = TITLES[number]
    assert answer.body == {"code": number, "status": number // 100, "title": title, "what_to_do": way_out}


@on_sqlite
async def test_a_number_that_is_no_problem_has_none(api: Caller) -> None:
    assert (await api.call("GET", "/problems/40499")).problem == (40401, None)
    assert (await api.call("GET", "/problems/" + "9" * 5000)).problem == (40401, None)


def raised() -> Iterator[tuple[str, int]]:
    """Every problem's number that the code names, with its place."""
    for file in Path(notifier.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("problem", "from_decoding"):
                number = node.args[0]
                if isinstance(number, ast.Constant) and isinstance(number.value, int):
                    yield f"{file.name}:{node.lineno}", number.value


def test_the_numbers_that_the_code_names_are_those_that_are_written_down() -> None:
    named = {number: place for place, number in raised()}

    assert set(named) == set(TITLES), named


@on_sqlite
async def test_a_fault_of_ours_is_a_problem_and_tells_nothing_of_itself(api: Caller) -> None:
    # Given a database without its tables
    async with api.engine.database.engine.begin() as connection:
        await connection.run_sync(metadata.tables["open_delivery"].drop)

    # When the ledger is asked for
    answer = await api.call("GET", "/v1/ledger")

    # Then it is our fault or the store's, and not a word of SQL
    assert answer.problem[0] in (50001, 50301)
    assert "delivery" not in str(answer.body)
    assert "SELECT" not in str(answer.body)
