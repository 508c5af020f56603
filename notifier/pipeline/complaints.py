"""Complaints: a person called one of our mails spam, so they get no more marketing by e-mail.

Reports come at least once, in any order, and from anybody. One counts where it names a mail that went out, and once.
Whoever can name it had the mail, and with it the link that unsubscribes from it.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import TOLD, Channel
from notifier.domain.twins import is_test
from notifier.store.core.buckets import over
from notifier.store.core.database import Database
from notifier.store.delivery import complaints
from notifier.store.delivery.complaints import Complained


def _any(found: Sequence[list[bool]]) -> list[bool]:
    return [any(of_one) for of_one in zip(*found, strict=True)]


@over(_any)
async def take(database: Database, deliveries: Sequence[str], now: int) -> list[bool]:
    """Heed the complaints of these deliveries in one transaction; which of them were news. Each delivery is in one
    bucket, which nobody can tell by its id: all are asked, and where it isn't known it changes nothing."""

    async def work(connection: AsyncConnection) -> list[bool]:
        found = await complaints.read(connection, database.dialect, set(deliveries))
        credible = {named: each for named, each in found.items() if _is_credible(each)}
        new = await complaints.take(connection, database.dialect, list(credible.values()), now)
        news = []
        for named in deliveries:
            told = credible.get(named)
            news.append(told is not None and told.id in new)
            new -= {told.id} if told is not None else set()
        return news

    return await database.write(work)


def _is_credible(told: Complained) -> bool:
    """Whether a person can have complained of a delivery: a mail that went out, and no test, which went to nobody."""
    return told.channel == Channel("email") and told.state in TOLD and not is_test(told.type)
