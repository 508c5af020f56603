"""Forms that come after their session has ended: nothing is lost, and nothing is done before its writer says so."""

import html
import re

import pytest

from notifier.console import carried
from notifier.console.app import SCREENS
from notifier.console.carried import Carried
from notifier.domain.users import IDLE
from notifier.store.console import contacts, versions
from notifier.store.core.staff import test_contact as contact_table
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller
from tests.api.test_routes import everything
from tests.console.conftest import PASSWORD, Enter, Visitor, signed_in
from tests.console.test_screens import path
from tests.console.words import EDIT, SHORT, TYPE, hidden, says

FORMS = [screen for screen in SCREENS if screen.method == "POST" and screen.permission and screen.path != "/sign-out"]


def kept(answer: Answer) -> dict[str, str]:
    """The form that the sign-in page keeps."""
    found = re.search(r'name="kept" value="([^"]*)"', answer.body)
    return {"kept": html.unescape(found[1])} if found else {}


def fields(answer: Answer) -> dict[str, str]:
    """The fields of the page that asks whether to carry on."""
    found = re.findall(r'<textarea class="hidden" name="([^"]+)" hidden>\n(.*?)</textarea>', answer.body, re.DOTALL)
    return {name: html.unescape(value) for name, value in found}


async def come_back(visitor: Visitor, late: Answer, name: str, password: str = PASSWORD) -> Answer:
    return await visitor.post("/sign-in", name=name, password=password, **kept(late))


async def test_a_draft_that_is_saved_after_the_session_ended_is_carried_on_after_signing_in_again(desk: Enter) -> None:
    # Given an author whose session ends while they write
    visitor = await signed_in(desk, "author")
    form = {**hidden((await visitor.get(EDIT)).body), "text": f"{SHORT}\n\n“Grüße” & <b>", "writer": "author"}
    visitor.clock.advance(IDLE)

    # When they save, mistype their password, and sign in again
    late = await visitor.post(f"/types/{TYPE}/edit", **form)
    wrong = await come_back(visitor, late, "author", "not that one")
    asked = await come_back(visitor, wrong, "author")

    # Then they are asked, with all of it shown and nothing done yet
    assert (late.status, wrong.status, asked.status) == (401, 401, 200)
    assert "Submit your form now?" in says(asked)
    assert f'action="/console/types/{TYPE}/edit"' in asked.body
    assert fields(asked) == {name: value for name, value in form.items() if name != "writer"}
    assert await versions.draft(visitor.engine.database, TYPE) is None

    # And saying yes does it
    assert (await visitor.post(f"/types/{TYPE}/edit", **fields(asked))).status == 303
    assert await versions.draft(visitor.engine.database, TYPE) is not None


@on_sqlite
async def test_a_form_is_its_writers_alone(enter: Enter) -> None:
    # Given a form of one user, whose session is over
    visitor = await signed_in(enter, "admin")
    await visitor.get("/contacts")
    visitor.clock.advance(IDLE)
    late = await visitor.post("/contacts", name="mia", email="mia@example.com", writer="admin")

    # When another signs in at that page
    asked = await come_back(visitor, late, "publisher")

    # Then nothing of it is shown, and nothing is done
    assert "Another user’s form" in says(asked)
    assert "mia" not in asked.body
    assert fields(asked) == {}
    assert await visitor.rows(contact_table) == []


@on_sqlite
async def test_every_form_is_kept_and_does_nothing_by_itself(enter: Enter) -> None:
    for screen in FORMS:
        # Given a page that was made before the session ended, and a browser that has no cookie of it any more
        visitor = await signed_in(enter, "admin")
        visitor.session.cookie_jar.clear()
        before = await everything(Caller(visitor.url, visitor.session, visitor.engine))

        # When a form of any screen is sent from it, then it is kept, and only there
        url, here = f"{visitor.url}/console{path(screen)}", {"Sec-Fetch-Site": "same-origin"}
        data = {"csrf": "0" * 64, "writer": "admin", "why": "all of it"}
        async with visitor.session.post(url, data=data, headers=here, allow_redirects=False) as answered:
            late = Answer(answered.status, answered.headers, await answered.text())
        assert late.status == 401, screen.path
        carried_on = carried.unpack(kept(late)["kept"])
        assert carried_on == Carried(writer="admin", path=path(screen), fields=[("why", "all of it")]), screen.path
        assert await everything(Caller(visitor.url, visitor.session, visitor.engine)) == before


@on_sqlite
async def test_a_form_of_an_earlier_session_is_asked_about_in_a_later_one(enter: Enter) -> None:
    # Given a page that is open while its user signs in anew in another tab
    visitor = await signed_in(enter, "publisher")
    old = visitor.token
    await visitor.post("/sign-out")
    await visitor.sign_in("publisher")
    data = {"csrf": old, "writer": "publisher", "name": "mia", "email": "mia@example.com"}
    url = f"{visitor.url}/console/contacts"

    # When its form is sent, then it is asked about; from another site it is refused
    async with visitor.session.post(url, data=data, headers={"Origin": visitor.url}) as answered:
        assert (answered.status, "Submit your form now?" in await answered.text()) == (403, True)
    for other in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site", "Origin": visitor.url}):
        async with visitor.session.post(url, data=data, headers=other) as answered:
            assert (answered.status, "mia@" in await answered.text()) == (403, False)
    assert await contacts.every(visitor.engine.database) == []


@on_sqlite
async def test_passwords_are_kept_by_no_page(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    visitor.clock.advance(IDLE)

    secret = {"old": PASSWORD, "new": "a few plain words", "again": "a few plain words"}
    late = await visitor.post("/account/password", **secret, writer="viewer")
    asked = await come_back(visitor, late, "viewer")

    assert (carried.unpack(kept(late)["kept"]) or Carried(writer="", path="", fields=[("", "")])).fields == []
    assert "Enter your passwords again" in says(asked)
    assert 'href="/console/account"' in asked.body


@pytest.mark.parametrize("odd", ["", "x", "!!", "eJw=", "eJyrVkrOSCwqSk1RqgUAHqIE3A=="])
@on_sqlite
async def test_what_is_no_kept_form_is_passed_over(enter: Enter, odd: str) -> None:
    visitor = enter()
    await visitor.get("/sign-in")

    answer = await visitor.post("/sign-in", name="viewer", password=PASSWORD, kept=odd)

    assert (answer.status, answer.headers["Location"]) == (303, "/console/health")


@on_sqlite
async def test_every_page_says_whom_its_forms_are_for(enter: Enter) -> None:
    visitor = await signed_in(enter, "admin")

    for screen in (each for each in SCREENS if each.method == "GET" and each.title):
        body = (await visitor.get(screen.path)).body
        assert body.count('name="csrf"') == body.count('name="writer" value="admin"'), screen.path
