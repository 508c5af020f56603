"""Read what is known of the people that events name, and plan their deliveries, for `decide` and `simulate` alike."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.domain.catalog import Catalog
from notifier.domain.events import Event
from notifier.domain.experiments import NONE, Running
from notifier.domain.recipients import Recipient
from notifier.pipeline.often import Often
from notifier.pipeline.plan import Plan, make_plan
from notifier.pipeline.spending import read_spent
from notifier.runtime.stages import Stage, meter

Dates = Callable[[AsyncConnection, str, Mapping[str, int]], Awaitable[Mapping[str, int]]]
"""`identities.first_seen` or `identities.known`."""


async def with_first_seen(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Iterable[Event], dates: Dates
) -> list[Event]:
    """The events, with the instants at which the first ones were accepted that say the same."""
    told = {
        event.id: {
            kind.id: policy.collapse_key(kind, event.data)
            for kind in catalog.listeners.get(event.type, [])
            if not kind.in_place
        }
        for event in batch
    }
    seen: dict[str, int] = {}
    for event in batch:
        for key in told[event.id].values():
            seen[key] = min(event.accepted_at, seen.get(key, event.accepted_at))
    first = await dates(connection, dialect, seen)
    return [
        msgspec.structs.replace(event, first_seen={kind: first[key] for kind, key in told[event.id].items()})
        for event in batch
    ]


async def read_and_plan(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Sequence[Event], now: int,
    members: Mapping[str, list[Recipient]], running: Running = NONE, *, hold: bool = True, often: Often | None = None,
) -> Plan:  # fmt: skip
    """The rows for a batch of events, by what is known of the people they name; nothing is written.

    `members` are those of each audience. Without `hold` nobody's place under a cap is kept for them; with `often` it is
    counted only of those whom the process decides about often what a type told them.
    """
    spent = await read_spent(connection, dialect, catalog, batch, members, now, hold=hold, often=often)
    with meter(Stage.DECIDE):
        return make_plan(catalog, batch, members, now, spent, running)
