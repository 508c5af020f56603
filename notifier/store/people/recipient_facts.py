"""Recipients' facts for the rules, from their rows: at the decision, and again just before sending."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.channels import reachable
from notifier.domain.clock import DAY
from notifier.domain.deliveries import State
from notifier.domain.preferences import NETWORK, SHARED, Defaults, read_preferences
from notifier.domain.recipient_facts import EVERY_TYPE, RecipientFacts, of_type
from notifier.domain.regulation import Regulation
from notifier.domain.twins import like, plain, twin
from notifier.store.core import rows
from notifier.store.core.schema import delivery, outcome, recipient
from notifier.store.people import addresses, preferences

COLUMNS = ("addresses", "locale", "time_zone", "region", "tenants", "preferences", "consents")
"""Columns of `recipient` from which its facts are made, beside `email` and `phone`."""

_unsent = outcome.alias("unsent")
_SUPPRESSED = {channel: f"suppressed_{channel}" for channel in addresses.KEYED}

SPENT = (State.PENDING, State.SENDING, State.SENT, State.DELIVERED, State.UNDELIVERED, State.UNKNOWN, State.COLLECTED)
"""States that count towards a cap: sent, or about to be."""

TOLD = tuple(state for state in SPENT if state != State.COLLECTED)
"""States that count towards a type's limit: collected items count once, with their digest."""

UNSENT = tuple(state for state in State if state not in SPENT)
"""States in which a message has ended that nobody got: none follows them."""

_OF_TYPES = delivery.c.type.in_(sa.bindparam("types", expanding=True))

LONGEST_WAIT = DAY
"""Milliseconds that a message may be held before it is due: a night, or until the next window."""

_consents = lru_cache(SHARED)(msgspec.json.Decoder(dict[str, dict[str, bool]]).decode)
_tenants = lru_cache(SHARED)(msgspec.json.Decoder(tuple[str, ...]).decode)


async def make(
    connection: AsyncConnection, dialect: str, people: Mapping[str, Any], devices: Mapping[str, int]
) -> dict[str, RecipientFacts]:
    """Recipients' facts by id, from rows that have `COLUMNS`, `email`, `phone`, and `suppressed_…` for each channel
    whose addresses may be suppressed.

    `devices` are how many each has. One query looks up the presets of all their tenants.
    """
    tenants = {id_: _tenants_of(row.tenants) for id_, row in people.items()}
    names = sorted({name for each in tenants.values() for name in each})
    presets = await preferences.defaults(connection, dialect, names) if people else {}
    return {id_: _standing(row, tenants[id_], presets, devices.get(id_, 0)) for id_, row in people.items()}


async def hold(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> None:
    """Lock people's rows until the transaction ends, so that two concurrent decisions can't both use the last place
    under a cap."""
    if ids and dialect != "sqlite":  # SQLite's writers run one after the other
        await connection.execute(_lock(dialect), {"rows": _people(ids)})


async def told_by_type(
    connection: AsyncConnection, dialect: str, wanted: Mapping[str, Collection[str]], since: int
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Times at which types' messages went or will go to people since an instant, by recipient and `of_type`; `wanted`
    are people by type, or by `EVERY_TYPE` for all types together (its twin for all tests)."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for type_, ids in wanted.items():
        for id_ in ids:
            found.setdefault(id_, {})[of_type(type_)] = ()
    if not found:
        return found
    parameters = {"rows": _people(found), "since": since - LONGEST_WAIT, "states": list(TOLD)}
    if wanted.keys() & {EVERY_TYPE, twin(EVERY_TYPE)}:
        query = _of_every_type(dialect)
    else:
        query, parameters["types"] = _by_type(dialect), list(wanted)
    for row in await connection.execute(query, parameters):
        told = found[row.recipient_id]
        for name in (of_type(each) for each in _counted_as(row.type) if each in wanted and row.at > since):
            told[name] = (*told.get(name, ()), row.at)
    return found


def _counted_as(type_: str) -> tuple[str, str]:
    return type_, like(EVERY_TYPE, type_)


def _people(ids: Collection[str]) -> list[dict[str, str]]:
    return [{"recipient_id": id_} for id_ in sorted(set(ids))]


async def sends_in_window(
    connection: AsyncConnection, dialect: str, wanted: Mapping[str, Sequence[str]], types: Mapping[str, Sequence[str]],
    regulation: Regulation, now: int,
) -> dict[str, dict[str, tuple[int, ...]]]:  # fmt: skip
    """Times at which notifications of capped categories went to people within the cap's window, by recipient and
    category.

    `wanted` are the recipients by category, `types` the notification types of each; a category of tests has its twin's
    name.
    """
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for category, ids in wanted.items():
        since = now - regulation.caps[plain(category)].milliseconds
        parameters = {"rows": _people(ids), "since": since, "types": list(types[category]), "states": list(SPENT)}
        for row in await connection.execute(_spent(dialect), parameters):
            told = found.setdefault(row.recipient_id, {})
            told[category] = (*told.get(category, ()), row.at)
    return found


def _tenants_of(document: str) -> tuple[str, ...]:
    """A person's tenants, the nearest first; the network is everybody's last."""
    return (*_tenants(document), NETWORK)


def _standing(row: Any, tenants: Sequence[str], presets: Mapping[str, Defaults], devices: int) -> RecipientFacts:
    return RecipientFacts(
        preferences=read_preferences(row.preferences),
        defaults=tuple((name, presets[name]) for name in tenants if name in presets) if presets else (),
        consents=_consents(row.consents),
        suppressed={
            channel: reason for channel, column in _SUPPRESSED.items() if (reason := getattr(row, column)) is not None
        },
        region=row.region,
        locale=row.locale,
        time_zone=row.time_zone,
        reachable=reachable(addresses.known(row, devices > 0)),
    )


@cache
def _lock(dialect: str) -> sa.Select[tuple[str]]:
    people = rows.batch(dialect, [delivery.c.recipient_id])
    there = rows.lookup(people, recipient, people.c.recipient_id == recipient.c.id)
    query = sa.select(recipient.c.id).select_from(there).order_by(recipient.c.id)
    return rows.locking(query, dialect, recipient)


@cache
def _spent(dialect: str) -> sa.Select[Any]:
    return _told(dialect, _OF_TYPES)


@cache
def _by_type(dialect: str) -> sa.Select[Any]:
    return _told(dialect, _OF_TYPES, delivery.c.type)


@cache
def _of_every_type(dialect: str) -> sa.Select[Any]:
    return _told(dialect, sa.true(), delivery.c.type)


def _told(dialect: str, which: sa.ColumnElement[bool], *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    people = rows.batch(dialect, [delivery.c.recipient_id])
    at = sa.func.min(delivery.c.due_at).label("at")
    unsent = sa.and_(_unsent.c.delivery_id == delivery.c.id, _unsent.c.state.in_(UNSENT))
    sent = delivery.outerjoin(_unsent, unsent)
    theirs = (
        delivery.c.recipient_id == people.c.recipient_id,
        delivery.c.created_at > sa.bindparam("since"),
        which,
        delivery.c.state.in_(sa.bindparam("states", expanding=True)),
        _unsent.c.delivery_id.is_(None),
    )
    if dialect == "postgresql":
        # Person by person: the planner expects one row of a table that grew since its last analysis, and would scan all
        # of it for every person.
        each = sa.select(at, *more).select_from(sent).where(*theirs).group_by(delivery.c.event_id, *more)
        told = each.correlate(people).lateral("told")
        query = sa.select(people.c.recipient_id, *told.c).select_from(people.join(told, sa.true()))
        return query.order_by(people.c.recipient_id, told.c.at)
    columns = (delivery.c.recipient_id, at, *more)
    known = people.join(delivery, theirs[0]).outerjoin(_unsent, unsent)
    query = sa.select(*columns).select_from(known).where(*theirs[1:])
    return query.group_by(delivery.c.recipient_id, delivery.c.event_id, *more).order_by(delivery.c.recipient_id, at)
