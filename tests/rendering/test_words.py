"""The rules of each language that a program can see, for every text that people read (docs/notification-types.md)."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notifier.domain.catalog import Catalog
from notifier.domain.messages import Content
from notifier.rendering import Renderer

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "templates").glob("*")), ROOT / "notifier" / "api" / "pages"]
TITLES = {"title", "subject", "heading", "preheader", "action", "name"}

PARTICLES = "um|an|ab|auf|aus|ein|zu|vor|nach|mit|weg|los|her|hin|bei|zurück|weiter|teil|statt"
"""What German splits off a verb; "nicht mehr" and adjectives may end a title."""
COMMANDS = "Carga|Recarga|Reserva|Recibe|Cobra|Pago|Compra|Oferta|Espera|Entrada"
"""Spanish nouns, and forms of usted, that are commands to a friend as well."""
NAMES = r"\{\{ (?:station|site|vehicle|depot) \}\}[^.:;,{]*"


def texts(language: str) -> Iterator[tuple[str, str]]:
    """Every source in a language, with its place; without the words that only conditions name."""
    for folder in FILES:
        file = folder / f"{language}.toml"
        if file.exists():
            yield from _inside(f"{folder.name}: ", tomllib.loads(file.read_text("utf-8")))


def _inside(place: str, told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, each in told.items():
        if isinstance(each, dict):
            yield from _inside(f"{place}{name}.", each)
        else:
            yield f"{place}{name}", each


def said(source: str) -> str:
    return re.sub(r"\{%.*?%\}", "\n", source)


def refuse(language: str, pattern: str, *, flags: int = 0) -> None:
    for place, source in texts(language):
        found = re.search(pattern, said(source), flags)
        assert found is None, f"{place}: {found[0]!r} in {source!r}"


def test_no_german_title_ends_with_half_a_verb() -> None:
    for place, source in texts("de"):
        if place.rpartition(".")[2] in TITLES:
            for line in said(source).splitlines():
                assert not re.search(rf"[ \u00a0}}]({PARTICLES})[.?]?$", line), f"{place}: {line}"


def test_a_german_station_is_free_and_not_open() -> None:
    refuse("de", r"(Ladepunkte?|Station(en)?|Ladeplatz|\}\})[^.]* offen\b")


@pytest.mark.parametrize(
    "verb", ["Bezahl", "Park", "Nimm", "Zieh", "Steck", "Prüfen Sie", "prüfen Sie", "schließen Sie"]
)
def test_a_german_command_says_what_it_is_about(verb: str) -> None:
    # The object follows at once: a pronoun, an article, a noun or an amount
    refuse(
        "de", rf"\b{verb} (?!(bitte )?(ihn|es|sie|das|den|die|dein|deinen|deine|zuerst|Strom|Kabel|Fahrzeug|\{{\{{))"
    )


def test_a_german_fee_falls_due_on_its_own() -> None:
    refuse("de", r"kostet jede Minute")
    assert any(re.search(r"(Blockiergebühr|Gebühr) an(\W|$)|Gebühr anfällt", source) for _, source in texts("de"))


def test_the_spanish_article_follows_the_hour(renderer: Renderer, catalog: Catalog) -> None:
    # Given a text with its times between one and two, on either half of the day's clock
    seen = 0
    for kind in catalog.types.values():
        for locale, hour in (("es", "01"), ("es-MX", "13")):
            for sample in kind.samples:
                times = {name: f"2026-03-09T{hour}:30:00Z" for name, field in kind.data.items() if field.type == "time"}
                data = {**sample.data, **{name: at for name, at in times.items() if name in sample.data}}
                for channel in kind.channels:
                    content = renderer.render(
                        kind.id, channel, locale=locale, time_zone="Africa/Abidjan", data=data
                    ).content

                    # Then there is one hour, not several of them
                    for text in spoken(content):
                        plain = text.replace("\u00a0", " ")
                        assert not re.search(r"\b(las|los|del?|antes de|desde) 1:30", plain), text
                        seen += "la 1:30" in plain
    assert seen


def spoken(content: Content) -> list[str]:
    parts = msgspec.structs.asdict(content)
    return [each for name, each in parts.items() if isinstance(each, str) and name != "html"]


def test_no_spanish_sentence_begins_with_a_noun_that_reads_as_a_command() -> None:
    refuse("es", rf"(^|[.:] |\n)({COMMANDS})\b", flags=re.MULTILINE)


@pytest.mark.parametrize(
    "other", ["ocupación", r"lugar\b", r"unidad\b", "aplicación", "como máximo", "límite de carga", "método de pago"]
)
def test_spanish_has_one_term_for_one_thing(other: str) -> None:
    refuse("es", other, flags=re.IGNORECASE)


@pytest.mark.parametrize("other", [r"appli\b", r"\bapp\b", "voiture", "station de", "chargeur"])
def test_french_has_one_term_for_one_thing(other: str) -> None:
    refuse("fr", other, flags=re.IGNORECASE)


def test_a_french_word_agrees_with_its_noun_and_not_with_a_name() -> None:
    for place, source in texts("fr"):
        for found in re.finditer(rf"(\w+ )?{NAMES}", said(source)):
            if re.search(r"\b(réservée?|prête?|chargée?|occupée?|disponibles?|désactivée?)\b", found[0]):
                assert found[1] in ("borne ", "véhicule ", "site ", "dépôt "), f"{place}: {found[0]}"


def test_a_spanish_word_agrees_with_its_noun_and_not_with_a_name() -> None:
    for place, source in texts("es"):
        for found in re.finditer(rf"(\w+ )?{NAMES}", said(source)):
            if re.search(r"\b(reservad[oa]|list[oa]|cargad[oa]|ocupad[oa]|enchufad[oa])\b", found[0]):
                assert found[1] in ("cargador ", "estación ", "vehículo "), f"{place}: {found[0]}"


@pytest.mark.parametrize("other", ["answers? again", "open amount", r"\bopen\.", "(is|are|been) free", "Free station"])
def test_english_says_what_people_say(other: str) -> None:
    refuse("en", other)
    assert "is back online since" in dict(texts("en"))["station-online: email.body"]


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_a_time_stands_in_the_words_that_its_zone_may_follow(language: str) -> None:
    refuse(language, r"\| (time|date_time)[^}]*\}\}.Uhr|\blas?.\{\{ \w+ \| time")
