"""Suppressed addresses, kept as keyed hashes: the list stops messages to them and names nobody."""

import hmac
from collections.abc import Callable, Collection
from functools import cache, partial

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.channels import spec
from notifier.domain.deliveries import Channel, Reason
from notifier.store.core import rows, secrets
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, recipient, suppression
from notifier.store.core.twins import of_tests
from notifier.store.people.addresses import KEYED

KEY_BITS = 128  # bits of the HMAC's 256: enough that no two addresses collide

AddressKey = Callable[[Channel, str], str]
"""Gives the key of a number (E.164) or a mailbox."""

ADDRESS_KEY = sa.case(*((delivery.c.channel == channel, recipient.c[column]) for channel, column in KEYED.items()))
"""The key of the address that a delivery goes to, where the two tables are joined."""


class Suppression(msgspec.Struct, frozen=True):
    """A suppressed address by its key, and the reason."""

    address_key: str
    reason: Reason


async def address_key(database: Database) -> AddressKey:
    """A function from addresses to keys: stable within one database, different in every other."""
    return partial(_key, await secrets.get(database, "address"))


def _key(secret: bytes, channel: Channel, address: str) -> str:
    canonical = spec(channel).canonical
    return _digest(secret, f"{channel}:{address if canonical is None else canonical(address)}")


def _digest(secret: bytes, told: str) -> str:
    return hmac.digest(secret, told.encode(), "sha256").hex()[: KEY_BITS // 4]


async def add(connection: AsyncConnection, dialect: str, suppressions: Collection[Suppression], now: int) -> int:
    """Suppress addresses; returns how many are new. A person's own stop takes precedence over a provider's report."""
    if not suppressions:
        return 0
    stops_last = sorted(suppressions, key=lambda each: each.reason == Reason.STOPPED)
    found = {each.address_key: each.reason for each in stops_last}
    new = [{"address_key": key, "reason": reason, "since": now} for key, reason in found.items()]
    news = (await connection.execute(_insert(dialect), {"rows": new})).rowcount
    if stopped := [{"address_key": key} for key, reason in found.items() if reason == Reason.STOPPED]:
        parameters = {"rows": stopped, "now": now}
        news += (await connection.execute(_stop(dialect), parameters)).rowcount
    return news


async def lift_stop(connection: AsyncConnection, key: str) -> bool:
    """Lift a person's stop of a number; whether there was one. A provider's report stays."""
    lift = sa.delete(suppression).where(suppression.c.address_key == key, suppression.c.reason == Reason.STOPPED)
    return (await connection.execute(lift)).rowcount == 1


async def reason(database: Database, channel: Channel, address: str) -> Reason | None:
    """Why an address is suppressed; None where it isn't."""
    key = (await address_key(database))(channel, address)
    query = sa.select(suppression.c.reason).where(suppression.c.address_key == key)

    async def work(connection: AsyncConnection) -> Reason | None:
        found = (await connection.execute(query)).scalar()
        return None if found is None else Reason(found)

    return await database.read(work)


async def still_held(
    connection: AsyncConnection, dialect: str, named: Collection[tuple[str, Suppression]]
) -> set[tuple[str, Suppression]]:
    """Of deliveries (by id) and addresses, the pairs whose recipient still has that address; none of a test, of which
    no provider can have told."""
    if not named:
        return set()
    wanted = [{"id": id_, "address_key": each.address_key} for id_, each in named]
    found = await connection.execute(_held(dialect), {"rows": wanted})
    held = {(row.id, row.address_key) for row in found}
    return {(id_, each) for id_, each in named if (id_, each.address_key) in held}


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, suppression, list(suppression.c))


@cache
def _stop(dialect: str) -> sa.Update:
    stopped = rows.batch(dialect, [suppression.c.address_key])
    return (
        sa.update(suppression)
        .where(suppression.c.address_key == stopped.c.address_key, suppression.c.reason != Reason.STOPPED)
        .values(reason=Reason.STOPPED.value, since=sa.bindparam("now"))
    )


@cache
def _held(dialect: str) -> sa.Select[tuple[str, str]]:
    wanted = rows.batch(dialect, [delivery.c.id, suppression.c.address_key])
    return (
        sa.select(wanted.c.id, wanted.c.address_key)
        .select_from(wanted)
        .join(delivery, delivery.c.id == wanted.c.id)
        .join(recipient, recipient.c.id == delivery.c.recipient_id)
        .where(wanted.c.address_key == ADDRESS_KEY, of_tests(delivery.c.type, test=False))
    )
