"""Segments in SQL: every engine says of every row what `segments.matches` says of the person."""

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from notifier.domain.recipients import RecipientDetails
from notifier.domain.segments import Segment, matches
from notifier.store.core.database import Database
from notifier.store.core.schema import recipient
from notifier.store.people import recipients, segments
from notifier.store.people.conditions import belongs
from tests.samples import NOW

TEXTS = ["", "a", "a ", "A", "ä", "z", "10", "9", "true", "1", "2026-03-09", "100%", "' OR 1=1 --", '"\\', ":x", "😀"]
NUMBERS: list[int | float] = [0, 1, -1, 9, 10, 12, 12.5, -0.25, 2**53 - 1, 1e300]
NAMES = ["plan", "sessions", "a.b", "x-y", "9"]
TENANTS = ["network", "fleet:acme", "fleet:ac", 'host:"mall"', "host:'7'"]
REGIONS = ["US", "US-FL", "BE", None]
LOCALES = ["de", "de-AT", "en", "en-GB", "zh-Hant-TW"]
ZONES = ["UTC", "Europe/Berlin"]

values = st.sampled_from(TEXTS) | st.sampled_from(NUMBERS) | st.booleans()
people = st.builds(
    RecipientDetails,
    kind=st.sampled_from(["driver", "fleet_manager", "site_operator"]),
    locale=st.sampled_from(LOCALES),
    time_zone=st.sampled_from(ZONES),
    region=st.sampled_from(REGIONS),
    tenants=st.lists(st.sampled_from(TENANTS), unique=True, max_size=3),
    attributes=st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
)
WORDS = {
    "kind": ["driver", "fleet_manager", "Driver"],
    "locale": [*LOCALES, "DE"],
    "language": ["de", "en", "zh", "de-AT"],
    "region": ["US", "US-FL", "us"],
    "country": ["US", "BE", "U"],
    "time_zone": ZONES,
    "tenant": [*TENANTS, "%"],
}


def condition(field: str, operator: Any, value: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"field": st.just(field), "operator": operator, "value": value})


def asked(field: str, value: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        condition(field, st.sampled_from(["eq", "ne"]), value),
        condition(field, st.just("in"), st.lists(value, min_size=1, max_size=3)),
        condition(field, st.just("exists"), st.booleans()),
    )


def of_words(field: str) -> st.SearchStrategy[dict[str, Any]]:
    return asked(field, st.sampled_from([*WORDS[field], "' OR 1=1 --"]))


def of_attributes(name: str) -> st.SearchStrategy[dict[str, Any]]:
    field = f"attribute.{name}"
    order = st.sampled_from(["gt", "gte", "lt", "lte"])
    ordered = condition(field, order, st.sampled_from(TEXTS) | st.sampled_from(NUMBERS))
    return st.one_of(asked(field, values), ordered)


conditions = st.one_of(st.sampled_from(sorted(WORDS)).flatmap(of_words), st.sampled_from(NAMES).flatmap(of_attributes))
wanted = st.lists(
    st.builds(
        lambda every, some: msgspec.convert({"name": "x", "all": every, "any": some}, Segment),
        st.lists(conditions, max_size=2),
        st.lists(conditions, max_size=2),
    ),
    min_size=5,
    max_size=5,
)


@given(st.lists(people, min_size=8, max_size=8), wanted)
@example(
    [RecipientDetails(attributes={"plan": "gold"}), RecipientDetails(attributes={"plan": 12, "a.b": True})],
    [msgspec.convert({"name": "x", "all": [{"field": "attribute.plan", "operator": "gt", "value": 3}]}, Segment)],
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
async def test_sql_and_python_agree(database: Database, who: list[RecipientDetails], questions: list[Segment]) -> None:
    # Given people, and nobody else
    async with database.engine.begin() as connection:
        await connection.execute(sa.delete(recipient))
    await recipients.put(database, {str(number): each for number, each in enumerate(who)}, NOW)

    for segment in questions:
        # When a segment is asked of the table
        async with database.engine.connect() as connection:
            query = sa.select(recipient.c.id).where(belongs(database.dialect, segment))
            found = set((await connection.execute(query)).scalars())

        # Then those are in the answer for whom it holds, and so many are counted
        assert found == {str(number) for number, each in enumerate(who) if matches(segment, each)}, segment
        assert await segments.count(database, segment) == len(found)


GOLD = msgspec.convert(
    {"name": "Gold", "all": [{"field": "attribute.plan", "operator": "eq", "value": "gold"}]}, Segment
)


async def test_a_segment_is_read_as_it_was_written_and_deleted_once(database: Database) -> None:
    assert await segments.get(database, "gold") is None
    await segments.put(database, "gold", Segment(name="Old"), NOW)
    await segments.put(database, "gold", GOLD, NOW)

    assert await segments.get(database, "gold") == GOLD
    assert await segments.find(database, "", 10) == {"gold": GOLD}
    assert await segments.find(database, "gold", 10) == {}
    assert [await segments.delete(database, "gold"), await segments.delete(database, "gold")] == [True, False]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_chunks_hold_everybody_who_belongs_once_and_in_order(database: Database, limit: int) -> None:
    # Given seven people, of whom three belong, one with two phones
    plans = {"a": "gold", "b": "free", "ä": "gold", "Z": "free", "0": "gold", "x": "free", "y": "free"}
    devices = [{"value": "one"}, {"value": "two"}]
    given_ = {
        id_: msgspec.convert({"attributes": {"plan": plan}, "devices": devices if id_ == "a" else []}, RecipientDetails)
        for id_, plan in plans.items()
    }
    await recipients.put(database, given_, NOW)

    # When they are read chunk by chunk
    after, found = "", []
    async with database.engine.connect() as connection:
        while True:
            chunk = await segments.chunk(connection, database.dialect, GOLD, after, limit)
            found += chunk.people
            if not chunk.more or chunk.last is None:
                break
            after = chunk.last

    # Then nobody is missing and nobody is there twice
    assert len(found) == 3
    assert {person.id for person in found} == {"a", "ä", "0"}
    assert [len(person.devices) for person in found if person.id == "a"] == [2]
