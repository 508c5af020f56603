"""Texts by locale: reading the files, one for each locale, and choosing the locale for a reader."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

import msgspec
from babel import UnknownLocaleError

from notifier.domain.catalog import LOCALE_NAME
from notifier.domain.errors import ConfigurationError
from notifier.domain.reading import read_text
from notifier.rendering.formats import parse_locale
from notifier.rendering.language import DEFAULT_LOCALE

_Shape = TypeVar("_Shape")


def read_locales(folder: Path, shape: type[_Shape]) -> dict[str, _Shape]:
    """Read every `<locale>.toml` of a folder by locale; the default locale must be among them."""
    texts = {}
    for file in sorted(folder.glob("*.toml")):
        if file.name != "type.toml":
            check_locale_name(file.stem, f"{file.parent.name}/{file.name}")
            texts[file.stem] = _read(file, shape)
    check_default(folder.name, texts)
    return texts


def closest(locale: str, available: Collection[str]) -> str:
    """Return the best available match for `locale`: itself, its language, or the default ("de-AT" → "de" → "en")."""
    while locale not in available:
        locale, dash, _ = locale.rpartition("-")
        if not dash:
            return DEFAULT_LOCALE
    return locale


def check_default(folder: str, locales: Collection[str]) -> None:
    """Raise ConfigurationError where the default locale is missing."""
    if DEFAULT_LOCALE not in locales:
        raise ConfigurationError(
            f"{folder}/{DEFAULT_LOCALE}.toml is missing: it is the fallback for all other languages"
        )


def check_locale_name(locale: str, where: str) -> None:
    """Raise ConfigurationError for a name that isn't a CLDR locale."""
    if not LOCALE_NAME.fullmatch(locale):
        raise ConfigurationError(f"{where}: a text file is named by its locale, such as de.toml or pt-BR.toml")
    try:
        parse_locale(locale)
    except (ValueError, UnknownLocaleError):
        raise ConfigurationError(f"{where}: {locale} is not a locale that Unicode's CLDR knows") from None


def _read(file: Path, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(tomllib.loads(read_text(file)), shape)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file.parent.name}/{file.name}: {error}") from None
