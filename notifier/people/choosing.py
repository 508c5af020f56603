"""What people choose for themselves by the links that they were sent: in force at once, and in their history."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.domain.consent import Consent
from notifier.domain.effects import What
from notifier.domain.links import Unsubscribe
from notifier.domain.preferences import Preferences, switched_off
from notifier.policy import Spot
from notifier.store.core import choices
from notifier.store.core.buckets import of_person
from notifier.store.core.database import Database
from notifier.store.delivery import effect_places, effects
from notifier.store.people import consents, preferences

PERSON = "person"
"""The actor in the history and the consent ledger: whoever had the person's link."""


class Said(msgspec.Struct, frozen=True):
    """A change of marketing consent, with the page and the words that it was given to; `what` counts what is switched
    off, None nothing, of the delivery that it came with where that is known; else of the message that they got last."""

    given: Mapping[Spot, bool]
    source: str
    wording: str
    what: What | None = What.SWITCHED_OFF
    delivery_id: str = ""


async def switch(
    database: Database, link: Unsubscribe, said: Said, *, on: bool, now: int, categories: Mapping[str, str]
) -> bool:
    """Switch a link's category on its channel; False where there is no such person. Repeating it changes nothing."""
    step = partial(policy.switch, changed={(link.category, link.channel): on})
    return await save(database, link.recipient_id, step, said, now, categories)


@of_person
async def save(
    database: Database, recipient_id: str, step: Callable[[Preferences], Preferences], said: Said, now: int,
    categories: Mapping[str, str],
) -> bool:  # fmt: skip
    """Save a person's preferences and consents; False where there is no such person. `categories` are those of
    notification types, by which it is counted what led to it."""
    words = [
        Consent(
            category=category, channel=channel.value, granted=granted, wording=said.wording,
            source=said.source,
        )
        for (category, channel), granted in said.given.items()
    ]  # fmt: skip

    async def work(connection: AsyncConnection) -> bool:
        dialect = database.dialect
        changed = await preferences.take_steps(connection, dialect, {recipient_id: step}, PERSON, now)
        if recipient_id not in changed:
            return False
        await _count(connection, dialect, said, recipient_id, switched_off(*changed[recipient_id]), now, categories)
        if words:
            await consents.append(connection, dialect, {recipient_id: words}, PERSON, now)
        return True

    return await database.write(work)


async def _count(
    connection: AsyncConnection, dialect: str, said: Said, recipient_id: str, off: Sequence[tuple[str, str]], now: int,
    categories: Mapping[str, str],
) -> None:  # fmt: skip
    if said.what is None or not off:
        return
    if said.delivery_id and await effect_places.add_deeds(connection, dialect, [(said.delivery_id, said.what)]):
        return
    got = await choices.got_last(connection, dialect, [recipient_id], now)
    await effects.add(connection, dialect, choices.of_choices(said.what, off, got, categories, now))
