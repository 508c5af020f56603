"""Recipients' addresses. Addresses that only one channel uses are a JSON object on the row, keyed by channel."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.addresses import Addresses, laid_upon
from notifier.domain.channels import KnownAddresses, Reach, specs
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Device, Private
from notifier.store.core import rows
from notifier.store.core.schema import device, recipient

NO_OWN: Final[Mapping[str, Any]] = {}

KEYED: Final = {channel: f"{spec.key}_key" for channel, spec in specs().items() if spec.key is not None}
"""The columns with the keys of the addresses that may be suppressed, by channel."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Gone(Private, frozen=True, kw_only=True):
    """An address that its provider reports as gone: a device by its id, or a recipient's address for one channel
    (`own`), as it was when the message was sent."""

    channel: Channel
    recipient_id: str
    device_id: str | None = None
    own: Any = None


def own(document: str | None) -> Mapping[str, Any]:
    """Addresses that only one channel uses, from the column `addresses`."""
    return _decode(document) if document else NO_OWN


def known(row: Any, devices: bool) -> KnownAddresses:
    """The kinds of address that a row of `recipient` has."""
    return KnownAddresses(row.email is not None, row.phone is not None, devices, frozenset(own(row.addresses)))


def reach(row: Any) -> Reach:
    """The addresses in a row with a person's columns and one device's as `device_…`."""
    its = None
    if row.device_value is not None:
        its = Device(kind=row.device_kind, value=row.device_value, platform=row.device_platform)
    return Reach(name=row.name, email=row.email, phone=row.phone, device=its, own=own(row.addresses))


async def replace(connection: AsyncConnection, dialect: str, given: Mapping[str, Addresses]) -> None:
    """Overwrite the single-channel addresses of the recipients given; an empty object clears those of all channels that
    are known here."""
    if given:
        found = await connection.execute(_held(dialect), {"rows": rows.names(sorted(given))})
        wanted = [{"id": row.id, "addresses": laid_upon(own(row.addresses), given[row.id])} for row in found]
        await connection.execute(_replace(dialect), {"rows": wanted})


async def forget(connection: AsyncConnection, gone: Sequence[Gone]) -> None:
    """Forget addresses that are gone, in a transaction that has locked their people; one replaced meanwhile stays."""
    if devices := [each.device_id for each in gone if each.device_id is not None]:
        await connection.execute(sa.delete(device).where(device.c.id.in_(devices)))
    for each in (each for each in gone if each.device_id is None):
        mine = recipient.c.id == each.recipient_id
        found = await connection.execute(sa.select(recipient.c.addresses).where(mine))
        held = dict(own(found.scalar()))
        if held.get(each.channel) == each.own:
            del held[each.channel]
            left = msgspec.json.encode(held).decode()
            await connection.execute(sa.update(recipient).where(mine).values(addresses=left))


@cache
def _held(dialect: str) -> sa.Select[Any]:
    return rows.locked(dialect, [recipient.c.id, recipient.c.addresses])


@cache
def _replace(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [recipient.c.id, recipient.c.addresses])
    return sa.update(recipient).where(recipient.c.id == wanted.c.id).values(addresses=wanted.c.addresses)
