"""The words of a notification type: one set of texts a locale, read from files or kept as a version, checked and
compiled.

    templates/<type>/<locale>.toml      what ships: version 1
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from babel import UnknownLocaleError

from notifier.domain.catalog import LOCALE_NAME, Field, NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.domain.reading import read_text
from notifier.domain.text import text_fault
from notifier.rendering.formats import parse_locale
from notifier.rendering.language import DEFAULT_LOCALE, Part, compile_text
from notifier.rendering.markup import Design, compile_design

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

IMAGE = "image"
"""The part that is an address: what it names is quoted."""

DIGEST = "digest."
"""Begins the names of a digest's parts."""

OF_ONE = ("label", "value")
"""A digest's parts that each of its rows has, and which say something of one event."""

OPTIONAL: Mapping[Channel, frozenset[str]] = {
    Channel.PUSH: frozenset({IMAGE, "action"}),
    Channel.EMAIL: frozenset({"mjml", "text"}),
}
"""The parts that a channel's texts can do without; empty, they are not there."""

TAGS = re.compile(r"[{][{%][^}]*[}%][}]")
"""What of a source is Jinja's."""

_WORD = re.compile(r"\w+")
_Shape = TypeVar("_Shape")


class PushTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table `[push]`: `image` is the address of a picture, `action` the label of a button."""

    title: str
    body: str
    image: str = ""
    action: str = ""


class SmsTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[sms]`."""

    text: str


class EmailTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table `[email]`: a body in paragraphs, the button's label (`action`), a table's rows by label (`details`).

    `mjml` is a body of MJML sections instead of those, and `text` its text part where the one made from it won't do.
    """

    subject: str
    preheader: str
    heading: str = ""
    body: str = ""
    action: str = ""
    details: dict[str, str] = {}
    mjml: str = ""
    text: str = ""


class DigestTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[digest]`: a mail about several, and the row of its table that each gets."""

    subject: str
    preheader: str
    heading: str
    body: str
    action: str
    label: str
    value: str


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One locale's."""

    push: PushTexts | None = None
    sms: SmsTexts | None = None
    email: EmailTexts | None = None
    digest: DigestTexts | None = None

    def table(self, channel: Channel) -> PushTexts | SmsTexts | EmailTexts | None:
        """The texts of a channel."""
        tables: Mapping[Channel, PushTexts | SmsTexts | EmailTexts | None] = {
            Channel.PUSH: self.push, Channel.SMS: self.sms, Channel.EMAIL: self.email,
        }  # fmt: skip
        return tables.get(channel)


Wording = Mapping[str, Texts]
"""A type's texts by locale."""


def alike(one: Wording, other: Wording, locale: str, channel: Channel) -> bool:
    """Whether two wordings say the same in a locale on a channel; a digest is a mail."""
    mine, theirs = one.get(locale, Texts()), other.get(locale, Texts())
    return mine.table(channel) == theirs.table(channel) and (channel != Channel.EMAIL or mine.digest == theirs.digest)


class Script(NamedTuple):
    """The compiled texts of a type for one channel and locale: parts by name, a mail's table rows by label, its design
    where it has one, and a push's image."""

    parts: Mapping[str, Part]
    details: Mapping[str, Part]
    design: Design | None = None
    image: Part | None = None


class Spoken(NamedTuple):
    """The compiled texts of a type in one locale: by channel; of a digest, and (its `details`) of each of its rows."""

    channels: Mapping[Channel, Script]
    digest: Script | None


Scripts = Mapping[str, Spoken]
"""Compiled texts by locale."""


class Place(NamedTuple):
    """One part of a wording: `de`, `sms`, `text`; a mail's table rows are `details.<label>`, what it says of several
    events at once `digest.<part>`."""

    locale: str
    channel: Channel
    part: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.locale}.toml: {self.channel}.{self.part}"


def named(source: str) -> set[str]:
    """The words within a source's Jinja, the names of fields among them."""
    return {word for tag in TAGS.findall(source) for word in _WORD.findall(tag)}


def places(kind: NotificationType, wording: Wording) -> Iterator[Place]:
    """Every part that has a source, in the order in which people read them."""
    for locale, texts in wording.items():
        for channel in kind.channels:
            table = texts.table(channel)
            if table is not None:
                for part, source in _sources(channel, table).items():
                    yield Place(locale, channel, part, source)
        if texts.digest is not None:
            for part, source in msgspec.structs.asdict(texts.digest).items():
                yield Place(locale, Channel.EMAIL, f"{DIGEST}{part}", source)


def fields_of(kind: NotificationType, part: str = "") -> Mapping[str, Field]:
    """What a part of a type's texts may name: what is said of several events at once, only what they share; an address,
    what can stand in one, and what its conditions ask for."""
    if part == IMAGE:
        return {**{name: field for name, field in kind.data.items() if field.type in ("text", "flag")}, **OF_ADDRESSES}
    if part.startswith(DIGEST) and part.removeprefix(DIGEST) not in OF_ONE:
        key = kind.digest.key if kind.digest else ()
        return {**{name: kind.data[name] for name in key}, **OF_DIGEST, **BUILT_IN}
    return {**kind.data, **BUILT_IN}


def read_wording(folder: Path, kind: NotificationType) -> Wording:
    """A type's texts from its folder; ConfigurationError names the file at fault."""
    for name in sorted(RESERVED & kind.data.keys()):
        raise ConfigurationError(f"{kind.id}/type.toml: every text has {name!r} already; give data.{name} another name")
    return read_locales(folder, Texts)


def check_default(folder: str, locales: Collection[str]) -> None:
    """ConfigurationError where the default locale is not among them."""
    if DEFAULT_LOCALE not in locales:
        raise ConfigurationError(f"{folder}/{DEFAULT_LOCALE}.toml is missing: it is for whoever speaks no other locale")


def compile_locale(kind: NotificationType, locale: str, texts: Texts, frame: str) -> Spoken:
    """Check and compile one locale's texts; ConfigurationError names the first part and line at fault.

    `frame` is the MJML that designs stand in.
    """
    where = f"{kind.id}/{locale}.toml"
    check_locale_name(locale, where)
    for channel, part, fault in _unkept(texts):
        raise ConfigurationError(f"{where}: {channel}.{part}, {fault}")
    tables = {channel: table for channel in Channel if (table := texts.table(channel)) is not None}
    if tables.keys() != set(kind.channels):
        wanted = " and ".join(f"[{channel}]" for channel in kind.channels)
        raise ConfigurationError(f"{where}: its tables must be those of the type's channels: {wanted}")
    if (texts.digest is None) != (kind.digest is None):
        raise ConfigurationError(f"{where}: [digest] must be there where type.toml has a digest")
    return Spoken(
        {channel: _compile(f"{where}: {channel}", channel, table, kind, frame) for channel, table in tables.items()},
        None if texts.digest is None else _compile_digest(f"{where}: digest", texts.digest, kind),
    )


def faults(kind: NotificationType, wording: Wording) -> Iterator[tuple[str, str, str, str]]:
    """Every part that the language refuses: locale, channel, part, and why, each for itself."""
    for locale, texts in wording.items():
        for channel, part, fault in _unkept(texts):
            yield locale, channel, part, fault
    for place in places(kind, wording):
        try:
            compile_text(place.name, place.source, fields_of(kind, place.part))
        except ConfigurationError as error:
            yield place.locale, place.channel, place.part, str(error).removeprefix(place.name).lstrip(":, ")


def _unkept(texts: Texts) -> Iterator[tuple[Channel, str, str]]:
    """What the database couldn't keep of a locale's texts, by channel and part, with the reason."""
    tables = [*((channel, "", texts.table(channel)) for channel in Channel), (Channel.EMAIL, DIGEST, texts.digest)]
    for channel, prefix, table in tables:
        for part, text in _kept(table) if table else ():
            if fault := text_fault(text):
                yield channel, prefix + part, fault


def _kept(table: msgspec.Struct) -> Iterator[tuple[str, str]]:
    """All that a version keeps of a table: the labels of its rows, and the parts that no message uses, among it."""
    for part, text in msgspec.structs.asdict(table).items():
        if isinstance(text, str):
            yield part, text
        else:
            yield from ((part, label) for label in text)
            yield from ((f"{part}.{label}", row) for label, row in text.items())


def _compile_digest(where: str, table: DigestTexts, kind: NotificationType) -> Script:
    compiled = {
        name: compile_text(f"{where}.{name}", source, fields_of(kind, f"{DIGEST}{name}"))
        for name, source in msgspec.structs.asdict(table).items()
    }
    rows = {name: compiled.pop(name) for name in OF_ONE}
    return Script(compiled, rows)


def read_locales(folder: Path, shape: type[_Shape]) -> dict[str, _Shape]:
    """Every `<locale>.toml` of a folder by locale; the default locale must be among them."""
    texts = {}
    for file in sorted(folder.glob("*.toml")):
        if file.name != "type.toml":
            check_locale_name(file.stem, f"{file.parent.name}/{file.name}")
            texts[file.stem] = _read(file, shape)
    check_default(folder.name, texts)
    return texts


def closest(locale: str, available: Collection[str]) -> str:
    """The locale for someone who speaks `locale`: itself, its language, or the default ("de-AT" → "de" → "en")."""
    while locale not in available:
        locale, dash, _ = locale.rpartition("-")
        if not dash:
            return DEFAULT_LOCALE
    return locale


def check_locale_name(locale: str, where: str) -> None:
    """ConfigurationError for a name that is no locale CLDR knows."""
    if not LOCALE_NAME.fullmatch(locale):
        raise ConfigurationError(f"{where}: a text file is named by its locale, such as de.toml or pt-BR.toml")
    try:
        parse_locale(locale)
    except (ValueError, UnknownLocaleError):
        raise ConfigurationError(f"{where}: {locale} is not a locale that Unicode's CLDR knows") from None


def _sources(channel: Channel, table: msgspec.Struct) -> dict[str, str]:
    """The parts of a channel's texts that say something; of a mail with a design those that it has no use for go."""
    sources = msgspec.structs.asdict(table)
    details: dict[str, str] = sources.pop("details", {})
    optional = OPTIONAL.get(channel, frozenset())
    if isinstance(table, EmailTexts) and table.mjml:
        optional |= {"heading", "body", "action"}
        details = {}
    kept = {name: source for name, source in sources.items() if source or name not in optional}
    return kept | {f"details.{label}": source for label, source in details.items()}


def _compile(where: str, channel: Channel, table: msgspec.Struct, kind: NotificationType, frame: str) -> Script:
    compiled = {
        name: compile_text(f"{where}.{name}", source, fields_of(kind, name))
        for name, source in _sources(channel, table).items()
    }
    image = compiled.pop(IMAGE, None)
    details = {name.partition(".")[2]: part for name, part in compiled.items() if name.startswith("details.")}
    parts = {name: part for name, part in compiled.items() if not name.startswith("details.")}
    if isinstance(table, EmailTexts) and table.mjml:
        return Script(parts, {}, compile_design(f"{where}.mjml", table.mjml, table.text, frame))
    if isinstance(table, EmailTexts):
        for name in ("heading", "body", "action"):
            if not getattr(table, name).strip():
                raise ConfigurationError(f"{where}.{name} is empty: a mail without a design of its own needs it")
    return Script(parts, details, image=image)


def _read(file: Path, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(tomllib.loads(read_text(file)), shape)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file.parent.name}/{file.name}: {error}") from None
