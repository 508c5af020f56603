"""Walks every type, locale, channel and sample: what the shipped texts promise their readers."""

import re
import tomllib
from pathlib import Path
from typing import Any
from xml.parsers.expat import ParserCreate

import msgspec
import pytest

from notifier.channels.email.messages import EmailContent
from notifier.channels.push.messages import PushContent
from notifier.channels.sms.messages import SmsContent
from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.domain.channels import channels
from notifier.domain.gsm7 import BASIC, EXTENSION
from notifier.rendering import Renderer
from tests.named import EMAIL, PUSH

TEMPLATES = Path(__file__).parents[2] / "templates"
ZONES = {
    "en": "America/Chicago",
    "en-GB": "Europe/London",
    "de": "Europe/Berlin",
    "de-AT": "Europe/Vienna",
    "de-CH": "Europe/Zurich",
    "fr": "Europe/Paris",
    "fr-CA": "America/Montreal",
    "es": "Europe/Madrid",
    "es-US": "America/Los_Angeles",
}
LANGUAGES = ("en", "de", "fr", "es")
TYPES = sorted(load_catalog(TEMPLATES).types)
UNSUBSCRIBE = "https://notify.example.com/u/3f9a?c=fleet&s=1"

TITLE = 40  # letters of a push's title that a locked phone shows on one line
BODY = 120  # letters of its body before the phone cuts it
ACTION = 20  # of a button that stands beside no other
SUBJECT = 70  # letters of a subject that a desktop mail list shows
SEGMENT = 160  # septets of one SMS segment

walk = pytest.mark.parametrize("locale", ZONES)
types = pytest.mark.parametrize("type_id", TYPES)


def contents(renderer: Renderer, catalog: Catalog, type_id: str, locale: str) -> list[Any]:
    kind = catalog.types[type_id]
    url = None if kind.class_ == "transactional" else UNSUBSCRIBE
    return [
        renderer.render(
            type_id, channel, locale=locale, time_zone=ZONES[locale], data=sample.data, unsubscribe_url=url
        ).content
        for sample in kind.samples
        for channel in kind.channels
    ]


def texts_of(type_id: str, language: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((TEMPLATES / type_id / f"{language}.toml").read_text("utf-8"))


def words(text: str) -> str:
    """A source without its Jinja."""
    return re.sub(r"\{[{%].*?[}%]\}", "x", text)


def elements(html: str) -> list[tuple[str, dict[str, str]]]:
    """The elements of a document, which must be well-formed."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = ParserCreate()
    parser.StartElementHandler = lambda name, attributes: found.append((name, attributes))
    parser.Parse(html.encode(), True)
    return found


@types
@walk
def test_a_push_fits_a_locked_phone(renderer: Renderer, catalog: Catalog, type_id: str, locale: str) -> None:
    for content in contents(renderer, catalog, type_id, locale):
        if isinstance(content, PushContent):
            assert 0 < len(content.title) <= TITLE, content.title
            assert 0 < len(content.body) <= BODY, content.body
            assert content.link is not None
            assert content.link.startswith("https://app.example.com/")
            assert "  " not in content.title + content.body
            assert "\n" not in content.title + content.body
            assert len(content.action or "") <= ACTION, content.action


@types
@walk
def test_an_sms_names_its_sender_and_is_one_gsm7_segment(
    renderer: Renderer, catalog: Catalog, type_id: str, locale: str
) -> None:
    for content in contents(renderer, catalog, type_id, locale):
        if isinstance(content, SmsContent):
            septets = sum(2 if letter in EXTENSION else 1 for letter in content.text)
            assert set(content.text) <= set(BASIC + EXTENSION), content.text
            assert septets <= SEGMENT, content.text
            assert content.text.startswith("Voltline")
            assert "  " not in content.text


@types
@pytest.mark.parametrize("language", LANGUAGES)
def test_sms_words_need_no_letter_that_gsm7_lacks(type_id: str, language: str) -> None:
    text = texts_of(type_id, language).get("sms", {}).get("text", "")

    # Typographic apostrophes and no-break spaces become plain ones; nothing else may have to change
    assert set(words(text)) <= {*BASIC, *EXTENSION, "’", "\u00a0"}


@types
@walk
def test_a_mail_is_well_formed_in_both_its_bodies(
    renderer: Renderer, catalog: Catalog, type_id: str, locale: str
) -> None:
    for content in contents(renderer, catalog, type_id, locale):
        if isinstance(content, EmailContent):
            assert 0 < len(content.subject) <= SUBJECT, content.subject
            found = elements(content.html)
            assert found[0] == ("html", found[0][1])
            assert (found[0][1]["lang"], found[0][1]["dir"]) == (locale.split("-")[0], "ltr")
            links = [attributes["href"] for name, attributes in found if name == "a"]
            assert all(link.startswith("https://") for link in links)
            assert not re.search(r"<[a-z/]|&[a-z]+;|&#", content.text)
            assert "\n\n\n" not in content.text
            assert not re.search(r"[ \t]$", content.text, re.MULTILINE)


@pytest.mark.parametrize("type_id", [name for name, kind in load_catalog(TEMPLATES).types.items() if kind.digest])
@walk
def test_a_digest_tells_each_of_its_items_and_reads_like_a_single_mail_where_there_is_one(
    renderer: Renderer, catalog: Catalog, type_id: str, locale: str
) -> None:
    items = [sample.data for sample in catalog.types[type_id].samples]
    for data in ([items[0]] * 2, items * 40):
        content = renderer.render_digest(
            type_id, data, locale=locale, time_zone=ZONES[locale], unsubscribe_url=UNSUBSCRIBE
        ).content
        assert isinstance(content, EmailContent)
        assert 0 < len(content.subject) <= SUBJECT, content.subject
        assert str(len(data)) in content.subject
        rows = [name for name, _ in elements(content.html) if name == "th"]
        assert len(rows) == min(len(data), 100)
        assert (str(len(data) - 100) in content.text) == (len(data) > 100)
    alone = renderer.render_digest(type_id, items[:1], locale=locale, time_zone=ZONES[locale])
    assert alone == renderer.render(type_id, EMAIL, locale=locale, time_zone=ZONES[locale], data=items[0])


@types
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_offers_to_unsubscribe_only_where_there_is_a_way(
    renderer: Renderer, catalog: Catalog, type_id: str, language: str
) -> None:
    offered = catalog.types[type_id].class_ != "transactional"
    for content in contents(renderer, catalog, type_id, language):
        if isinstance(content, EmailContent):
            hrefs = [attributes["href"] for name, attributes in elements(content.html) if name == "a"]
            assert (UNSUBSCRIBE in hrefs) == (UNSUBSCRIBE in content.text) == offered


@types
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_renders_without_any_one_of_its_optional_fields(
    renderer: Renderer, catalog: Catalog, type_id: str, language: str
) -> None:
    kind = catalog.types[type_id]
    optional = [name for name, field in kind.data.items() if field.optional]
    for sample in kind.samples:
        for data in [{k: v for k, v in sample.data.items() if k != name} for name in optional] + [
            {k: v for k, v in sample.data.items() if k not in optional}
        ]:
            for channel in kind.channels:
                content = renderer.render(type_id, channel, locale=language, time_zone="UTC", data=data).content
                assert "None" not in str(msgspec.to_builtins(content))


@types
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_of_a_code_has_its_own_words(
    renderer: Renderer, catalog: Catalog, type_id: str, language: str
) -> None:
    kind = catalog.types[type_id]
    for name, field in kind.data.items():
        said = set()
        for code in field.one_of:
            data = {**kind.samples[0].data, name: code}
            channel = PUSH if PUSH in kind.channels else kind.channels[0]
            content = renderer.render(type_id, channel, locale=language, time_zone="UTC", data=data).content
            assert content is not None
            said.add((content.title, content.body) if isinstance(content, PushContent) else content)
        assert len(said) == len(field.one_of)


@types
def test_each_type_has_two_samples_of_different_shape_and_all_languages(catalog: Catalog, type_id: str) -> None:
    kind = catalog.types[type_id]

    assert len({tuple(sorted(sample.data)) for sample in kind.samples}) >= 2
    assert {file.stem for file in (TEMPLATES / type_id).glob("*.toml")} == {"type", *LANGUAGES}


@types
def test_whoever_is_told_can_be_found_from_the_data(catalog: Catalog, type_id: str) -> None:
    kind = catalog.types[type_id]
    fields = {
        "driver": {"driver_id": True, "token": True},
        "fleet_managers": {"fleet_id": False},
        "site_operators": {"site_id": False},
        "team": {"team": False},
        "subscribers": {"topic": False},
        "segment": {"segment_id": False},
    }[kind.audience]

    for name, optional in fields.items():
        assert (kind.data[name].type, kind.data[name].optional) == ("text", optional)
    for sample in kind.samples:
        assert fields.keys() & sample.data.keys()


@types
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_keep_to_the_house_style(type_id: str, language: str) -> None:
    for channel, parts in texts_of(type_id, language).items():
        for part, source in [*parts.items(), *parts.get("details", {}).items()]:
            if isinstance(source, str):
                text = words(source)
                assert "!" not in text, f"{channel}.{part}"
                assert "'" not in text, f"{channel}.{part}: the apostrophe of a text is ’"
                assert "..." not in text, f"{channel}.{part}"


@types
def test_french_puts_a_no_break_space_before_its_double_signs(type_id: str) -> None:
    for parts in texts_of(type_id, "fr").values():
        for source in parts.values():
            if isinstance(source, str):
                assert not re.search(r"[^\u00a0\u202f][:;?!»]|«[^\u00a0\u202f]", words(source)), source


def test_each_channel_is_shown_to_work_by_some_type(catalog: Catalog) -> None:
    assert {channel for kind in catalog.types.values() for channel in kind.channels} == set(channels())
