"""Tests that staff send themselves, and the contacts that they go to: whom nothing goes to, and what no page shows."""

from notifier.console.tester import MOST
from notifier.domain.deliveries import Reason
from notifier.runtime.settings import Settings
from notifier.store.console import contacts
from notifier.store.console.contacts import Contact
from notifier.store.core import audit
from notifier.store.core.database import Database
from notifier.store.people import suppressions
from notifier.store.people.suppressions import Suppression
from tests.api.conftest import on_sqlite
from tests.console.conftest import Enter, opened, signed_in
from tests.console.words import NUMBER, SHORT, TYPE, says, told, write
from tests.named import SMS
from tests.samples import NOW


async def test_a_test_goes_only_to_a_contact_of_a_sample_and_not_too_often(desk: Enter) -> None:
    # Given two contacts, of whom one has written STOP
    visitor = await signed_in(desk, "author")
    database = visitor.engine.database
    stopped = "+4915187654321"
    for contact in (Contact(name="mia", phone=NUMBER), Contact(name="tom", phone=stopped), Contact(name="eva")):
        await contacts.put(database, contact, "cli:test", NOW)
    key = (await suppressions.address_key(database))(SMS, stopped)
    async with database.engine.begin() as connection:
        await suppressions.add(connection, database.dialect, [Suppression(key, Reason.STOPPED)], NOW)

    # When tests go to nobody, to who has no phone, and to who wrote STOP
    for name, why in (
        ("ada", "choose a test contact"), ("eva", "has no address for sms"), ("tom", "is suppressed"),
    ):  # fmt: skip
        answer = await write(visitor, SHORT, "test", contact=name)
        assert (answer.status, why in says(answer)) == (422, True), name
    assert await told(visitor, "text.test") == []

    # Then nothing went out; what does is in the audit, whatever the provider says
    answer = await write(visitor, SHORT, "test", contact="mia")
    assert "Not sent: sms says unconfigured" in says(answer)
    assert await told(visitor, "text.test") == [("console:author", "text.test", TYPE, "sms de of draft 1 to mia")]

    # And after so many of them one has to wait
    for number in range(MOST):
        entry = audit.AuditEntry(at=NOW, actor="console:author", action="text.test", subject=TYPE, detail=str(number))
        await audit.tell(database, entry)
    answer = await write(visitor, SHORT, "test", contact="mia")
    assert (answer.status, "Wait a little" in says(answer)) == (429, True)


@on_sqlite
async def test_a_provider_that_cannot_be_set_up_here_stops_no_other_channel(database: Database, valkey: str) -> None:
    async with opened(database, valkey, Settings(channels={"push_providers": "fcm:///none.json"})) as enter:
        visitor = await signed_in(enter, "author")
        await contacts.put(database, Contact(name="mia", phone=NUMBER), "cli:test", NOW)

        answer = await write(visitor, SHORT, "test", contact="mia")

    assert answer.status == 200
    assert "Not sent: sms says unconfigured" in says(answer)
    assert "/none.json" not in says(answer)


async def test_another_address_of_a_contact_takes_away_none_that_the_form_did_not_show(desk: Enter) -> None:
    visitor = await signed_in(desk, "publisher")
    await visitor.get("/contacts")
    await visitor.post("/contacts", name="mia", phone="+49 151 12345678", email="mia@example.com")

    await visitor.post("/contacts", name="mia", phone="", email="", token="t-1")
    await visitor.post("/contacts", name="mia", phone="+49 151 87654321")

    assert await contacts.find(visitor.engine.database, "mia") == Contact(
        name="mia", phone="+4915187654321", email="mia@example.com", token="t-1"
    )


async def test_contacts_are_kept_with_addresses_that_no_page_shows(desk: Enter) -> None:
    visitor = await signed_in(desk, "publisher")
    await visitor.get("/contacts")

    wrong = await visitor.post("/contacts", name="m i", phone="123", email="x", token="a b")
    nothing = await visitor.post("/contacts", name="mia")
    kept = await visitor.post("/contacts", name="mia", phone="+49 151 12345678", email="Mia@Example.com", token="t-1")

    assert (wrong.status, nothing.status, kept.status) == (422, 422, 303)
    for said in ("One word", "phone must be a number", "email must be one", "token must be"):
        assert said in says(wrong)
    assert "Give at least one address." in says(nothing)
    page = (await visitor.get("/contacts")).body
    assert "push, sms, email" in page
    assert "12345678" not in page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert await contacts.find(visitor.engine.database, "mia") == Contact(
        name="mia", phone=NUMBER, email="Mia@example.com", token="t-1"
    )
    assert (await visitor.post("/contacts/remove", name="mia")).status == 303
    assert (await visitor.post("/contacts/remove", name="mia")).status == 404
    audited = await told(visitor, "contact.put", "contact.remove")  # both perhaps within a millisecond
    assert sorted(each[1:3] for each in audited) == [("contact.put", "mia"), ("contact.remove", "mia")]
