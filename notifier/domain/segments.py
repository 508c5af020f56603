"""Segments: saved questions about recipients, by which a campaign finds whom it is for.

    {"name": "Gold drivers in Belgium", "all": [
        {"field": "country", "operator": "eq", "value": "BE"},
        {"field": "attribute.plan", "operator": "in", "value": ["gold", "platinum"]},
        {"field": "attribute.sessions", "operator": "gte", "value": 10}]}

Somebody belongs to it for whom every condition of `all` holds and, where there are some, one of `any`; without
conditions everybody does. `store.conditions` asks the same of a whole table.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec

from notifier.domain.text import LINE, STEP, TEXT

MAX_CONDITIONS = 20  # in each list: for a longer list of people there are topics
MAX_VALUES = 100  # of one `in`
MAX_TEXT = 500  # characters, as an attribute has at most
MAX_INTEGER = 2**53 - 1  # what JSON carries unharmed between any two programs (RFC 8259 §6)
ATTRIBUTE = "attribute."

Field = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(kind|locale|language|region|country|time_zone|tenant|attribute\.[A-Za-z0-9_.-]{1,100})(?![\s\S])"
    ),
]
Operator = Literal["eq", "ne", "in", "gt", "gte", "lt", "lte", "exists"]
Integer = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT, pattern=TEXT)]
Value = bool | Integer | float | Text
SegmentId = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=STEP)]

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip


class Traits(Protocol):
    """What conditions ask about: `recipients.RecipientDetails` has it."""

    @property
    def kind(self) -> str: ...
    @property
    def locale(self) -> str: ...
    @property
    def region(self) -> str | None: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def tenants(self) -> Sequence[str]: ...
    @property
    def attributes(self) -> Mapping[str, Value]: ...


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One field held against a value.

    `eq` and `in` want the same type as well as the same value (12 is 12.0, but neither "12" nor true); `ne` is whatever
    `eq` is not, so it holds for those who have no value. `gt` to `lte` compare numbers with numbers and texts with
    texts, letter by letter, as ISO dates sort. `exists` wants some value, or with `false` none. A `tenant` is any of a
    person's tenants.
    """

    field: Field
    operator: Operator
    value: Value | Annotated[list[Value], msgspec.Meta(min_length=1, max_length=MAX_VALUES)] = True

    def __post_init__(self) -> None:
        if isinstance(self.value, list) != (self.operator == "in"):
            raise ValueError("'in' needs a list of values, every other operator a single value")
        if self.operator == "exists" and not isinstance(self.value, bool):
            raise ValueError("'exists' needs true or false")
        if self.operator in COMPARE and isinstance(self.value, bool):
            raise ValueError(f"{self.operator!r} takes a number or a text")
        if self.attribute is None and self.operator != "exists":
            if self.operator in COMPARE:
                raise ValueError(f"{self.operator!r} is for attributes; {self.field} is a word: use eq, ne or in")
            if not all(isinstance(value, str) for value in self.values):
                raise ValueError(f"{self.field} is a text")

    @property
    def attribute(self) -> str | None:
        """The attribute that a condition asks about; None for any other field."""
        return self.field.removeprefix(ATTRIBUTE) if self.field.startswith(ATTRIBUTE) else None

    @property
    def values(self) -> list[Value]:
        """The condition's values, as a list."""
        return self.value if isinstance(self.value, list) else [self.value]


Conditions = Annotated[list[Condition], msgspec.Meta(max_length=MAX_CONDITIONS)]


class Segment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A saved question, with the name that people know it by."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=LINE)]
    all: Conditions = []
    any: Conditions = []


def matches(segment: Segment, person: Traits) -> bool:
    """Whether somebody belongs to a segment."""
    every = all(holds(condition, person) for condition in segment.all)
    return every and (not segment.any or any(holds(condition, person) for condition in segment.any))


def holds(condition: Condition, person: Traits) -> bool:
    """Whether one condition holds for somebody."""
    found = _found(condition, person)
    match condition.operator:
        case "exists":
            return bool(found) == condition.value
        case "eq" | "in":
            return any(_same(value, wanted) for value in found for wanted in condition.values)
        case "ne":
            return not any(_same(value, wanted) for value in found for wanted in condition.values)
        case _:
            compare, (wanted,) = COMPARE[condition.operator], condition.values
            return any(kind_of(value) == kind_of(wanted) and compare(_plain(value), _plain(wanted)) for value in found)


def kind_of(value: Value) -> Literal["flag", "number", "text"]:
    """The kind of a value: only values of one kind can be compared."""
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "number"


def _found(condition: Condition, person: Traits) -> Sequence[Value]:
    """What a person has under a field: nothing, one value or, of tenants, several."""
    value: Value | None
    match condition.field:
        case "tenant":
            return person.tenants
        case "kind" | "locale" | "region" | "time_zone" as name:
            value = getattr(person, name)
        case "language":
            value = person.locale.partition("-")[0]
        case "country":
            value = None if person.region is None else person.region.partition("-")[0]
        case _:
            value = person.attributes.get(condition.field.removeprefix(ATTRIBUTE))
    return () if value is None else (value,)


def _same(value: Value, wanted: Value) -> bool:
    return kind_of(value) == kind_of(wanted) and _plain(value) == _plain(wanted)


def _plain(value: Value) -> Value:
    """Numbers as the databases compare them."""
    return float(value) if kind_of(value) == "number" else value
