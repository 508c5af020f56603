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
RESERVED = frozenset({*BUILT_IN, "app_url", "locale", "zone"})

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


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `<locale>.toml`."""

    push: PushTexts | None = None
    sms: SmsTexts | None = None
    email: EmailTexts | None = None


class Script(NamedTuple):
    """The compiled texts of a type for one channel and locale: parts by name, and a mail's table rows by label."""

    parts: Mapping[str, Part]
    details: Mapping[str, Part]


def load_scripts(folder: Path, kind: NotificationType) -> dict[str, dict[Channel, Script]]:
    """A type's scripts by locale and channel; ConfigurationError names the file, and the part and line, at fault."""
    for name in sorted(RESERVED & kind.data.keys()):
        raise ConfigurationError(f"{kind.id}/type.toml: every text has {name!r} already; give data.{name} another name")
    scripts = {}
    for locale, texts in read_locales(folder, Texts).items():
        tables = {Channel(name): texts for name, texts in msgspec.structs.asdict(texts).items() if texts is not None}
        if tables.keys() != set(kind.channels):
            wanted = " and ".join(f"[{channel}]" for channel in kind.channels)
            raise ConfigurationError(
                f"{kind.id}/{locale}.toml: its tables must be those of the type's channels: {wanted}"
            )
        scripts[locale] = {
            channel: _compile(f"{kind.id}/{locale}.toml: {channel}", table, {**kind.data, **BUILT_IN})
            for channel, table in tables.items()
        }
    return scripts


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
