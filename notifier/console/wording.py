"""Texts as a form: the fields of one locale and channel, their variables, and back to texts. Pure."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple, Self

import msgspec
from starlette.datastructures import FormData

from notifier.console.forms import text
from notifier.domain.catalog import Field, NotificationType
from notifier.domain.deliveries import Channel
from notifier.rendering.formats import FORMATS
from notifier.rendering.texts import Texts, Wording, fields_of
from notifier.rendering.writing import Table, writing

SPARE_ROWS = 2  # empty rows of a mail's table, so that rows can be added without a script


class Written(NamedTuple):
    """The editor form's contents: its texts, their rows where the channel has rows, and the rows' fault."""

    table: Table
    rows: list[tuple[str, str]]
    fault: str = ""

    @classmethod
    def of(cls, table: Table, channel: Channel) -> Self:
        """Return the form contents of a channel's texts."""
        part = _rows_of(channel)
        return cls(table, list(getattr(table, part).items()) if part else [])


def written(texts: Texts, channel: Channel) -> Written:
    """Return the form contents of a locale's texts; empty where the channel has none."""
    table = texts.table(channel)
    if table is None:
        table = _table(channel, dict.fromkeys(_parts(channel), ""))
    return Written.of(table, channel)


def read(form: FormData, channel: Channel) -> Written:
    """Read the form contents from a posted form."""
    parts: dict[str, Any] = {name: text(form, name) for name in _parts(channel)}
    part = _rows_of(channel)
    if not part:
        return Written(_table(channel, parts), [])
    labels, values = ([str(each) for each in form.getlist(name)] for name in ("label", "value"))
    rows = [
        (label.strip(), value) for label, value in zip(labels, values, strict=False) if label.strip() or value.strip()
    ]
    names = [label for label, _ in rows]
    fault = "" if all(names) and len(set(names)) == len(names) else "Each row needs a label of its own."
    return Written(_table(channel, {**parts, part: dict(rows)}), rows, fault)


def _rows_of(channel: Channel) -> str:
    """Return the part that is a table of rows by label; "" where the channel has none."""
    rows = writing(channel).rows
    return rows.part if rows else ""


def _parts(channel: Channel) -> list[str]:
    return [name for name in writing(channel).table.__struct_fields__ if name != _rows_of(channel)]


def _table(channel: Channel, parts: Mapping[str, Any]) -> Table:
    return msgspec.convert(parts, writing(channel).table)


def marks(table: Table) -> dict[str, str]:
    """Return a hash of each part that a form shows, to detect later whether the part was changed."""
    return {name: _mark(value) for name, value in _flat(table).items()}


def read_marks(form: FormData) -> dict[str, str] | None:
    """Read the hashes that a form was made with; None where they are missing or invalid."""
    try:
        return msgspec.json.decode(text(form, "shown"), type=dict[str, str])
    except msgspec.DecodeError:
        return None


def merged(mine: Table, theirs: Table, shown: Mapping[str, str], channel: Channel) -> tuple[Table, dict[str, str]]:
    """Merge the form's changes into the present draft; return the result, and the draft's text of parts that both
    changed. `shown` are the hashes of what the form began with."""
    own, other = _flat(mine), _flat(theirs)
    kept, both = {}, {}
    for name in dict.fromkeys((*own, *other)):
        touched = _mark(own.get(name)) != shown.get(name, "")
        if touched and own.get(name) != other.get(name) and _mark(other.get(name)) != shown.get(name, ""):
            both[name] = other.get(name, "")
        if (value := (own if touched else other).get(name)) is not None:
            kept[name] = value
    return _table(channel, _nested(kept, _rows_of(channel))), both


def _flat(table: Table) -> dict[str, str]:
    """Return every source by its part; a row's by `<part>.<label>`."""
    flat: dict[str, str] = {}
    for name, value in msgspec.structs.asdict(table).items():
        flat |= {f"{name}.{label}": row for label, row in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _nested(flat: Mapping[str, str], rows: str) -> dict[str, Any]:
    """Undo `_flat`: gather the rows into the part of this name."""
    begins = f"{rows}."
    parts: dict[str, Any] = {name: value for name, value in flat.items() if not rows or not name.startswith(begins)}
    if rows:
        parts[rows] = {name.removeprefix(begins): value for name, value in flat.items() if name.startswith(begins)}
    return parts


def _mark(value: str | None) -> str:
    return "" if value is None else sha256(value.encode()).hexdigest()[:16]


def put(wording: Wording, locale: str, channel: Channel, table: Table) -> dict[str, Texts]:
    """Return the wording with the texts of one locale and channel replaced."""
    return {**wording, locale: msgspec.structs.replace(wording[locale], **{channel.value: table})}


class FieldFormat(NamedTuple):
    """A way to write a field, with a short name."""

    name: str
    source: str


class Variable(NamedTuple):
    """A field that texts may use: its description, and a way to write it for each filter that fits."""

    name: str
    about: str
    kind: str
    ways: list[FieldFormat]


def variables(kind: NotificationType) -> list[Variable]:
    """Return every field that the texts of a type may use."""
    return [
        Variable(name, field.about, f"{field.type}, optional" if field.optional else field.type, _ways(name, field))
        for name, field in fields_of(kind).items()
    ]


def _ways(name: str, field: Field) -> list[FieldFormat]:
    if field.one_of:
        return [FieldFormat(value, f"{{% if {name} == '{value}' %}}…{{% endif %}}") for value in field.one_of]
    if field.type == "flag":
        return [FieldFormat(f"if {name}", f"{{% if {name} %}}…{{% else %}}…{{% endif %}}")]
    ways = [FieldFormat(name, f"{{{{ {name} }}}}")] if field.type == "text" else []
    for filter_, form in FORMATS.items():
        if field.type in form.kinds:
            given = "(one='# …', other='# …')" if filter_ == "plural" else ""
            ways.append(FieldFormat(filter_, f"{{{{ {name} | {filter_}{given} }}}}"))
    if not field.optional:
        return ways
    return [FieldFormat(way.name, f"{{% if {name} %}}{way.source}{{% endif %}}") for way in ways]
