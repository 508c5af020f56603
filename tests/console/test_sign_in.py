"""Signing in and out: who gets in, how often one may guess, and when a session is over."""

import asyncio
import re

import pytest

from notifier.domain.clock import MINUTE
from notifier.domain.users import ABSOLUTE, ADDRESS_TRIES, IDLE, LOCK, TRIES, Role, User, hash_session_id
from notifier.runtime.settings import Settings
from notifier.store.console import users
from notifier.store.console.sign_ins import NOBODY, address_key, name_key, take_try
from notifier.store.core.database import Database
from notifier.store.core.staff import audit, console_session, console_user
from tests.api.conftest import on_sqlite
from tests.console.conftest import PASSWORD, Enter, Visitor, opened, password_hash
from tests.samples import NOW


async def told(visitor: Visitor) -> list[tuple[str, str, str]]:
    """The audit without the users that were there from the beginning; its clock stands still, so it has no order."""
    entries = await visitor.rows(audit)
    return sorted((each.actor, each.action, each.subject) for each in entries if each.action != "user.create")


async def is_in(visitor: Visitor) -> bool:
    return (await visitor.get("/activity")).status == 200


async def test_who_knows_their_password_gets_in_and_out_again(enter: Enter) -> None:
    # Given somebody who wanted to see a page
    visitor = enter()
    wanted = (await visitor.get("/dead?reason=refused")).headers["Location"]
    page = await visitor.get(wanted.removeprefix("/console"))

    # When they sign in
    answer = await visitor.post("/sign-in", name=" Operator ", password=PASSWORD, next="/console/dead?reason=refused")

    # Then they are where they wanted to go
    assert 'name="next" value="/console/dead?reason=refused"' in page.body
    assert (answer.status, answer.headers["Location"]) == (303, "/console/dead?reason=refused")
    assert await is_in(visitor)

    # And once out, the session is over
    await visitor.get("/account")
    assert (await visitor.post("/sign-out")).headers["Location"] == "/console/sign-in"
    assert not await is_in(visitor)
    assert await told(visitor) == [
        ("console:operator", "user.sign_in", "operator"), ("console:operator", "user.sign_out", "operator")
    ]  # fmt: skip


async def test_a_session_is_kept_as_a_hash_and_its_cookie_is_for_the_server_alone(enter: Enter) -> None:
    visitor = enter()

    cookie = (await visitor.sign_in("viewer")).headers["Set-Cookie"]

    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/console", "Max-Age="))
    value = re.match("notifier=([^;]+)", cookie)
    assert value
    (session,) = await visitor.rows(console_session)
    assert session.id_hash == hash_session_id(value[1])
    assert value[1] not in str(session)
    assert not any(PASSWORD in str(row) for row in await visitor.rows(console_user))


@on_sqlite
async def test_behind_https_the_cookie_never_travels_in_the_clear(database: Database, valkey: str) -> None:
    async with opened(database, valkey, Settings(public_url="https://notifier.example.com")) as enter:
        cookie = (await enter().get("/sign-in")).headers["Set-Cookie"]

    assert cookie.startswith("__Host-notifier=")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "Path=/;"))


async def test_a_sign_in_makes_a_new_cookie(enter: Enter) -> None:
    # Given a cookie that somebody else may have planted
    visitor = enter()
    before = (await visitor.get("/sign-in")).headers["Set-Cookie"].partition(";")[0]

    after = (await visitor.post("/sign-in", name="viewer", password=PASSWORD)).headers["Set-Cookie"].partition(";")[0]

    assert before != after
    assert [row.id_hash for row in await visitor.rows(console_session)] == [hash_session_id(after.partition("=")[2])]


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "/console//evil.example", "/v1", "/console/\\e"]
)
@on_sqlite
async def test_nobody_is_led_elsewhere_after_signing_in(enter: Enter, wanted: str) -> None:
    visitor = enter()
    await visitor.get("/sign-in")

    answer = await visitor.post("/sign-in", name="viewer", password=PASSWORD, next=wanted)

    assert answer.headers["Location"] == "/console/health"


@on_sqlite
async def test_a_wrong_password_and_a_name_that_is_nobodys_are_answered_alike_and_not_written_down(
    enter: Enter,
) -> None:
    visitor = enter()

    wrong = await visitor.sign_in("viewer", "not the password")
    nobody = await visitor.sign_in("a-password-typed-as-name", "x")

    assert (wrong.status, nobody.status) == (401, 401)
    assert "Wrong name or password" in wrong.body
    assert "Wrong name or password" in nobody.body
    failures = await told(visitor)
    assert [subject for _, action, subject in failures if action == "user.sign_in_failed"] == [NOBODY, "viewer"]
    assert "typed" not in str(failures)


async def test_after_a_few_wrong_passwords_a_name_rests_whoever_asks_and_whether_it_is_anybodys(enter: Enter) -> None:
    # Given as many wrong passwords as there may be, all at once and a few too many
    visitors = [enter() for _ in range(TRIES + 3)]
    for name in ("viewer", "nobody-at-all"):
        for visitor in visitors:
            await visitor.get("/sign-in")
        answers = await asyncio.gather(*(each.post("/sign-in", name=name, password="x") for each in visitors))
        assert sorted(answer.status for answer in answers) == [401] * TRIES + [429] * 3

    # Then even the right one is not looked at
    visitor = visitors[0]
    assert (await visitor.sign_in("viewer")).status == 429
    assert (await visitor.sign_in("author")).status == 303

    # Until it has rested
    visitor.clock.advance(LOCK)
    assert (await visitor.sign_in("viewer")).status == 303


@on_sqlite
async def test_signing_in_gives_the_tries_back(enter: Enter) -> None:
    visitor = enter()
    for _ in range(2):
        for _ in range(TRIES - 1):
            assert await take_try(visitor.engine.database, {name_key("viewer"): TRIES}, NOW)
        assert (await visitor.sign_in("viewer")).status == 303
        await visitor.post("/sign-out")


@on_sqlite
async def test_one_address_has_only_so_many_tries_over_all_names(enter: Enter) -> None:
    visitor = enter()
    await visitor.get("/sign-in")

    for _ in range(ADDRESS_TRIES - 1):
        assert await take_try(visitor.engine.database, {address_key("127.0.0.1"): ADDRESS_TRIES}, NOW)

    answers = [(await visitor.post("/sign-in", name=name, password="x")).status for name in ("ada", "bo", "viewer")]

    assert answers == [401, 429, 429]


async def test_a_session_is_over_when_nobody_used_it_and_after_a_shift(enter: Enter) -> None:
    # Given somebody who is busy
    visitor = enter()
    clock = visitor.clock
    await visitor.sign_in("viewer")
    busy = 0
    while busy + IDLE - MINUTE < ABSOLUTE:
        clock.advance(IDLE - MINUTE)
        busy += IDLE - MINUTE
        assert await is_in(visitor)

    # When the shift is over, then so is the session
    clock.advance(ABSOLUTE - busy)
    assert not await is_in(visitor)

    # And a desk that was left is signed out sooner
    await visitor.sign_in("viewer")
    clock.advance(IDLE)
    assert not await is_in(visitor)


@on_sqlite
async def test_a_page_that_stays_open_by_itself_keeps_no_session_alive(enter: Enter) -> None:
    visitor = enter()
    await visitor.sign_in("viewer")

    visitor.clock.advance(IDLE - MINUTE)
    assert (await visitor.get("/health/live")).status == 200
    visitor.clock.advance(MINUTE)

    assert not await is_in(visitor)


@pytest.mark.parametrize("values", [{"disabled_at": NOW}, {"password_hash": "another"}])
async def test_who_is_disabled_or_has_a_new_password_is_out_at_once(enter: Enter, values: dict[str, object]) -> None:
    visitor = enter()
    await visitor.sign_in("viewer")

    await users.change(visitor.engine.database, "viewer", values, action="user.x", actor="cli:test", now=NOW)

    assert not await is_in(visitor)
    assert (await visitor.sign_in("viewer")).status == 401


@on_sqlite
async def test_the_first_visitor_is_told_how_to_make_a_user(database: Database, valkey: str) -> None:
    async with opened(database, valkey) as enter:
        visitor = enter()
        assert "notifier users create" not in (await visitor.get("/sign-in")).body
        async with database.engine.begin() as connection:
            await connection.execute(console_user.delete())

        assert "notifier users create" in (await visitor.get("/sign-in")).body


def test_neither_a_user_nor_a_session_shows_its_secrets() -> None:
    user = User(name="ada", role=Role.ADMIN, password_hash=password_hash(), created_at=0)

    assert password_hash() not in repr(user)
