"""What was stored before identifiers had one form gets it by the upgrade, which may be run again."""

import sqlalchemy as sa
from alembic import command

from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText
from notifier.domain.deliveries import Reason
from notifier.domain.recipients import RecipientDetails
from notifier.store.core import migrate, secrets
from notifier.store.core.database import Database
from notifier.store.core.schema import membership, recipient, suppression
from notifier.store.people import recipients, suppressions, topics
from tests.named import SMS
from tests.samples import NOW

VERSION = sa.text("UPDATE alembic_version SET version_num = :revision")


async def again(database: Database) -> None:
    """Run the revision once more, as if it had been killed at its end."""
    newest, _ = await migrate.revisions(database)
    async with database.engine.begin() as connection:
        await connection.execute(VERSION, {"revision": "0010"})
        await connection.run_sync(lambda sync: command.upgrade(migrate.config(sync), "0011"))
        await connection.execute(VERSION, {"revision": newest})


async def test_tokens_and_topics_that_were_stored_in_small_letters_are_found(database: Database) -> None:
    await recipients.put(database, {"ada": RecipientDetails(tokens=["x"]), "bea": RecipientDetails()}, NOW)
    rows = [("token:nl-c1", "ada", 0), ("topic:be*e1", "bea", 0), ("topic:BE*E1", "bea", 0), ("fleet:acme", "bea", 2)]
    async with database.engine.begin() as connection:
        columns = ("audience", "recipient_id", "position")
        await connection.execute(sa.insert(membership), [dict(zip(columns, row, strict=True)) for row in rows])

    for _ in range(2):
        await again(database)

    async with database.engine.connect() as connection:
        found = {
            (row.audience, row.recipient_id, row.position) for row in await connection.execute(sa.select(membership))
        }
    assert found == {
        ("driver:ada", "ada", 0), ("driver:bea", "bea", 0), ("token:X", "ada", 0), ("token:NL-C1", "ada", 0),
        ("topic:BE*E1", "bea", 0), ("fleet:acme", "bea", 2),
    }  # fmt: skip
    assert await topics.subscribers(database, "be*E1", "", 10) == ["bea"]


async def test_a_stop_that_came_from_an_old_form_of_a_number_is_heeded_for_the_new_one(database: Database) -> None:
    """Given a STOP that was kept under the key of +52 1 …, and another key than today's on a person's row
    When the schema is upgraded
    Then the person's number is stopped, and their row has the key of their line."""
    people = {"mx": RecipientDetails(phone="+525512345678"), "ar": RecipientDetails(phone="+541123456789")}
    await recipients.put(database, people, NOW)
    old = suppressions._digest(await secrets.get(database, "address"), "sms:+5215512345678")
    async with database.engine.begin() as connection:
        row = {"address_key": old, "reason": Reason.STOPPED.value, "since": NOW}
        await connection.execute(sa.insert(suppression).values(row))
        await connection.execute(sa.update(recipient).where(recipient.c.id == "ar").values(phone_key="0" * 32))

    for _ in range(2):
        await again(database)

    assert await suppressions.reason(database, SMS, "+525512345678") == Reason.STOPPED
    assert await suppressions.reason(database, SMS, "+541123456789") is None
    key = (await suppressions.address_key(database))(SMS, "+5491123456789")
    async with database.engine.connect() as connection:
        query = sa.select(recipient.c.phone_key).where(recipient.c.id == "ar")
        assert (await connection.execute(query)).scalar() == key


async def test_a_stop_counts_for_the_line_whichever_form_of_its_number_it_comes_from(database: Database) -> None:
    for number, (old, new) in enumerate(
        [
            ("+5215512345678", "+525512345678"), ("+551181234567", "+5511981234567"),
            ("+22997123456", "+2290197123456"),
            ("+541123456789", "+5491123456789"), ("+22507123456", "+2250707123456"),
        ]
    ):  # fmt: skip
        await recipients.put(database, {f"p{number}": RecipientDetails(phone=new, locale="es")}, NOW)

        said = await heed(database, IncomingText(sid=f"SM{number}", number=old, body="STOP"), NOW)

        assert said is not None
        assert said[1] == "es"
        assert await suppressions.reason(database, SMS, new) == Reason.STOPPED
