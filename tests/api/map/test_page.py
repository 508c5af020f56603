"""`/map` as its server answers it: words, headers, files, and what there is without a script."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from notifier.api.map.assets import ASSETS, VERSION
from notifier.api.map.document import HERE
from notifier.api.map.wording import MapWords
from notifier.domain.errors import ConfigurationError
from notifier.domain.recipients import RecipientDetails
from notifier.rendering.locales import read_locales
from notifier.runtime.settings import Settings, load_settings
from notifier.store.core.database import Database
from notifier.store.people import recipients
from notifier.store.stations import locations
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, application
from tests.places import place
from tests.samples import LINKS, NOW

SLOT = re.compile(r"{(\w+)}")


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Caller]:
    await recipients.put(database, {"ada": RecipientDetails(locale="de")}, NOW)
    async with application(database, valkey) as caller:
        yield caller


@asynccontextmanager
async def with_settings(database: Database, valkey: str, **settings: str) -> AsyncIterator[Caller]:
    async with application(database, valkey, settings=Settings(**settings)) as caller:  # type: ignore[arg-type]
        yield caller


def policy(answer: Answer) -> dict[str, str]:
    parts = (each.strip().partition(" ") for each in answer.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


def personal() -> str:
    return LINKS.map_url("ada", NOW).removeprefix("https://notify.example.com")


def slots(words: object) -> list[tuple[str, list[str]]]:
    """The names in braces of every text, by its path."""
    if isinstance(words, str):
        return [("", sorted(SLOT.findall(words)))]
    assert isinstance(words, MapWords) or hasattr(words, "__struct_fields__")
    return [
        (f"{name}.{path}", found)
        for name in words.__struct_fields__
        for path, found in slots(getattr(words, name))
    ]  # fmt: skip


def test_every_language_has_every_word_with_the_same_values() -> None:
    texts = read_locales(HERE / "words", MapWords)

    assert set(texts) == {"en", "de", "fr", "es"}
    for locale, words in texts.items():
        for (path, expected), (_, found) in zip(slots(texts["en"]), slots(words), strict=True):
            assert found == expected, f"{locale}: {path}"


def test_every_word_that_the_scripts_name_is_there() -> None:
    texts = read_locales(HERE / "words", MapWords)["en"]
    named = {
        match
        for name, asset in ASSETS.items()
        if name.endswith(".js") and name != "leaflet.js"
        for match in re.findall(r"\bwords((?:\.(?!js\b)[a-z_]+)+)", asset.content.decode())
    }
    assert len(named) > 30
    for each in named:
        at: object = texts
        for part in each.strip(".").split("."):
            at = getattr(at, part)


@on_sqlite
async def test_the_page_speaks_the_language_of_its_reader(api: Caller) -> None:
    for asked, header, title in (
        ("", "fr-CA,fr;q=0.9", "Où recharger"),
        ("?lang=es", "fr", "Dónde cargar"),
        ("", "tlh", "Where to charge"),
    ):
        answer = await api.call("GET", f"/map{asked}", Authorization="", Accept_Language=header)
        assert title in answer.body
        assert answer.headers["Vary"] == "Accept-Language"

    # A person's page speaks theirs
    assert "Wo jetzt laden?" in (await api.call("GET", personal(), Accept_Language="fr")).body


@on_sqlite
async def test_whoever_likes_frames_the_map_and_nobody_a_persons(api: Caller, valkey: str) -> None:
    public, own = await api.call("GET", "/map"), await api.call("GET", personal())

    assert policy(public)["frame-ancestors"] == "*"
    assert "X-Frame-Options" not in public.headers
    assert policy(own)["frame-ancestors"] == "'none'"
    assert own.headers["X-Frame-Options"] == "DENY"
    assert own.headers["Cache-Control"] == "no-store"
    assert "embed" not in re.findall(r"<body[^>]*>", (await api.call("GET", f"{personal()}?embed=1")).body)[0]
    for each in (public, own):
        assert each.headers["Referrer-Policy"] == "no-referrer"
        assert policy(each)["default-src"] == "'none'"
        assert policy(each)["script-src"] == policy(each)["style-src"] == "'self'"

    # And where the setting names sites, these alone
    async with with_settings(api.engine.database, valkey, map_frames="https://a.example") as strict:
        assert policy(await strict.call("GET", "/map"))["frame-ancestors"] == "https://a.example"
    async with with_settings(api.engine.database, valkey, map_frames="none") as strict:
        assert (await strict.call("GET", "/map")).headers["X-Frame-Options"] == "DENY"


@on_sqlite
async def test_pictures_come_from_the_host_of_the_tiles_where_the_setting_names_one(api: Caller, valkey: str) -> None:
    assert policy(await api.call("GET", "/map"))["img-src"] == "'self'"

    tiles = "https://{s}.tiles.example.com/{z}/{x}/{y}.png"
    async with with_settings(api.engine.database, valkey, map_tiles=tiles, map_attribution="© </script><b>") as tiled:
        answer = await tiled.call("GET", "/map")

    assert policy(answer)["img-src"] == "'self' data: https://*.tiles.example.com"
    assert "</script><b>" not in answer.body
    config = json.loads(re.findall(r'id="config">(.*?)</script>', answer.body)[0])
    assert (config["tiles"], config["attribution"]) == (tiles, "© </script><b>")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAP_TILES", "https://tiles.example.com/{z}/{x}.png"), ("MAP_TILES", "/tiles/{z}/{x}/{y}.png"),
        ("MAP_TILES", "https://a.example;script-src/{z}/{x}/{y}"), ("MAP_TILES", "https://a.example/ {z}/{x}/{y}"),
        ("MAP_FRAMES", "'self'; script-src *"), ("MAP_FRAMES", "example.com"), ("MAP_FRAMES", "https://a.example/path"),
    ],
)  # fmt: skip
def test_a_setting_that_could_change_the_policy_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"NOTIFIER_{name}: "):
        load_settings({f"NOTIFIER_{name}": value})


@on_sqlite
async def test_files_are_kept_for_ever_by_their_version_and_are_compressed(api: Caller) -> None:
    page = (await api.call("GET", "/map")).body
    named = set(re.findall(r'(?:src|href)="(map/static/[^"]+)"', page))
    assert {each.rpartition("/")[2] for each in named} >= {"leaflet.js", "leaflet.css", "map.js", "map.css", "words.js"}

    for path in named:
        plain = await api.call("GET", f"/{path}", Accept_Encoding="identity")
        packed = await api.call("GET", f"/{path}", Accept_Encoding="gzip")
        assert (
            plain.headers["Cache-Control"] == packed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        )
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert plain.body == packed.body == ASSETS[path.rpartition("/")[2]].content.decode()

    # A page of another release gets what is here, and doesn't keep it
    other = await api.call("GET", "/map/static/000000000000/map.js")
    assert (other.status, other.headers["Cache-Control"]) == (200, "no-cache")
    assert (await api.call("GET", f"/map/static/{VERSION}/none.js")).problem == (40401, None)
    assert (await api.call("GET", "/map/embed.js")).headers["Cache-Control"] == "no-cache"


@on_sqlite
async def test_all_of_a_first_look_is_light(api: Caller) -> None:
    page = len(gzip.compress((await api.call("GET", "/map")).body.encode()))
    files = {name: len(each.packed) for name, each in ASSETS.items() if name != "embed.js"}

    assert page + sum(files.values()) < 200_000
    assert files["outlines.json"] < 60_000


@on_sqlite
async def test_without_a_script_there_is_a_list_of_the_places_nearby(api: Caller) -> None:
    near, far = place(name="<Gent> Zuid", address="Zuid 1"), place("NL-TNM-LOC2", latitude=10.0, longitude=10.0)
    for each in (near, far):
        await locations.update(api.engine.database, each.location.id, lambda _, each=each: each)  # type: ignore[misc]

    listed = (await api.call("GET", "/map?near=51.05,3.73&lang=en")).body
    assert "<h4>&lt;Gent&gt; Zuid</h4>" in listed
    assert "<p>Zuid 1, Gent</p>" in listed
    assert "None of 2 free" in listed
    assert listed.count("<h4>") == 1
    assert "No places in this part" in (await api.call("GET", "/map?near=51.05,3.73&free=true&lang=en")).body
    assert "No places in this part" in (await api.call("GET", "/map?near=x&min_kw=y&lang=en")).body

    # And where no point is named, a choice of some
    assert (await api.call("GET", "/map")).body.count('<a href="?near=') == 2


@on_sqlite
async def test_without_the_map_there_is_nothing_of_it(api: Caller, valkey: str) -> None:
    async with with_settings(api.engine.database, valkey, map="off") as off:
        for path in ("/map", personal(), "/map/embed.js", f"/map/static/{VERSION}/map.js"):
            assert (await off.call("GET", path)).status == 404


def test_scripts_and_styles_are_short_files() -> None:
    for file in Path(HERE).rglob("*.*"):
        if file.suffix in (".js", ".css", ".html", ".toml"):
            assert len(file.read_text("utf-8").splitlines()) <= 400, file
