"""Test contacts: colleagues who agreed to receive tests of texts. They are never recipients."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.channels import channels, spec
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Private
from notifier.store.core import audit, rows
from notifier.store.core.database import Database
from notifier.store.core.staff import test_contact


class Contact(Private, frozen=True, kw_only=True):
    """A test contact; `phone` is E.164, `token` an FCM registration token. `own` are addresses that are of one channel
    alone, by the channel's name, as a recipient has them."""

    name: str
    phone: str | None = None
    email: str | None = None
    token: str | None = None
    own: Mapping[str, Any] = {}

    def address(self, channel: Channel) -> Any:
        """The contact's address on a channel: a text, or an object where it is of this channel alone; None where there
        is none."""
        field = spec(channel).contact
        return getattr(self, field) if field else self.own.get(channel)

    @property
    def channels(self) -> list[Channel]:
        """The channels on which the contact can be reached."""
        return [channel for channel in channels() if self.address(channel)]


async def every(database: Database) -> list[Contact]:
    """All test contacts by name."""

    async def work(connection: AsyncConnection) -> list[Contact]:
        found = await connection.execute(sa.select(test_contact).order_by(test_contact.c.name))
        return [_contact(row) for row in found]

    return await database.read(work)


async def find(database: Database, name: str) -> Contact | None:
    """The test contact with this name."""

    async def work(connection: AsyncConnection) -> Contact | None:
        row = (await connection.execute(sa.select(test_contact).where(test_contact.c.name == name))).first()
        return None if row is None else _contact(row)

    return await database.read(work)


async def put(database: Database, contact: Contact, actor: str, now: int) -> None:
    """Write a test contact; addresses of an existing contact that the new one lacks stay as they are."""
    given = {name: value for name, value in msgspec.structs.asdict(contact).items() if value}
    own = given.pop("own", None)
    held = sa.select(test_contact.c.addresses).where(test_contact.c.name == contact.name)

    async def work(connection: AsyncConnection) -> None:
        before = await rows.hold(connection, database.dialect, test_contact, held, {"name": contact.name})
        new = given if own is None else given | {"addresses": {**_own(before and before.addresses), **own}}
        if len(new) > 1:  # without an address there is nothing to write
            statement = rows.upsert(database.dialect, test_contact, [test_contact.c[name] for name in new])
            await connection.execute(statement, {"rows": [new]})
        await _tell(connection, database.dialect, now, actor, "contact.put", contact.name)

    await database.write(work)


async def remove(database: Database, name: str, actor: str, now: int) -> bool:
    """Delete a test contact; False where there was none."""

    async def work(connection: AsyncConnection) -> bool:
        gone = await connection.execute(sa.delete(test_contact).where(test_contact.c.name == name))
        if gone.rowcount:
            await _tell(connection, database.dialect, now, actor, "contact.remove", name)
        return gone.rowcount == 1

    return await database.write(work)


async def _tell(connection: AsyncConnection, dialect: str, now: int, actor: str, action: str, name: str) -> None:
    await audit.add(connection, dialect, [audit.AuditEntry(at=now, actor=actor, action=action, subject=name)])


def _contact(row: sa.Row[Any]) -> Contact:
    told = dict(row._mapping)  # noqa: SLF001 (a public name)
    return Contact(own=_own(told.pop("addresses")), **told)


def _own(document: str | None) -> dict[str, Any]:
    return msgspec.json.decode(document, type=dict[str, Any]) if document else {}
