"""Read what is known of the people that events name, and plan their deliveries, for `decide` and `simulate` alike."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.catalog import Catalog
from notifier.domain.events import Event
from notifier.domain.recipients import Recipient
from notifier.pipeline.often import Often
from notifier.pipeline.plan import Plan, make_plan
from notifier.pipeline.spending import read_spent
from notifier.runtime.stages import Stage, meter


async def read_and_plan(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Sequence[Event], now: int,
    members: Mapping[str, list[Recipient]], *, hold: bool = True, often: Often | None = None,
) -> Plan:  # fmt: skip
    """The rows for a batch of events, by what is known of the people they name; nothing is written.

    `members` are those of each audience. Without `hold` nobody's place under a cap is kept for them; with `often` it is
    counted only of those whom the process decides about often what a type told them.
    """
    spent = await read_spent(connection, dialect, catalog, batch, members, now, hold=hold, often=often)
    with meter(Stage.DECIDE):
        return make_plan(catalog, batch, members, now, spent)
