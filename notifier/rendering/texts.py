"""The files that hold the texts, `templates/<type>/<locale>.toml`: read, checked and compiled."""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from babel import UnknownLocaleError

from notifier.catalog import LOCALE_NAME, Field, NotificationType
from notifier.deliveries import Channel
from notifier.errors import ConfigurationError
from notifier.rendering.formats import parse_locale
from notifier.rendering.language import DEFAULT_LOCALE, Part, compile_text

BUILT_IN: Mapping[str, Field] = {
    "brand": Field(type="text", about="The brand's name"),
    "link": Field(type="text", about="Where the notification leads: the type's link"),
}
OF_DIGEST: Mapping[str, Field] = {
    "count": Field(type="integer", about="How many there are"),
    "more": Field(type="integer", about="How many of them the table leaves out", optional=True),
}
RESERVED = frozenset({*BUILT_IN, *OF_DIGEST, "app_url", "locale", "zone"})

_Shape = TypeVar("_Shape")


class PushTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[push]`."""

    title: str
    body: str


class SmsTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[sms]`."""

    text: str


class EmailTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[email]`: a body in paragraphs, the button's label (`action`), a table's rows by label (`details`)."""

    subject: str
    preheader: str
    heading: str
    body: str
    action: str
    details: dict[str, str] = {}


class DigestTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[digest]`: a mail about several, and the row of its table that each gets."""

    subject: str
    preheader: str
    heading: str
    body: str
    action: str
    label: str
    value: str


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `<locale>.toml`."""

    push: PushTexts | None = None
    sms: SmsTexts | None = None
    email: EmailTexts | None = None
    digest: DigestTexts | None = None


class Script(NamedTuple):
    """The compiled texts of a type for one channel and locale: parts by name, and a mail's table rows by label."""

    parts: Mapping[str, Part]
    details: Mapping[str, Part]


class Scripts(NamedTuple):
    """The compiled texts of a type in one locale: by channel; of a digest, and (its `details`) of each of its rows."""

    channels: Mapping[Channel, Script]
    digest: Script | None


def load_scripts(folder: Path, kind: NotificationType) -> dict[str, Scripts]:
    """A type's scripts by locale; ConfigurationError names the file, and the part and line, at fault."""
    for name in sorted(RESERVED & kind.data.keys()):
        raise ConfigurationError(f"{kind.id}/type.toml: every text has {name!r} already; give data.{name} another name")
    scripts = {}
    for locale, texts in read_locales(folder, Texts).items():
        found = {"push": texts.push, "sms": texts.sms, "email": texts.email}
        tables = {Channel(name): table for name, table in found.items() if table is not None}
        if tables.keys() != set(kind.channels):
            wanted = " and ".join(f"[{channel}]" for channel in kind.channels)
            raise ConfigurationError(
                f"{kind.id}/{locale}.toml: its tables must be those of the type's channels: {wanted}"
            )
        if (texts.digest is None) != (kind.digest is None):
            raise ConfigurationError(f"{kind.id}/{locale}.toml: [digest] must be there where type.toml has a digest")
        where, fields = f"{kind.id}/{locale}.toml", {**kind.data, **BUILT_IN}
        scripts[locale] = Scripts(
            {channel: _compile(f"{where}: {channel}", table, fields) for channel, table in tables.items()},
            None if texts.digest is None else _compile_digest(f"{where}: digest", texts.digest, kind),
        )
    return scripts


def _compile_digest(where: str, table: DigestTexts, kind: NotificationType) -> Script:
    """What is said of all may use the fields that they share, and what is said of one all of its own."""
    key = kind.digest.key if kind.digest else ()
    shared = {**{name: kind.data[name] for name in key}, **OF_DIGEST, **BUILT_IN}
    parts = msgspec.structs.asdict(table)
    rows = {name: parts.pop(name) for name in ("label", "value")}
    return Script(
        {name: compile_text(f"{where}.{name}", source, shared) for name, source in parts.items()},
        {name: compile_text(f"{where}.{name}", source, {**kind.data, **BUILT_IN}) for name, source in rows.items()},
    )


def read_locales(folder: Path, shape: type[_Shape]) -> dict[str, _Shape]:
    """Every `<locale>.toml` of a folder by locale; the default locale must be among them."""
    texts = {}
    for file in sorted(folder.glob("*.toml")):
        if file.name != "type.toml":
            texts[_check_name(file)] = _read(file, shape)
    if DEFAULT_LOCALE not in texts:
        raise ConfigurationError(
            f"{folder.name}/{DEFAULT_LOCALE}.toml is missing: it is for whoever speaks no other locale there"
        )
    return texts


def closest(locale: str, available: Collection[str]) -> str:
    """The locale for someone who speaks `locale`: itself, its language, or the default ("de-AT" → "de" → "en")."""
    while locale not in available:
        locale, dash, _ = locale.rpartition("-")
        if not dash:
            return DEFAULT_LOCALE
    return locale


def _compile(where: str, table: msgspec.Struct, fields: Mapping[str, Field]) -> Script:
    sources = msgspec.structs.asdict(table)
    details = sources.pop("details", {})
    return Script(
        {name: compile_text(f"{where}.{name}", source, fields) for name, source in sources.items()},
        {label: compile_text(f"{where}.details.{label}", source, fields) for label, source in details.items()},
    )


def _check_name(file: Path) -> str:
    where = f"{file.parent.name}/{file.name}"
    if not LOCALE_NAME.fullmatch(file.stem):
        raise ConfigurationError(f"{where}: a text file is named by its locale, such as de.toml or pt-BR.toml")
    try:
        parse_locale(file.stem)
    except (ValueError, UnknownLocaleError):
        raise ConfigurationError(f"{where}: {file.stem} is not a locale that Unicode's CLDR knows") from None
    return file.stem


def _read(file: Path, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(tomllib.loads(file.read_text("utf-8")), shape)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file.parent.name}/{file.name}: {error}") from None
