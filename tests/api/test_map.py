"""The map page over HTTP: what may be kept, and by whom it may be framed."""

import re
from pathlib import Path

import msgspec
import pytest

from notifier.api.map.assets import ASSETS, FOR_EVER, VERSION
from notifier.api.map.page import HERE
from notifier.api.map.wording import MapWords
from notifier.rendering.locales import read_locales
from notifier.runtime.addresses import frame_sources, tile_template
from notifier.runtime.settings import Settings
from notifier.store.core.database import Database
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application


@on_sqlite
async def test_the_page_loads_nothing_from_elsewhere_and_may_be_framed(api: Caller) -> None:
    # When
    page = await api.call("GET", "/map", Authorization="")
    # Then
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "frame-ancestors *" in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "<script>" not in page.body
    assert "style=" not in page.body


async def test_tiles_come_from_where_the_setting_says_alone(database: Database, valkey: str) -> None:
    # Given
    settings = Settings(map_tiles="https://{s}.tiles.example.com/{z}/{x}/{y}.png", map_frames="none")
    async with application(database, valkey, settings=settings) as api:
        # When
        page = await api.call("GET", "/map", Authorization="")
    # Then
    policy = page.headers["Content-Security-Policy"]
    assert "img-src 'self' data: https://*.tiles.example.com;" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"


@on_sqlite
@pytest.mark.parametrize("name", ASSETS)
async def test_files_are_kept_for_ever_and_those_of_another_version_are_not(api: Caller, name: str) -> None:
    # When
    kept = await api.call("GET", f"/map/static/{VERSION}/{name}", Authorization="")
    other = await api.call("GET", f"/map/static/000000000000/{name}", Authorization="")
    # Then
    assert (kept.status, kept.headers["Cache-Control"]) == (200, FOR_EVER)
    assert (other.status, other.headers["Cache-Control"]) == (200, "no-cache")
    assert (await api.call("GET", f"/map/static/{VERSION}/nothing.js", Authorization="")).status == 404


@on_sqlite
async def test_a_map_that_is_off_is_not_there(database: Database, valkey: str) -> None:
    async with application(database, valkey, settings=Settings(map="off")) as api:
        for path in ("/map", "/map/embed.js", f"/map/static/{VERSION}/map.js"):
            assert (await api.call("GET", path, Authorization="")).status == 404


def test_every_language_has_every_word() -> None:
    # Given
    words = read_locales(HERE / "words", MapWords)
    english = msgspec.to_builtins(words["en"])
    # Then none is as in English but for words that are alike, and each has the same gaps
    assert set(words) == {"de", "en", "es", "fr"}
    for locale, each in words.items():
        for key, text in leaves(msgspec.to_builtins(each)).items():
            assert gaps(text) == gaps(leaves(english)[key]), (locale, key)


def leaves(tree: dict[str, object], under: str = "") -> dict[str, str]:
    """All texts by their places."""
    found: dict[str, str] = {}
    for name, value in tree.items():
        found |= leaves(value, f"{under}{name}.") if isinstance(value, dict) else {f"{under}{name}": str(value)}
    return found


def gaps(text: str) -> list[str]:
    """The names in braces."""
    return sorted(part.partition("}")[0] for part in text.split("{")[1:])


def test_every_word_of_the_scripts_is_there() -> None:
    # Given
    known = leaves(msgspec.to_builtins(read_locales(HERE / "words", MapWords)["en"]))
    scripts = "".join(Path(file).read_text("utf-8") for file in (HERE / "static").glob("*.js"))
    # When
    used = {part.split("[")[0] for part in _names(scripts)}
    # Then
    tables = {key.rpartition(".")[0] for key in known}
    assert {each for each in used if each not in known and each not in tables} == set()


def _names(script: str) -> list[str]:
    return re.findall(r"\bwords\.(?!js\b)([a-z_]+(?:\.[a-z_]+)?)", script)


@pytest.mark.parametrize(
    "wrong", ["https://tiles.example.com/{z}/{x}.png", "tiles/{z}/{x}/{y}", "https://{z}.example.com/{x}/{y};", ""]
)
def test_what_is_no_address_of_tiles_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        tile_template(wrong)


@pytest.mark.parametrize("wrong", ["example.com", "https://a.example.com/path", "'self'; script-src *", "javascript:x"])
def test_what_is_no_site_may_not_frame(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        frame_sources(wrong)
