"""A segment's conditions in SQL: the test that `segments.matches` applies to one person, for every row of `recipient`.

Values are always bound, and so are the names of attributes, of which `segments.Field` lets only plain ones in. Each
engine has its own words for what is in a JSON document; everything else is SQLAlchemy's.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from notifier.domain.segments import COMPARE, Condition, Segment, Value, kind_of
from notifier.store.core.schema import recipient

Column = sa.ColumnElement[Any]

KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sqlite": {"text": ("text",), "number": ("integer", "real"), "flag": ("true", "false")},
    "postgresql": {"text": ("string",), "number": ("number",), "flag": ("boolean",)},
    "mysql": {
        "text": ("STRING",), "flag": ("BOOLEAN",),
        "number": ("INTEGER", "UNSIGNED INTEGER", "DOUBLE", "DECIMAL"),
    },
}  # fmt: skip
"""The names of JSON types in each engine."""


def belongs(dialect: str, segment: Segment) -> Column:
    """The SQL condition under which a row of `recipient` belongs to a segment."""
    every = [_holds(dialect, condition) for condition in segment.all]
    some = [_holds(dialect, condition) for condition in segment.any]
    return sa.and_(sa.true(), *every, *([sa.or_(*some)] if some else []))


def _holds(dialect: str, condition: Condition) -> Column:
    if condition.operator == "ne":
        return sa.not_(_any(dialect, condition))
    if condition.operator != "exists":
        return _any(dialect, condition)
    there = _exists(dialect, condition)
    return there if condition.value else sa.not_(there)


def _any(dialect: str, condition: Condition) -> Column:
    """Whether any of the values matches the field; false and not NULL where there is none."""
    compare = COMPARE.get(condition.operator, _equals)
    held = (compare(_read(dialect, condition, value), _given(dialect, value)) for value in condition.values)
    if condition.field == "tenant":
        held = (_has_tenant(dialect, value) for value in condition.values)
    return sa.func.coalesce(sa.or_(*held), sa.false(), type_=sa.Boolean())


def _exists(dialect: str, condition: Condition) -> Column:
    if condition.attribute is not None:
        return _kind(dialect, condition.attribute).is_not(None)
    if condition.field == "tenant":
        return recipient.c.tenants != "[]"
    return _word(dialect, condition.field).is_not(None)


def _read(dialect: str, condition: Condition, value: Value) -> Column:
    """A row's value under a field; NULL where its kind differs from that of the value it is compared with."""
    if condition.attribute is None:
        return _binary(dialect, _word(dialect, condition.field))
    kind = kind_of(value)
    found = _attribute(dialect, condition.attribute)
    told = _binary(dialect, found) if kind == "text" else sa.cast(found, sa.Double()) if kind == "number" else found
    # CASE, since no engine guarantees that AND evaluates its left side first, and a text can't be cast to a number.
    return sa.case((_kind(dialect, condition.attribute).in_(KINDS[dialect][kind]), told))


def _given(dialect: str, value: Value) -> Column:
    match kind_of(value):
        case "text":
            return _binary(dialect, sa.literal(value))
        case "number":
            return sa.literal(float(value), sa.Double())
        case _:
            return sa.literal(str(value).lower())


def _binary(dialect: str, text: Column) -> Column:
    """Text that compares by code point, whatever the database's language."""
    if dialect == "postgresql":
        return sa.collate(text, "C")
    return sa.cast(text, sa.LargeBinary()) if dialect == "mysql" else text  # MySQL's other collations pad with spaces


def _word(dialect: str, field: str) -> Column:
    """A column, or the part of it before the first hyphen."""
    if field not in ("language", "country"):
        return recipient.c[field]
    return FIRST[dialect](recipient.c["locale" if field == "language" else "region"])


FIRST: Mapping[str, Callable[[Column], Column]] = {
    "sqlite": lambda text: sa.func.substr(text, 1, sa.func.instr(text.concat("-"), "-") - 1),
    "postgresql": lambda text: sa.func.split_part(text, "-", 1),
    "mysql": lambda text: sa.func.substring_index(text, "-", 1),
}
"""The part of a text before its first hyphen."""


def _attribute(dialect: str, name: str) -> Column:
    """An attribute's value as text; on SQLite as it is, but for flags."""
    document = recipient.c.attributes
    if dialect == "postgresql":
        return sa.func.jsonb_extract_path_text(_jsonb(document), name)
    path = f'$."{name}"'
    if dialect == "mysql":
        return sa.func.json_unquote(sa.func.json_extract(document, path))
    flag = sa.func.json_type(document, path)
    return sa.case((flag.in_(KINDS[dialect]["flag"]), flag), else_=sa.func.json_extract(document, path))


def _kind(dialect: str, name: str) -> Column:
    """The engine's name for an attribute's JSON kind; NULL where there is no such attribute."""
    document, path = recipient.c.attributes, f'$."{name}"'
    if dialect == "postgresql":
        return sa.func.jsonb_typeof(sa.func.jsonb_extract_path(_jsonb(document), name))
    if dialect == "mysql":
        return sa.func.json_type(sa.func.json_extract(document, path))
    return sa.func.json_type(document, path)


def _has_tenant(dialect: str, value: Value) -> Column:
    """Whether one of a row's tenants has this name."""
    document = recipient.c.tenants
    if dialect == "postgresql":
        return _jsonb(document).bool_op("@>")(sa.func.jsonb_build_array(sa.cast(sa.literal(value), sa.Text())))
    if dialect == "mysql":
        return sa.func.json_contains(document, sa.func.json_quote(sa.literal(value))) == 1
    each = sa.func.json_each(document).table_valued("value", name="tenants")
    return sa.exists().select_from(each).where(each.c.value == sa.literal(value))


def _jsonb(document: Column) -> Column:
    return sa.cast(document, JSONB())


def _equals(one: Column, other: Column) -> Column:
    return one == other
