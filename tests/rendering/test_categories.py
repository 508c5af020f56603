"""Every category has a name in every language, or the process doesn't start."""

from pathlib import Path

import pytest

from notifier.domain.errors import ConfigurationError
from notifier.domain.recipients import check_time_zone
from notifier.rendering.categories import FOLDER, load_categories
from notifier.rendering.zones import time_zones
from tests.samples import CATALOG

TEMPLATES = Path(__file__).parents[2] / "templates"
LOCALES = ("en", "de", "fr", "es")


def test_every_category_is_told_in_every_language() -> None:
    told = load_categories(TEMPLATES, CATALOG)

    assert set(told) == set(LOCALES)
    for words in told.values():
        for kind in CATALOG.types.values():
            assert words[kind.category].name
            assert words[kind.category].about.endswith(".")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("de.toml", '[charging]\nname = "Laden"\nabout = "…"', r"_categories/de.toml: add \[availability\]"),
        ("de.toml", "[charging]\nname = 5", "_categories/de.toml"),
        ("deutsch.toml", "", "named by its locale"),
    ],
)
def test_what_is_missing_or_wrong_stops_the_start_and_names_the_file(
    tmp_path: Path, file: str, text: str, says: str
) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "en.toml").write_text((TEMPLATES / FOLDER / "en.toml").read_text("utf-8"), "utf-8")
    (folder / file).write_text(text, "utf-8")

    with pytest.raises(ConfigurationError, match=says):
        load_categories(tmp_path, CATALOG)


def test_there_is_no_start_without_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"_categories/en.toml is missing"):
        load_categories(tmp_path, CATALOG)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_time_zone_on_offer_is_one_that_a_recipient_may_have(locale: str) -> None:
    zones = dict(time_zones(locale))

    assert len(zones) > 400
    assert [zone for zone in zones if check_time_zone(zone) != zone] == []
    assert len(set(zones.values())) == len(zones)


def test_zones_are_found_by_country_and_city_in_the_language() -> None:
    assert dict(time_zones("de"))["Europe/Vienna"] == "Österreich: Wien"
    assert dict(time_zones("fr"))["Asia/Singapore"] == "Singapour"
    labels = [label for _, label in time_zones("de")]
    assert labels.index("Ägypten: Kairo") < labels.index("Albanien: Tirana")
