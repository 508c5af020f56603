"""What messages achieved, of types within bounds: read once, and told alike by the API, the shell and the console."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping

import msgspec

from notifier.domain.catalog import AwaitedOutcome, Catalog
from notifier.domain.effects import ANY, Effect
from notifier.domain.figures import By, Figures, Span, cuts, figures
from notifier.domain.twins import twin
from notifier.store.core.database import Database
from notifier.store.delivery import effects

Outcomes = Mapping[str, AwaitedOutcome | None]
"""The outcome of each type that is asked for, by its id."""


async def look(
    database: Database, outcomes: Outcomes, span: Span, now: int, by: By | None = None, *, test: bool = False
) -> list[Figures]:
    """Return the figures of types; of their tests where asked."""
    apart = () if by in (None, "day", "hour") else (by,)
    return figures(await read(database, outcomes, span, now, by, apart, test=test), outcomes, now, by)


async def read(
    database: Database, outcomes: Outcomes, span: Span, now: int, by: By | None, apart: Collection[str] = (), *,
    test: bool = False,
) -> list[Effect]:  # fmt: skip
    """Return the effects of which the figures of types are made, in whole, by days or hours, and by what is `apart`."""
    types = [twin(each) if test else each for each in outcomes]
    if not types:
        return []
    places = cuts([each for each in outcomes.values() if each is not None], span, now, by)
    return await effects.read(database, *span, types, by={"after", *apart}, cuts=places)


def of_catalog(catalog: Catalog) -> dict[str, AwaitedOutcome | None]:
    """The outcome of each type, and that people's choices, which are of no type, have none."""
    return {**{kind.id: kind.outcome for kind in catalog.types.values()}, ANY: None}


def as_csv(found: Iterable[Figures]) -> str:
    """Return figures as a table (RFC 4180), with the names of their members in the first line."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(Figures.__struct_fields__)
    table.writerows(msgspec.structs.astuple(each) for each in found)
    return written.getvalue()
