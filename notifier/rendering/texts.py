"""The words of a notification type: one set of texts a locale, read from files or kept as a version, checked and
compiled.

    templates/<type>/<locale>.toml      what ships: version 1
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from notifier.domain import channels
from notifier.domain.catalog import Field, NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.domain.text import text_fault
from notifier.rendering.language import Part, compile_text
from notifier.rendering.locales import check_locale_name, closest, read_locales
from notifier.rendering.writing import Table, Writer, digesting, writing

BUILT_IN: Mapping[str, Field] = {
    "brand": Field(type="text", about="The brand's name"),
    "link": Field(type="text", about="Where the notification leads: the type's link"),
}
OF_ADDRESSES: Mapping[str, Field] = {"app_url": Field(type="text", about="The app's address")}
OF_DIGEST: Mapping[str, Field] = {
    "count": Field(type="integer", about="How many there are"),
    "more": Field(type="integer", about="How many of them the table leaves out", optional=True),
}
RESERVED = frozenset({*BUILT_IN, *OF_DIGEST, *OF_ADDRESSES, "locale", "zone"})

DIGEST = "digest"
"""The name of the table for digests, and with a dot after it the prefix of its parts' names."""

OF_ONE = ("label", "value")
"""The parts of a digest that each row has, about one event."""

TAGS = re.compile(r"[{][{%][^}]*[}%][}]")
"""Matches the Jinja constructs of a source."""

_WORD = re.compile(r"\w+")


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The texts of one locale: a table for each channel, by its name, and one for the digest. Made by `make_texts`."""

    def table(self, name: str) -> Table | None:
        """Return the texts of a channel, or of the digest."""
        table: Table | None = getattr(self, name, None)
        return table


@cache
def texts_type() -> type[Texts]:
    """Return `Texts` with the tables of all existing channels, in order: the schema of files and versions."""
    tables: list[tuple[str, Any]] = [(each.value, writing(each).table) for each in channels.channels()]
    if (collects := digesting()) is not None:
        tables.append((DIGEST, collects[1].table))
    fields = [(name, table | None, None) for name, table in tables]
    return cast("type[Texts]", msgspec.defstruct("Texts", fields, bases=(Texts,), module=__name__))


def make_texts(**tables: Table) -> Texts:
    """Make one locale's texts from tables by name; raises TypeError for a table that no channel has."""
    return texts_type()(**tables)


Wording = Mapping[str, Texts]
"""A type's texts by locale."""


def encode(wording: Wording) -> msgspec.Raw:
    """Encode a wording as JSON for the store and the child process."""
    return msgspec.Raw(msgspec.json.encode(wording))


def decode(document: msgspec.Raw) -> dict[str, Texts]:
    """Decode a wording from JSON, without tables of channels that only another release has; raises msgspec.DecodeError
    where it is invalid."""
    told = msgspec.json.decode(document, type=dict[str, dict[str, Any]])
    tables = set(texts_type().__struct_fields__)
    known = {locale: {name: texts[name] for name in tables & texts.keys()} for locale, texts in told.items()}
    wording: dict[str, Texts] = msgspec.convert(known, dict[str, texts_type()])  # type: ignore[misc]
    return wording


def completed(wording: Wording, shipped: Wording, wanted: Iterable[Channel]) -> dict[str, Texts]:
    """A wording with a table for each of the wanted channels: those that it was written without are as they ship.

    A type may gain a channel after a network has published texts of its own, which are to be used all the same.
    """
    names = [channel.value for channel in wanted]
    return {
        locale: _with_tables(texts, shipped[closest(locale, shipped)], [n for n in names if texts.table(n) is None])
        for locale, texts in wording.items()
    }


def _with_tables(texts: Texts, shipped: Texts, names: Sequence[str]) -> Texts:
    return msgspec.structs.replace(texts, **{name: shipped.table(name) for name in names}) if names else texts


def alike(one: Wording, other: Wording, locale: str, channel: Channel) -> bool:
    """Whether two wordings are equal in a locale on a channel, including the channel's digest."""
    names = (channel.value, DIGEST) if channels.spec(channel).collects else (channel.value,)
    mine, theirs = one.get(locale, Texts()), other.get(locale, Texts())
    return all(mine.table(name) == theirs.table(name) for name in names)


class Script(NamedTuple):
    """The compiled texts of a type for one channel and locale: parts and addresses by name, rows by label, and what the
    channel's own `Writer.compile` makes."""

    parts: Mapping[str, Part]
    rows: Mapping[str, Part]
    addresses: Mapping[str, Part] = {}
    compiled: Any = None


class Spoken(NamedTuple):
    """The compiled texts of a type in one locale: by channel, of the digest, and of the digest's `rows`."""

    channels: Mapping[Channel, Script]
    digest: Script | None


Scripts = Mapping[str, Spoken]
"""Compiled texts by locale."""


class WordingPart(NamedTuple):
    """One part of a wording: `de`, `sms`, `text`; a table's rows are `<part>.<label>`, what it says of several events
    at once `digest.<part>`."""

    locale: str
    channel: Channel
    part: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.locale}.toml: {self.channel}.{self.part}"

    @property
    def is_address(self) -> bool:
        """Whether it is a link and not words."""
        return self.part in writing(self.channel).addresses


def named(source: str) -> set[str]:
    """Return the words within a source's Jinja, including the names of fields."""
    return {word for tag in TAGS.findall(source) for word in _WORD.findall(tag)}


def places(kind: NotificationType, wording: Wording) -> Iterator[WordingPart]:
    """Return every part that has a source, in reading order."""
    collects = digesting()
    for locale, texts in wording.items():
        for channel in kind.channels:
            table = texts.table(channel)
            if table is not None:
                for part, source in _sources(channel, table).items():
                    yield WordingPart(locale, channel, part, source)
        digest = texts.table(DIGEST)
        if digest is not None and collects is not None:
            for part, source in msgspec.structs.asdict(digest).items():
                yield WordingPart(locale, collects[0], f"{DIGEST}.{part}", source)


def fields_of(kind: NotificationType, part: str = "", *, is_address: bool = False) -> Mapping[str, Field]:
    """What a part of a type's texts may name: what is said of several events at once, only what they share; an address,
    what can stand in one, and what its conditions ask for."""
    if is_address:
        return {**{name: field for name, field in kind.data.items() if field.type in ("text", "flag")}, **OF_ADDRESSES}
    table, dot, name = part.partition(".")
    if table == DIGEST and dot and name not in OF_ONE:
        key = kind.digest.key if kind.digest else ()
        return {**{name: kind.data[name] for name in key}, **OF_DIGEST, **BUILT_IN}
    return {**kind.data, **BUILT_IN}


def read_wording(folder: Path, kind: NotificationType) -> Wording:
    """Read a type's texts from its folder; raises ConfigurationError, which names the file at fault."""
    for name in sorted(RESERVED & kind.data.keys()):
        raise ConfigurationError(f"{kind.id}/type.toml: every text has {name!r} already; give data.{name} another name")
    return read_locales(folder, texts_type())


def compile_locale(kind: NotificationType, locale: str, texts: Texts, writers: Mapping[Channel, Writer]) -> Spoken:
    """Check and compile one locale's texts; raises ConfigurationError, which names the first part and line at fault."""
    where = f"{kind.id}/{locale}.toml"
    check_locale_name(locale, where)
    for name, part, fault in unkept(texts):
        raise ConfigurationError(f"{where}: {name}.{part}, {fault}")
    tables = {channel: table for channel in channels.channels() if (table := texts.table(channel)) is not None}
    if tables.keys() != set(kind.channels):
        wanted = " and ".join(f"[{channel}]" for channel in kind.channels)
        raise ConfigurationError(f"{where}: its tables must be those of the type's channels: {wanted}")
    digest = texts.table(DIGEST)
    if (digest is None) != (kind.digest is None):
        raise ConfigurationError(f"{where}: [digest] must be there where type.toml has a digest")
    return Spoken(
        {channel: _compile(f"{where}: {channel}", channel, table, kind, writers) for channel, table in tables.items()},
        None if digest is None else _compile_digest(f"{where}: digest", digest, kind),
    )


def faults(kind: NotificationType, wording: Wording) -> Iterator[tuple[str, str, str, str]]:
    """Every part that the language refuses: locale, channel, part, and why, each for itself."""
    for locale, texts in wording.items():
        for channel, part, fault in unkept(texts):
            yield locale, channel, part, fault
    for place in places(kind, wording):
        try:
            compile_text(place.name, place.source, fields_of(kind, place.part, is_address=place.is_address))
        except ConfigurationError as error:
            yield place.locale, place.channel, place.part, str(error).removeprefix(place.name).lstrip(":, ")


def unkept(texts: Texts) -> Iterator[tuple[Channel, str, str]]:
    """Whatever the database couldn't keep of a locale's texts, by channel and part, with the reason."""
    tables = [(channel, "", texts.table(channel)) for channel in channels.channels()]
    if (collects := digesting()) is not None:
        tables.append((collects[0], f"{DIGEST}.", texts.table(DIGEST)))
    for channel, prefix, table in tables:
        for part, text in _kept(table) if table else ():
            if fault := text_fault(text):
                yield channel, prefix + part, fault


def _kept(table: Table) -> Iterator[tuple[str, str]]:
    """All that a version keeps of a table: the labels of its rows, and the parts that no message uses, among it."""
    for part, text in msgspec.structs.asdict(table).items():
        if isinstance(text, str):
            yield part, text
        else:
            yield from ((part, label) for label in text)
            yield from ((f"{part}.{label}", row) for label, row in text.items())


def _sources(channel: Channel, table: Table) -> dict[str, str]:
    """The parts of a channel's texts that say something, its rows behind them as `<part>.<label>`."""
    own = writing(channel)
    sources: dict[str, Any] = msgspec.structs.asdict(own.used(table))
    rows: dict[str, str] = sources.pop(own.rows.part) if own.rows else {}
    kept = {name: source for name, source in sources.items() if source or name not in own.optional}
    return kept | {f"{own.rows.part}.{label}": source for label, source in rows.items() if own.rows}


def _compile(
    where: str, channel: Channel, table: Table, kind: NotificationType, writers: Mapping[Channel, Writer]
) -> Script:
    own = writing(channel)
    compiled = {
        name: compile_text(f"{where}.{name}", source, fields_of(kind, name, is_address=name in own.addresses))
        for name, source in _sources(channel, table).items()
    }
    addresses = {name: compiled.pop(name) for name in own.addresses & compiled.keys()}
    rows = {name.partition(".")[2]: part for name, part in compiled.items() if "." in name}
    parts = {name: part for name, part in compiled.items() if "." not in name}
    return Script(parts, rows, addresses, writers[channel].compile(where, table))


def _compile_digest(where: str, table: Table, kind: NotificationType) -> Script:
    compiled = {
        name: compile_text(f"{where}.{name}", source, fields_of(kind, f"{DIGEST}.{name}"))
        for name, source in msgspec.structs.asdict(table).items()
    }
    rows = {name: compiled.pop(name) for name in OF_ONE}
    return Script(compiled, rows)
