"""What messages achieved, of types within bounds: read once, and told alike by the API, the shell and the console."""

from collections.abc import Mapping

from notifier.domain.catalog import AwaitedOutcome, Catalog
from notifier.domain.figures import By, Figures, Span, cuts, figures
from notifier.domain.twins import twin
from notifier.store.core.database import Database
from notifier.store.delivery import effects

NO_TYPE = ""
"""The type of what people do about all messages at once, such as a STOP."""


async def look(
    database: Database, outcomes: Mapping[str, AwaitedOutcome | None], span: Span, now: int,
    by: By | None = None, *, test: bool = False,
) -> list[Figures]:  # fmt: skip
    """Return the figures of the types that `outcomes` names, with the outcome of each; of their tests where asked."""
    types = [twin(each) if test else each for each in outcomes]
    if not types:
        return []
    awaited = [each for each in outcomes.values() if each is not None]
    apart = {"hour" if by == "day" else by, "after"} if by is not None else {"after"}
    found = await effects.read(database, *span, types, by=apart, cuts=cuts(awaited, span, now))
    return figures(found, outcomes, now, by)


def of_catalog(catalog: Catalog) -> dict[str, AwaitedOutcome | None]:
    """The outcome of each type, and that there is none of what is of no type."""
    return {**{kind.id: kind.outcome for kind in catalog.types.values()}, NO_TYPE: None}
