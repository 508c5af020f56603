"""Collect: put deliveries into digests, inside the decision's transaction."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.deliveries import Reason, State
from notifier.domain.events import Event
from notifier.domain.ids import dated, instant_of, make_id
from notifier.store.delivery import deliveries, digests
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.delivery.digests import OpenDigest


async def collect(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Iterable[Event], new: Sequence[NewDelivery],
    now: int,
) -> list[NewDelivery]:  # fmt: skip
    """The deliveries, with the digest of each that is collected, and the digests that are opened for them.

    An item joins a digest that nobody has taken up and that goes out while the item is of use; else it opens one. Open
    digests stay locked until the transaction ends, so that none is claimed before its items are there.
    """
    items = [each for each in new if each.state == State.COLLECTED]
    if not items:
        return list(new)
    data = {event.id: event.data for event in batch}
    groups = {
        item.id: policy.digest_group(catalog.with_twins[item.type], data[item.event_id], item.recipient_id)
        for item in items
    }
    wanted = {item.id: _id(catalog.with_twins[item.type], groups[item.id], item.due_at) for item in items}
    # Looked up first: an existing digest that is not open has already been processed.
    taken = await deliveries.existing(connection, dialect, sorted(set(wanted.values())))
    found = await digests.take_open(connection, dialect, sorted(set(groups.values())), now)
    opened: dict[str, NewDelivery] = {}
    joined: dict[str, str] = {}
    for item in sorted(items, key=lambda item: item.expires_at):
        digest = _joinable(found, groups[item.id], item)
        if digest is None:
            # If two workers open the same digest at once, the second finds it and decides again. If the digest was sent
            # early, this item begins another.
            free = wanted[item.id] not in taken and wanted[item.id] not in opened
            id_ = wanted[item.id] if free else dated(make_id("digest", item.id), instant_of(item.id))
            opened[id_] = _digest(catalog.with_twins[item.type], item, id_, groups[item.id], now)
            digest = OpenDigest(
                id=id_, subject_key=groups[item.id], due_at=opened[id_].due_at, expires_at=opened[id_].expires_at
            )
            found.append(digest)
        joined[item.id] = digest.id
    kept = [
        msgspec.structs.replace(each, digest_id=joined[each.id], due_at=now) if each.id in joined else each
        for each in new
    ]
    return [*kept, *opened.values()]


def _joinable(found: Iterable[OpenDigest], group: str, item: NewDelivery) -> OpenDigest | None:
    return next(
        (
            digest
            for digest in found
            if digest.subject_key == group and digest.due_at < item.expires_at <= digest.expires_at
        ),
        None,
    )


def _id(kind: NotificationType, group: str, due_at: int) -> str:
    """The id of a digest: the same for all workers that open it at about the same time. It has the date of the window
    before its own, which has begun."""
    span = 1 if kind.digest is None else kind.digest.milliseconds
    window = due_at // span
    return dated(make_id("digest", group, str(window)), (window - 1) * span)


def _digest(kind: NotificationType, item: NewDelivery, id_: str, group: str, now: int) -> NewDelivery:
    """The digest that an item opens. It expires no earlier than any item that can join before it is due."""
    return msgspec.structs.replace(
        item, id=id_, subject_key=group, state=State.PENDING, reason=Reason.DIGEST, expires_at=item.due_at + kind.ttl,
        next_check_at=item.due_at, digest_id=id_, updated_at=now,
    )  # fmt: skip
