"""What people choose for themselves by the links that they were sent: in force at once, and in their history."""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.links import Unsubscribe
from notifier.policy import Spot
from notifier.preferences import Preferences
from notifier.store import preferences
from notifier.store.database import Database

PERSON = "person"
"""Who chose, in the history: whoever held a link of theirs."""


class Said(msgspec.Struct, frozen=True):
    """To which marketing somebody consents or no longer does, where they said so and to which words."""

    given: Mapping[Spot, bool]
    source: str
    wording: str


async def switch(database: Database, link: Unsubscribe, said: Said, *, on: bool, now: int) -> bool:
    """Switch a link's category on its channel; whether there is such a person. Once more changes nothing."""
    apply = partial(policy.switch, changed={(link.category, link.channel): on})
    return await save(database, link.recipient_id, apply, said, now)


async def save(
    database: Database, recipient_id: str, apply: Callable[[Preferences], Preferences], said: Said, now: int
) -> bool:
    """Change a person's preferences, and their consents with them; whether there is such a person."""

    async def work(connection: AsyncConnection) -> bool:
        dialect = database.dialect
        found = await preferences.change(connection, dialect, recipient_id, apply, PERSON, now)
        if found:
            await record_consents(connection, dialect, recipient_id, said, now)
        return found

    return await database.write(work)


async def record_consents(connection: AsyncConnection, dialect: str, recipient_id: str, said: Said, now: int) -> None:
    """Append what somebody said to the consent ledger."""
