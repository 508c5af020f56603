"""Users and the audit log, over every database."""

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import make_id
from notifier.store.core.staff import audit, console_user
from tests.api.conftest import on_sqlite
from tests.console.conftest import Enter, signed_in
from tests.samples import NOW

# ── Users


async def test_an_administrator_makes_a_user_who_signs_in_and_chooses_another_password(enter: Enter) -> None:
    # Given a new user, whose password is shown once
    admin = await signed_in(enter, "admin")
    shown = re.search(r'class="secret"[^>]*>([^<]+)<', (await admin.post("/users", name="Grace", role="author")).body)
    assert shown

    # When they sign in with it and choose another
    grace, elsewhere = enter(), enter()
    assert (await grace.sign_in("grace", shown[1])).status == 303
    assert (await elsewhere.sign_in("grace", shown[1])).status == 303
    changed = await grace.post("/account/password", old=shown[1], new="a few plain words", again="a few plain words")

    # Then they stay signed in here and nowhere else, and the old password is no more
    assert "Your password is changed" in changed.body
    assert (await grace.get("/activity")).status == 200
    assert (await elsewhere.get("/activity")).status == 303
    assert (await elsewhere.sign_in("grace", shown[1])).status == 401
    assert (await elsewhere.sign_in("grace", "a few plain words")).status == 303
    assert shown[1] not in str(await admin.rows(audit))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"old": "wrong", "new": "a few plain words", "again": "a few plain words"}, "not your password"),
        ({"old": "x", "new": "short", "again": "short"}, "at least 12 characters"),
        ({"old": "x", "new": "a few plain words", "again": "others entirely"}, "two passwords differ"),
    ],
)
@on_sqlite
async def test_a_password_that_does_not_do_is_told_where(enter: Enter, fields: dict[str, str], told: str) -> None:
    visitor = await signed_in(enter, "viewer")

    answer = await visitor.post("/account/password", **fields)

    assert answer.status == 422
    assert told in answer.body
    assert not any(value in answer.body for value in fields.values() if len(value) > 5)


async def test_roles_change_and_doors_close_at_once(enter: Enter) -> None:
    admin, viewer = await signed_in(enter, "admin"), await signed_in(enter, "viewer")
    assert (await viewer.get("/users")).status == 403

    await admin.post("/users/viewer/role", role="admin")
    assert (await viewer.get("/users")).status == 200

    await admin.post("/users/viewer/disable")
    assert (await viewer.get("/users")).status == 303
    assert (await viewer.sign_in("viewer")).status == 401

    await admin.post("/users/viewer/enable")
    assert (await viewer.sign_in("viewer")).status == 303

    reset = (await admin.post("/users/viewer/reset")).body
    shown = re.search(r'class="secret"[^>]*>([^<]+)<', reset)
    assert shown
    assert (await viewer.get("/users")).status == 303
    assert (await viewer.sign_in("viewer", shown[1])).status == 303
    did = [
        (each.action, each.subject, each.detail) for each in await admin.rows(audit) if each.actor == "console:admin"
    ]
    assert sorted(action for action, subject, _ in did if subject == "viewer") == [
        "user.disable", "user.enable", "user.reset", "user.role"
    ]  # fmt: skip
    assert ("user.role", "viewer", "admin") in did


@pytest.mark.parametrize("action", ["role", "disable", "reset"])
@on_sqlite
async def test_nobody_shuts_themselves_out(enter: Enter, action: str) -> None:
    admin = await signed_in(enter, "admin")

    assert (await admin.post(f"/users/admin/{action}", role="viewer")).status == 400
    assert (await admin.get("/users")).status == 200


@pytest.mark.parametrize("given", ["", "Ada Lovelace", "-x", "x" * 65, "viewer", "<b>"])
@on_sqlite
async def test_a_name_that_does_not_do_is_told(enter: Enter, given: str) -> None:
    admin = await signed_in(enter, "admin")
    before = len(await admin.rows(console_user))

    answer = await admin.post("/users", name=given, role="viewer")

    assert answer.status == 422
    assert 'aria-invalid="true"' in answer.body
    assert "<b>" not in answer.body
    assert len(await admin.rows(console_user)) == before


async def test_a_role_that_somebody_else_has_given_meanwhile_stands(enter: Enter) -> None:
    # Given two administrators' pages of one user, who is a viewer
    admin = await signed_in(enter, "admin")
    body = (await admin.get("/users/viewer")).body
    assert 'name="shown" value="viewer"' in body

    # When one gives a role, and the other another; and when nothing was changed on a page
    first = await admin.post("/users/viewer/role", role="author", shown="viewer")
    second = await admin.post("/users/viewer/role", role="publisher", shown="viewer")
    nothing = await admin.post("/users/viewer/role", role="viewer", shown="viewer")

    # Then the second is told, and what was given first stands
    assert (first.status, second.status, nothing.status) == (303, 409, 303)
    assert "somebody else has changed the role" in second.body
    assert 'name="shown" value="author"' in second.body
    roles = {user.name: user.role for user in await admin.rows(console_user)}
    assert roles["viewer"] == "author"
    assert [row.detail for row in await admin.rows(audit) if row.action == "user.role"] == ["author"]


# ── The audit log


async def test_the_audit_log_is_read_page_by_page_and_by_actor(enter: Enter) -> None:
    admin = await signed_in(enter, "admin")
    for _ in range(101):
        await admin.engine.database.write(add_line)

    first = await admin.get("/audit?actor=cli:root")
    following = re.search(r'rel="next" href="/console([^"]+)"', first.body)
    assert following
    second = await admin.get(following[1].replace("&amp;", "&"))

    assert (first.body.count("<td>test.line</td>"), second.body.count("<td>test.line</td>")) == (100, 1)
    assert "user.sign_in" not in first.body + second.body
    assert "user.sign_in" in (await admin.get("/audit")).body


async def add_line(connection: AsyncConnection) -> None:
    line = {"at": NOW - 60_000, "actor": "cli:root", "action": "test.line", "subject": "x", "detail": ""}
    count = len(list(await connection.execute(sa.select(audit.c.id))))
    await connection.execute(sa.insert(audit).values(id=make_id(str(count)), **line))
