"""Every screen of the table, walked: who may see it, that forms come from our pages, and what every answer says."""

import re
from itertools import pairwise

import pytest

from notifier.console.app import SCREENS
from notifier.console.pages import ASSETS, HEADERS
from notifier.console.screens import Screen
from notifier.domain.users import PERMISSIONS, Role
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.api.test_routes import everything
from tests.console.conftest import Enter, Visitor

CLOSED = [screen for screen in SCREENS if screen.permission]
FORMS = [screen for screen in SCREENS if screen.method == "POST"]


def name(screen: Screen) -> str:
    return f"{screen.method} {screen.path}"


def path(screen: Screen) -> str:
    """A path of the screen, its parameters filled in with what is nothing's."""
    return re.sub(r"{\w+}", "0" * 32, screen.path)


async def call(visitor: Visitor, screen: Screen, token: str | None = None) -> tuple[int, str]:
    answer = await (visitor.get(path(screen)) if screen.method == "GET" else visitor.post(path(screen), token))
    return answer.status, answer.headers.get("Location", "")


@on_sqlite
async def test_without_a_session_every_screen_leads_to_the_sign_in_page_and_back(enter: Enter) -> None:
    visitor = enter()

    for screen in CLOSED:
        status, location = await call(visitor, screen)
        back = f"?next=/console{path(screen)}" if screen.method == "GET" else ""
        assert (status, location) == (303, f"/console/sign-in{back}"), name(screen)


@pytest.mark.parametrize("role", Role)
@on_sqlite
async def test_each_role_sees_what_its_permissions_say_and_nothing_else(enter: Enter, role: Role) -> None:
    # Given somebody of a role
    visitor = enter()
    await visitor.sign_in(role)

    # When every screen is asked for, then what the role may not is told, whatever the screen would have said
    for screen in CLOSED:
        if screen.path == "/sign-out":
            continue
        status, _ = await call(visitor, screen)
        assert (status == 403) == (screen.permission not in PERMISSIONS[role]), name(screen)
        assert status in (200, 303, 400, 403, 404, 422), name(screen)

    # And the navigation shows just those that open
    page = await visitor.get("/account")
    shown = set(re.findall(r'href="/console(/[\w/-]+)" data-key', page.body))
    assert shown == {screen.path for screen in SCREENS if screen.title and screen.permission in PERMISSIONS[role]}


def test_a_role_may_do_what_those_before_it_may_and_one_thing_more() -> None:
    allowed = [PERMISSIONS[role] for role in Role]

    assert all(before < after and len(after - before) == 1 for before, after in pairwise(allowed))
    assert {screen.permission for screen in CLOSED} <= allowed[-1]


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
@on_sqlite
async def test_a_form_that_does_not_come_from_our_page_changes_nothing(enter: Enter, token: str) -> None:
    # Given an administrator, and what is in the database
    visitor = enter()
    await visitor.sign_in("admin")
    caller = Caller(visitor.url, visitor.session, visitor.engine)
    before = await everything(caller)

    # When each form is sent without its token, or with another, then it is refused
    for screen in FORMS:
        status, _ = await call(visitor, screen, token)
        assert status == 403, name(screen)
    assert await everything(caller) == before


@on_sqlite
async def test_another_visitors_token_is_worth_nothing(enter: Enter) -> None:
    one, other = enter(), enter()
    await one.sign_in("admin")
    await other.sign_in("admin")

    assert (await one.post("/users", _token=other.token, name="eve", role="admin")).status == 403


@on_sqlite
async def test_every_answer_forbids_what_no_page_needs(enter: Enter) -> None:
    visitor = enter()
    await visitor.sign_in("admin")

    for where in ("/sign-in", "/health", "/activity", "/nothing", "/users", "/activity?state=odd", "/health/live"):
        headers = (await visitor.get(where)).headers
        assert {key: headers[key] for key in HEADERS} == HEADERS, where
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@on_sqlite
async def test_no_page_has_a_script_or_a_style_in_itself(enter: Enter) -> None:
    visitor = enter()
    await visitor.sign_in("admin")

    for screen in SCREENS:
        if screen.method == "GET" and not screen.path.endswith("/live"):
            body = (await visitor.get(path(screen))).body
            assert not re.search(r"<style|<script(?! src)|\sstyle=|\son\w+=|javascript:|https?://", body), screen.path


@on_sqlite
async def test_what_pages_load_may_be_kept_for_ever_and_only_under_its_present_name(enter: Enter) -> None:
    visitor = enter()
    page = (await visitor.get("/sign-in")).body

    for asset in ASSETS.values():
        answer = await visitor.get(f"/static/{asset.name}")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert ASSETS["console.css"].name in page
    for gone in ("console.css", "console.000000000000.css", "..%2fapp.py", "%00"):
        assert (await visitor.get(f"/static/{gone}")).status == 404


def test_keys_are_one_screens_each() -> None:
    keys = [screen.key for screen in SCREENS if screen.title]

    assert all(re.fullmatch("[a-z]", key) for key in keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "odd", ["%00", "%FF", "%C3%28", "x" * 5_000, "%F0%9F%98%80", "'%22%5C%3Cb%3E", "a%0A", "..%2f"]
)
@on_sqlite
async def test_no_address_breaks_a_screen(enter: Enter, odd: str) -> None:
    visitor = enter()
    await visitor.sign_in("admin")

    for screen in (screen for screen in SCREENS if screen.method == "GET" and "{" in screen.path):
        assert 400 <= (await visitor.get(re.sub(r"{\w+}", odd, screen.path))).status < 500
    for query in (f"/search?q={odd}", f"/search?q=1&source={odd}", f"/activity?recipient={odd}", f"/audit?actor={odd}"):
        answer = await visitor.get(query)
        assert answer.status in (200, 400, 404)
        assert "<b>" not in answer.body


@pytest.mark.parametrize("query", ["state=odd", "channel=fax", "after=1", "after=x-y", "after=%00"])
@on_sqlite
async def test_a_parameter_that_makes_no_sense_is_told(enter: Enter, query: str) -> None:
    visitor = enter()
    await visitor.sign_in("viewer")

    assert (await visitor.get(f"/activity?{query}")).status == 400


@on_sqlite
async def test_the_bare_address_leads_to_the_first_screen(enter: Enter) -> None:
    visitor = enter()
    assert (await visitor.get("")).headers["Location"] == "/console/"

    await visitor.sign_in("viewer")

    assert (await visitor.get("/")).headers["Location"] == "/console/health"
