"""Texts as a form: the fields of one locale and channel, what they may name, and back to texts. Pure."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from starlette.datastructures import FormData

from notifier.console.forms import text
from notifier.domain.catalog import Field, NotificationType
from notifier.domain.deliveries import Channel
from notifier.rendering.formats import FORMATS
from notifier.rendering.texts import EmailTexts, PushTexts, SmsTexts, Texts, Wording, fields_of

Table = PushTexts | SmsTexts | EmailTexts

_ROW = "details."  # how the name of a part begins that is a row of a mail's table

SPARE_ROWS = 2  # of a mail's table that are empty: a script is not needed to add some


class Box(NamedTuple):
    """A field of the form: the part of the texts that it holds, its label, lines, and a hint."""

    part: str
    label: str
    lines: int
    hint: str = ""


BOXES: Mapping[Channel, Sequence[Box]] = {
    Channel.PUSH: (
        Box("title", "Title", 2),
        Box("body", "Body", 6),
        Box("action", "Button", 1, "None where this is empty. It leads to the type's link."),
        Box("image", "Picture", 2, "None where this is empty. Its address, by https; only text can be named in it."),
    ),
    Channel.SMS: (Box("text", "Text", 9, "Line breaks become spaces, so break lines where they read well."),),
    Channel.EMAIL: (
        Box("subject", "Subject", 2),
        Box("preheader", "Preheader", 2, "What a mail list shows after the subject."),
        Box("heading", "Heading", 2),
        Box("body", "Body", 8, "An empty line begins another paragraph."),
        Box("action", "Button", 1, "It leads to the type's link."),
    ),
}
DESIGN: Sequence[Box] = (
    Box("mjml", "Design (MJML)", 12, "Sections of MJML, in place of heading, body, button and table."),
    Box("text", "Its plain text", 6, "Made from the design where this is empty."),
)

_SHAPES: Mapping[Channel, type[Table]] = {
    Channel.PUSH: PushTexts, Channel.SMS: SmsTexts, Channel.EMAIL: EmailTexts,
}  # fmt: skip


class Written(NamedTuple):
    """What stands in the form: its texts, a mail's table as rows, and what is wrong with those."""

    table: Table
    rows: list[tuple[str, str]]
    fault: str = ""


def written(texts: Texts, channel: Channel) -> Written:
    """The form of texts that there are; an empty one where the channel has none."""
    table = texts.table(channel)
    if table is None:
        table = _table(channel, dict.fromkeys(_parts(channel), ""))
    return Written(table, list(table.details.items()) if isinstance(table, EmailTexts) else [])


def read(form: FormData, channel: Channel) -> Written:
    """What somebody has sent."""
    parts: dict[str, Any] = {name: text(form, name) for name in _parts(channel)}
    if channel != Channel.EMAIL:
        return Written(_table(channel, parts), [])
    labels, values = ([str(each) for each in form.getlist(name)] for name in ("label", "value"))
    rows = [
        (label.strip(), value) for label, value in zip(labels, values, strict=False) if label.strip() or value.strip()
    ]
    names = [label for label, _ in rows]
    fault = "" if all(names) and len(set(names)) == len(names) else "Each row needs a label of its own."
    return Written(_table(channel, {**parts, "details": dict(rows)}), rows, fault)


def _parts(channel: Channel) -> list[str]:
    return [name for name in _SHAPES[channel].__struct_fields__ if name != "details"]


def _table(channel: Channel, parts: Mapping[str, Any]) -> Table:
    table: Table = msgspec.convert(parts, _SHAPES[channel])
    return table


def marks(table: Table) -> dict[str, str]:
    """What a form shows of each of its parts: enough to tell later whether somebody has changed it."""
    return {name: _mark(value) for name, value in _flat(table).items()}


def read_marks(form: FormData) -> dict[str, str] | None:
    """The marks that a form was made with; None where it brings none that make sense."""
    try:
        return msgspec.json.decode(text(form, "shown"), type=dict[str, str])
    except msgspec.DecodeError:
        return None


def merged(mine: Table, theirs: Table, shown: Mapping[str, str], channel: Channel) -> tuple[Table, dict[str, str]]:
    """The draft's words with those that were changed in the form over them; and what the draft says of parts that both
    have changed. `shown` are the marks of what the form began with."""
    own, other = _flat(mine), _flat(theirs)
    kept, both = {}, {}
    for name in dict.fromkeys((*own, *other)):
        touched = _mark(own.get(name)) != shown.get(name, "")
        if touched and own.get(name) != other.get(name) and _mark(other.get(name)) != shown.get(name, ""):
            both[name] = other.get(name, "")
        if (value := (own if touched else other).get(name)) is not None:
            kept[name] = value
    parts: dict[str, Any] = {name: value for name, value in kept.items() if not name.startswith(_ROW)}
    if channel == Channel.EMAIL:
        parts["details"] = {name.removeprefix(_ROW): value for name, value in kept.items() if name.startswith(_ROW)}
    return _table(channel, parts), both


def _flat(table: Table) -> dict[str, str]:
    parts = msgspec.structs.asdict(table)
    details = parts.pop("details", {})
    return {**parts, **{f"{_ROW}{label}": value for label, value in details.items()}}


def _mark(value: str | None) -> str:
    return "" if value is None else sha256(value.encode()).hexdigest()[:16]


def put(wording: Wording, locale: str, channel: Channel, table: Table) -> dict[str, Texts]:
    """The wording with other texts in one place."""
    return {**wording, locale: msgspec.structs.replace(wording[locale], **{channel.value: table})}


class Way(NamedTuple):
    """How a field is written, and what that is called in short."""

    name: str
    source: str


class Variable(NamedTuple):
    """A field that texts may name: what it is, and how it is written, once for each filter that fits."""

    name: str
    about: str
    kind: str
    ways: list[Way]


def variables(kind: NotificationType) -> list[Variable]:
    """Everything that the texts of a type may name."""
    return [
        Variable(name, field.about, f"{field.type}, optional" if field.optional else field.type, _ways(name, field))
        for name, field in fields_of(kind).items()
    ]


def _ways(name: str, field: Field) -> list[Way]:
    if field.one_of:
        return [Way(value, f"{{% if {name} == '{value}' %}}…{{% endif %}}") for value in field.one_of]
    if field.type == "flag":
        return [Way(f"if {name}", f"{{% if {name} %}}…{{% else %}}…{{% endif %}}")]
    ways = [Way(name, f"{{{{ {name} }}}}")] if field.type == "text" else []
    for filter_, form in FORMATS.items():
        if field.type in form.kinds:
            given = "(one='# …', other='# …')" if filter_ == "plural" else ""
            ways.append(Way(filter_, f"{{{{ {name} | {filter_}{given} }}}}"))
    if not field.optional:
        return ways
    return [Way(way.name, f"{{% if {name} %}}{way.source}{{% endif %}}") for way in ways]
