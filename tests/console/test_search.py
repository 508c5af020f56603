"""Finding a person by what support has at hand: a number, a mailbox, an id in another case; and who may."""

import pytest

from notifier.console.lookup import MOST_LETTERS, cases
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.staff import audit
from notifier.store.people import erasures, recipients
from tests.console.conftest import Enter, signed_in
from tests.samples import NOW


async def test_an_operator_finds_a_person_by_number_mailbox_or_id_and_nothing_of_it_is_in_an_address(
    enter: Enter,
) -> None:
    # Given a person
    visitor = await signed_in(enter, "operator")
    ada = RecipientDetails(name="Ada", phone="+4915112345678", email="Ada@Example.com")
    await recipients.put(visitor.engine.database, {"driver-7": ada}, NOW)

    # When an operator asks in any notation, then they are led to the person
    for asked in ("+49 151 12345678", "+49 (151) 123-45678", "ada@example.COM", "ADA@EXAMPLE.COM", "DRIVER-7"):
        answer = await visitor.post("/search", q=asked)
        assert (answer.status, answer.headers.get("Location")) == (303, "/console/activity?recipient=driver-7"), asked

    # And the audit tells who was found by the hash that stays of them once they are erased, and holds no address
    lines = [row for row in await visitor.rows(audit) if row.action == "person.find"]
    hashed = (await erasures.pseudonym(visitor.engine.database))("driver-7")
    assert {(row.actor, row.subject) for row in lines} == {("console:operator", hashed)}
    assert "12345678" not in str(lines)
    assert "example" not in str(lines).lower()


@pytest.mark.parametrize("asked", ["driver-42", "DRIVER-42", "dRiVeR-42", "Driver-42", "DriVer-42"])
async def test_an_id_is_found_in_any_case_whichever_it_is_kept_in(enter: Enter, asked: str) -> None:
    visitor = await signed_in(enter, "viewer")
    await recipients.put(visitor.engine.database, {"DriVer-42": RecipientDetails(name="Ada")}, NOW)

    assert (await visitor.post("/search", q=asked)).headers["Location"] == "/console/activity?recipient=DriVer-42"


@pytest.mark.parametrize(
    ("asked", "number"), [("a" * MOST_LETTERS, 1024), ("a" * (MOST_LETTERS + 1), 3), ("x" * 5_000, 3), ("1" * 5_000, 1)]
)
def test_the_cases_that_an_id_is_looked_for_in_are_few(asked: str, number: int) -> None:
    assert len(cases(asked)) == number


async def test_who_may_not_operate_finds_nobody_by_an_address(enter: Enter) -> None:
    visitor = await signed_in(enter, "viewer")
    await recipients.put(visitor.engine.database, {"ada": RecipientDetails(phone="+4915112345678")}, NOW)

    by_number, by_id = await visitor.post("/search", q="+4915112345678"), await visitor.post("/search", q="ADA")

    assert (by_number.status, by_id.status) == (404, 303)


@pytest.mark.parametrize("odd", ["x" * 5_000, "é", "\N{GRINNING FACE}", "+", "@", "a\0", "+00", "'\"\\"])
async def test_what_names_nobody_is_not_found(enter: Enter, odd: str) -> None:
    visitor = await signed_in(enter, "admin")

    assert (await visitor.post("/search", q=odd)).status in (400, 404)


async def test_a_shared_number_names_everybody_who_has_it(enter: Enter) -> None:
    visitor = await signed_in(enter, "admin")
    both = {name: RecipientDetails(phone="+4915112345678") for name in ("ada", "bob")}
    await recipients.put(visitor.engine.database, both, NOW)

    answer = await visitor.post("/search", q="+4915112345678")

    assert answer.status == 200
    assert all(f"/console/activity?recipient={name}" in answer.body for name in both)
