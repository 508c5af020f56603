"""The names of categories by locale: `templates/_categories/<locale>.toml`."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from notifier.domain.catalog import Catalog
from notifier.domain.errors import ConfigurationError
from notifier.rendering.locales import read_locales

FOLDER = "_categories"


class CategoryWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A category's name, and a sentence that says what it is about."""

    name: str
    about: str


def load_categories(templates: Path, catalog: Catalog) -> Mapping[str, Mapping[str, CategoryWords]]:
    """Load the words by locale and category; raises ConfigurationError where a locale lacks a category of the
    catalog."""
    told = read_locales(templates / FOLDER, dict[str, CategoryWords])
    needed = sorted({kind.category for kind in catalog.types.values()})
    for locale, words in told.items():
        for category in needed:
            if category not in words:
                raise ConfigurationError(f"{FOLDER}/{locale}.toml: add [{category}] with its name and about")
    return told
