"""Count messages that people were sent, as far as caps and limits need it."""

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.events import Event
from notifier.domain.recipient_facts import EVERY_TYPE, of_type
from notifier.domain.recipients import Recipient
from notifier.domain.regulation import Cap
from notifier.domain.twins import like
from notifier.pipeline.often import Often
from notifier.pipeline.plan import SendsInWindow, kinds_of, people_of
from notifier.store.people import recipient_facts

Asked = list[tuple[NotificationType, list[Recipient]]]
"""Each type that listens to an event, with the people whom it has to notify."""


async def read_spent(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Iterable[Event],
    members: Mapping[str, list[Recipient]], now: int, *, hold: bool = True, often: Often | None = None,
) -> SendsInWindow:  # fmt: skip
    """The counts for category caps and type limits that apply to this batch."""
    regulation = catalog.regulation
    asked = [(kind, people_of(kind, event, members) or []) for event in batch for kind in kinds_of(catalog, event)]
    wanted: dict[str, list[str]] = {}
    for kind, people in asked:
        if kind.category in regulation.caps:
            wanted.setdefault(_category(kind), []).extend(each.id for each in people)
    counted, known = to_be_counted(catalog, asked, often, now)
    if hold:
        await recipient_facts.hold(connection, dialect, set().union(*wanted.values(), *counted.values()))
    types = {name: [kind.id for kind in catalog.with_twins.values() if _category(kind) == name] for name in wanted}
    found = await recipient_facts.sends_in_window(connection, dialect, wanted, types, regulation, now)
    told = await recipient_facts.told_by_type(connection, dialect, counted, now - regulation.longest)
    if often is not None:
        often.learn(told, {id_: limit for kind, _ in asked for id_, limit in _limits(catalog, kind)}, now)
    for more in (told, known):
        for id_, by_type in more.items():
            found.setdefault(id_, {}).update(by_type)
    return found


def to_be_counted(
    catalog: Catalog, asked: Asked, often: Often | None, now: int
) -> tuple[dict[str, set[str]], SendsInWindow]:
    """The people whom the database must count, by type and for all types; and the known counts of those at a limit.

    Nobody else can come to a limit by this batch. Where nothing is remembered all are counted.
    """
    counted: dict[str, set[str]] = {}
    known: SendsInWindow = {}
    if often is not None:
        often.begin(now, catalog.regulation.longest)
    limited = [(each, people) for kind, people in asked for each in _limits(catalog, kind)]
    for (type_id, limit), people in limited:
        for each in people:
            if often is not None and not often.comes_up(type_id, each.id, limit):
                continue
            full = often.full(type_id, each.id, limit, now) if often is not None else ()
            if full:
                known.setdefault(each.id, {})[of_type(type_id)] = full
            else:
                counted.setdefault(type_id, set()).add(each.id)
    return counted, known


def _limits(catalog: Catalog, kind: NotificationType) -> Iterator[tuple[str, Cap]]:
    """The limits on what a type may tell a person: its own, and the one on all types."""
    own, all_together = catalog.regulation.limit_of(kind.id, kind.category), catalog.regulation.per_person
    if own is not None:
        yield kind.id, own
    if all_together is not None:
        yield like(EVERY_TYPE, kind.id), all_together


def _category(kind: NotificationType) -> str:
    """The name under which a type counts towards its category's cap."""
    return like(kind.category, kind.id)
